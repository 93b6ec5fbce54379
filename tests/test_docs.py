"""What README and docs tell people to type exists: commands, options, make targets, links, names in the formats."""

import functools
import re
import shlex
from pathlib import Path

import pytest

from loquent import cli
from loquent.data.clip import ClipTrack
from loquent.motion import COLUMNS
from loquent.training.presets import PRESETS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
INLINE = re.compile(r"`(loquent [a-z]+ [^`]*--[^`]*)`")


def shell_lines(page: Path) -> list[str]:
    """The lines of a page's sh blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def typed_commands() -> list[str]:
    """Every `loquent ...` line of every page, and those with options that stand in running text."""
    in_blocks = [line for page in PAGES for line in shell_lines(page) if line.startswith("loquent ")]
    in_text = [found for page in PAGES for found in INLINE.findall(page.read_text())]
    return sorted({*in_blocks, *in_text})


def parse(monkeypatch: pytest.MonkeyPatch, line: str) -> int:
    """The exit code of a command line whose command does nothing: 0 if its words can be understood."""
    name, *words = shlex.split(line)[1:]
    command = cli.COMMANDS.get(name)
    if command is not None:

        @functools.wraps(command)
        def do_nothing(*_: object, **__: object) -> int:
            return 0

        monkeypatch.setitem(cli.COMMANDS, name, do_nothing)
    try:
        return cli.main([name, *words])
    except SystemExit as leave:
        return int(leave.code or 0)


@pytest.mark.parametrize("line", typed_commands())
def test_commands_can_be_understood(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    assert parse(monkeypatch, line) == 0


@pytest.mark.parametrize(
    "line",
    [
        "loquent prepair me.mp4 --out clip",
        "loquent render me.portrait a.wav --out a.mp4 --sise 3",
        "loquent train clip",
    ],
)
def test_wrong_commands_are_found(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    assert parse(monkeypatch, line) != 0


def test_readme_shows_the_whole_road() -> None:
    shown = {shlex.split(line)[1] for line in shell_lines(ROOT / "README.md") if line.startswith("loquent ")}
    assert {"doctor", "prepare", "train", "render", "evaluate", "inspect"} <= shown <= set(cli.COMMANDS)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    typed = {line.split()[1] for page in PAGES for line in shell_lines(page) if line.startswith("make ")}
    typed |= {name for page in PAGES for name in re.findall(r"`make ([a-z]+)`", page.read_text())}
    assert {"demo", "test", "check"} <= typed <= targets


def test_presets_named_in_commands_exist() -> None:
    named = {found for page in PAGES for found in re.findall(r"--preset (\w+)", page.read_text())}
    assert named
    assert named <= set(PRESETS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_paths_named_in_the_architecture_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:src/loquent/|tests/)?[a-z_]+(?:/[a-z_]+)*\.py)`", text))
    assert len(named) > 15
    places = (ROOT, ROOT / "src" / "loquent")
    assert sorted(name for name in named if not any((place / name).exists() for place in places)) == []


def test_formats_name_every_field_of_the_track_and_of_a_motion_file() -> None:
    text = (ROOT / "docs" / "data-format.md").read_text()
    names = [*ClipTrack.__dataclass_fields__, *COLUMNS]
    assert [name for name in names if f"`{name}`" not in text] == []
