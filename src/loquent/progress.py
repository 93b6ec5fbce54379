"""One way to show long work: what, how far, how fast, how long still; on stderr, and almost silent when nobody watches."""

import sys
import time
from collections import deque
from types import TracebackType
from typing import ClassVar, TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

LINE_EVERY_S = 10.0
"""Without a terminal (a log file, CI) at most one line in this many seconds."""

RECENT_S = 30.0
"""Rate and time left are those of this long: work often has a fast part and a slow one."""


class Progress:
    """A bar with rate and time left for as long as the ``with`` block runs.

    Bars may be nested: an inner one appears below the outer one and goes away when it ends. Without a terminal a plain
    line is written now and then instead, and work that is over before the first line was due writes nothing.
    """

    _screens: ClassVar[list[RichProgress]] = []  # the live display, shared by nested bars

    def __init__(
        self,
        description: str,
        total: int | float | None = None,
        *,
        unit: str = "it",
        done: int | float = 0,
        stream: TextIO | None = None,
    ):
        """`total` counts `unit`; None when it is not known. `done` of them were done in an earlier run and tell no rate. Work
        that is counted in seconds ("s") or in per cent shows none either."""
        self._description = description
        self._total = total
        self._unit = unit
        self._stream = stream if stream is not None else sys.stderr
        self._done = done
        self._note = ""
        self._owns_screen = False
        self._screen: RichProgress | None = None
        self._task: TaskID | None = None
        self._started = self._now = self._last_line = 0.0
        self._marks: deque[tuple[float, float]] = deque()  # when how much was done, in the last RECENT_S

    def __enter__(self) -> "Progress":
        self._started = self._now = self._last_line = time.monotonic()
        self._marks.append((self._started, self._done))
        if self._stream.isatty():
            self._owns_screen = not Progress._screens
            if self._owns_screen:
                Progress._screens.append(_new_screen(self._stream))
                Progress._screens[0].start()
            self._screen = Progress._screens[0]
            self._task = self._screen.add_task(
                self._description,
                total=self._total,
                completed=int(self._done),
                amount=self._amount_text(),
                rate="",
                note="",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None and self._task is not None:
            if self._owns_screen:
                self._screen.stop()
                Progress._screens.clear()
            else:
                self._screen.remove_task(self._task)
        elif self._last_line > self._started and kind is None:
            self._write_line()

    def advance(self, amount: int | float = 1, *, note: str | None = None) -> None:
        """Count `amount` more units; `note` replaces the text behind the bar, e.g. ``"PSNR 31.2 dB"``."""
        self.set(self._done + amount, note=note)

    def set(self, done: int | float, *, total: int | float | None = None, note: str | None = None) -> None:
        """Say how many units are done in all, and perhaps a better `total`."""
        self._done = done
        self._mark()
        self._total = self._total if total is None else total
        self._note = self._note if note is None else note
        if self._screen is not None and self._task is not None:
            self._screen.update(
                self._task,
                completed=done,
                total=self._total,
                amount=self._amount_text(),
                rate=self._rate_text(),
                note=self._note,
            )
        elif self._now - self._last_line >= LINE_EVERY_S:
            self._last_line = self._now
            self._write_line()

    def _mark(self) -> None:
        """Note how far the work is, once a second, and forget what is no longer recent, or was counted from another start."""
        self._now = time.monotonic()
        if self._done < self._marks[-1][1]:  # counted from another start
            self._marks.clear()
        if not self._marks or self._now - self._marks[-1][0] >= 1:
            self._marks.append((self._now, self._done))
        while len(self._marks) > 1 and self._now - self._marks[1][0] >= RECENT_S:
            self._marks.popleft()

    def _rate(self) -> float:
        since, done_before = self._marks[0]
        elapsed = self._now - since
        return max(self._done - done_before, 0) / elapsed if elapsed > 0 else 0.0

    def _rate_text(self) -> str:
        if self._unit in ("s", "%"):
            return ""
        rate = self._rate()
        return f"{rate:.1f} {self._unit}/s" if rate >= 1 or rate == 0 else f"{1 / rate:.1f} s/{self._unit}"

    def _amount_text(self) -> str:
        if not self._total:
            return f"{self._done:.0f} {self._unit}"
        share = f"{100 * self._done / self._total:.0f} %"
        if self._unit == "%":
            return share
        show = _clock if self._unit == "s" else "{:.0f}".format
        return f"{show(self._done)}/{show(self._total)} ({share})"

    def _write_line(self) -> None:
        parts = [self._description, self._amount_text()]
        if rate := self._rate_text():
            parts.append(rate)
        if self._total and self._rate() > 0:
            parts.append(f"{_clock(max(0.0, self._total - self._done) / self._rate())} left")
        if self._note:
            parts.append(self._note)
        print(", ".join(parts), file=self._stream, flush=True)


def _new_screen(stream: TextIO) -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=stream),
        speed_estimate_period=RECENT_S,
    )


def _clock(seconds: int | float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
