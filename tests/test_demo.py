"""The demo: one folder for one film, and what stops a command stops the demo in the same way."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from loquent import cli
from loquent.errors import DivergenceError

ROAD = ("doctor", "prepare", "train", "render", "evaluate")


def replace_command(monkeypatch: pytest.MonkeyPatch, name: str, does: Callable[[], int]) -> None:
    """A command that takes the same options and does something else."""

    @functools.wraps(cli.COMMANDS[name])
    def command(*words: object, **options: object) -> int:
        return does()

    monkeypatch.setitem(cli.COMMANDS, name, command)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that were run; none does anything, and the film says what it was made with."""
    names: list[str] = []

    def noted(name: str) -> Callable[[], int]:
        def note() -> int:
            names.append(name)
            return 0

        return note

    def film(path: Path, *, duration_s: float, size: int, seed: int) -> None:
        names.append("film")
        path.write_text(f"{duration_s:g} {size} {seed}")

    for name in ROAD:
        replace_command(monkeypatch, name, noted(name))
    monkeypatch.setattr("loquent.actor.film.film", film)
    monkeypatch.setattr("loquent.actor.film.film_voice", lambda path, duration_s, seed: None)
    monkeypatch.delenv("LOQUENT_DEBUG", raising=False)
    return names


def demo(out: Path, *words: str) -> int:
    return cli.main(["demo", "--out", str(out), *words])


def test_the_demo_is_repeated_on_the_film_that_is_there(ran: list[str], tmp_path: Path) -> None:
    assert demo(tmp_path / "demo", "--seed", "3") == 0
    assert ran == ["film", *ROAD]
    assert demo(tmp_path / "demo", "--seed", "3", "--minutes", "5") == 0
    assert ran == ["film", *ROAD, *ROAD]
    assert (tmp_path / "demo" / "actor.mp4").read_text() == "14 256 3"


@pytest.mark.parametrize("words", [("--seed", "1"), ("--size", "128"), ("--seconds", "20.5")])
def test_a_demo_with_other_settings_is_refused(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    demo(tmp_path)
    del ran[:]
    assert demo(tmp_path, *words) == 2
    assert " ".join(words) in capsys.readouterr().err
    assert ran == []


@pytest.mark.parametrize(
    "words",
    [
        ("--seconds", "0.5"),
        ("--seconds", "nan"),
        ("--size", "16"),
        ("--size", "4096"),
        ("--minutes", "-1"),
        ("--minutes", "inf"),
        ("--seed", "-1"),
    ],
)
def test_a_mistyped_option_makes_no_folder(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    assert demo(tmp_path / "demo", *words) == 2
    assert f"{words[0]} must lie between" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_a_file_in_place_of_the_folder_is_refused(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo").write_text("mine")
    assert demo(tmp_path / "demo") == 2
    assert "a folder is wanted there" in capsys.readouterr().err
    assert ran == []


def test_a_demo_stopped_before_its_film_can_be_made_with_other_settings(
    ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, **settings: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("loquent.actor.film.film", interrupted)
        assert demo(tmp_path, "--seed", "1") == 130
    assert demo(tmp_path) == 0
    assert demo(tmp_path) == 0
    assert ran == ["film", *ROAD, *ROAD]


def test_a_film_of_unknown_settings_is_left_alone(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "actor.mp4").write_text("mine")
    assert demo(tmp_path) == 2
    assert "Choose another --out" in capsys.readouterr().err
    assert (tmp_path / "actor.mp4").read_text() == "mine"
    assert ran == []


def test_an_interruption_inside_a_command_interrupts_the_demo(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    replace_command(monkeypatch, "train", interrupted)
    assert demo(tmp_path) == 130
    assert capsys.readouterr().err.count("Interrupted") == 1
    assert ran == ["film", "doctor", "prepare"]


def test_an_error_inside_a_command_is_told_once_and_with_debug_in_full(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> int:
        raise DivergenceError("it blew up")

    replace_command(monkeypatch, "train", fails)
    assert demo(tmp_path) == 1
    assert capsys.readouterr().err == "loquent demo: it blew up\n"
    with pytest.raises(DivergenceError, match="it blew up"):
        demo(tmp_path, "--debug")


def test_a_command_that_says_no_ends_the_demo(
    ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_command(monkeypatch, "doctor", lambda: 1)
    assert demo(tmp_path) == 1
    assert "loquent doctor" in capsys.readouterr().err
    assert ran == ["film"]
