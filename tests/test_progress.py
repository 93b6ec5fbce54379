import io
import itertools

import pytest

from loquent import progress
from loquent.progress import Progress


class Log(io.StringIO):
    """A file of text."""

    name, mode = "log", "w"


class Terminal(Log):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes one second."""
    seconds = itertools.count()
    monkeypatch.setattr("loquent.progress.time.monotonic", lambda: float(next(seconds)))


def test_short_work_without_a_terminal_is_silent() -> None:
    log = Log()
    with Progress("Reading", 100, stream=log) as bar:
        for _ in range(100):
            bar.advance()
    assert log.getvalue() == ""


@pytest.mark.usefixtures("clock")
def test_long_work_without_a_terminal_writes_a_line_now_and_then() -> None:
    log = Log()
    with Progress("Training", 100, stream=log) as bar:
        for step in range(100):
            bar.advance(note=f"PSNR {step}")
    lines = log.getvalue().splitlines()
    assert len(lines) == 100 // progress.LINE_EVERY_S + 1
    assert lines[0].startswith("Training, ")
    assert "left" in lines[0]
    assert "PSNR" in lines[0]
    assert "it/s" in lines[0] or "s/it" in lines[0]
    assert "100/100 (100 %)" in lines[-1]
    assert "\r" not in log.getvalue()
    assert "\x1b" not in log.getvalue()


def test_work_counted_in_seconds_shows_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    log = Log()
    with Progress("Training", 100, unit="s", stream=log) as bar:
        bar.set(40, note="6.1 steps/s")
    line = log.getvalue().splitlines()[0]
    assert "0:40/1:40 (40 %)" in line
    assert line.count("/s") == 1


def test_percents_show_no_rate_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    log = Log()
    with Progress("Preparing", 100, unit="%", stream=log) as bar:
        bar.set(40)
    assert log.getvalue().startswith("Preparing, 40 %, ")
    assert "/" not in log.getvalue()


def test_what_an_earlier_run_did_does_not_shorten_the_time_left(clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    log = Log()
    with Progress("Training", 90, unit="step", done=60, stream=log) as bar:
        bar.set(65)
    assert "5.0 step/s, 0:05 left" in log.getvalue(), "25 more steps, after five in a second"


def test_a_terminal_sees_a_bar_with_the_note() -> None:
    screen = Terminal()
    with Progress("Fitting poses", 8, stream=screen) as bar:
        bar.set(8, note="0.63 px")
    assert "Fitting poses" in screen.getvalue()
    assert "8/8" in screen.getvalue()
    assert "0.63 px" in screen.getvalue()


def test_bars_may_be_nested_and_errors_leave_nothing_behind() -> None:
    screen = Terminal()
    with pytest.raises(ValueError, match="stop"), Progress("Outer", 2, stream=screen) as outer:  # noqa: PT012
        outer.advance()
        with Progress("Inner", 3, stream=screen) as inner:
            inner.advance(3)
        raise ValueError("stop")
    assert not Progress._screens
    with Progress("Again", 2, stream=screen) as again:
        again.advance(2)
    assert not Progress._screens
    assert "Inner" in screen.getvalue()
    assert "Again" in screen.getvalue()


def test_time_left_is_told_by_the_recent_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred units in ten seconds, then one a second: the last fifty take fifty."""
    now = 0.0
    monkeypatch.setattr("loquent.progress.time.monotonic", lambda: now)
    log = Log()
    with Progress("Rendering", 200, unit="frame", stream=log) as bar:
        for step in range(1, 61):
            now += 1.0
            bar.set(10 * step if step <= 10 else 90 + step)
    assert "150/200 (75 %), 1.0 frame/s, 0:50 left" in log.getvalue()


def test_work_that_is_counted_anew_tells_the_rate_since_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("loquent.progress.time.monotonic", lambda: now)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    log = Log()
    with Progress("Looking", 20, unit="frame", stream=log) as bar:
        for done in (*range(1, 11), *range(8)):
            now += 1.0
            bar.set(done)
    assert "7/20 (35 %), 1.0 frame/s, 0:13 left" in log.getvalue()
