"""What README and docs tell people to type exists: commands, options, make targets, links, names in the formats."""

import functools
import pkgutil
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
SPEC = ROOT / "docs" / "spec.md"
SOURCES = [path for folder in ("src", "tests", "research") for path in sorted((ROOT / folder).rglob("*.py"))]
SECTION = r"\d+(?:\.\d+)*"
CITATION = re.compile(rf"SPEC ({SECTION}(?:(?:,(?: and)?| and| to)\s+{SECTION})*)")
FILES = (".csv", ".json", ".portrait", ".py", ".wav")
"""What looks like a dotted name and is a file's."""
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


@pytest.mark.parametrize(("page", "least"), [("architecture.md", 15), ("spec.md", 15), ("lips.md", 7)])
def test_paths_named_in_the_pages_about_the_code_exist(page: str, least: int) -> None:
    text = (ROOT / "docs" / page).read_text()
    named = set(re.findall(r"`((?:src/loquent/|tests/)?[a-z0-9_]+(?:/[a-z0-9_]+)*\.py)`", text))
    assert len(named) >= least
    places = (ROOT, ROOT / "src" / "loquent")
    assert sorted(name for name in named if not any((place / name).exists() for place in places)) == []


def cited_sections(text: str) -> set[str]:
    """Every section of the specification that a text names, of lists and ranges those written out."""
    return {number for cited in CITATION.findall(text) for number in re.findall(SECTION, cited)}


def unknown_sections(text: str) -> set[str]:
    """Those among them that neither a heading nor a numbered paragraph of the specification has."""
    return cited_sections(text) - set(
        re.findall(rf"^(?:#+ |\*\*)({SECTION})[ *]", SPEC.read_text(), flags=re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("(SPEC 2.1, 2.2, 8.2).", {"2.1", "2.2", "8.2"}),
        ("SPEC 1.1 to 1.8", {"1.1", "1.8"}),
        ("SPEC 2.1 and 8.2, one point", {"2.1", "8.2"}),
        ("methods (SPEC 6.1,\n6.2). A", {"6.1", "6.2"}),
        ("(SPEC 8.1.15): 16 SPEC 1.6: 2k - 8", {"8.1.15", "1.6"}),
        ("SPEC 6.2; NeRF, section 5.2. SPEC 1.3's", {"6.2", "1.3"}),
        ("UNSPECIFIED_COLORSPACE = 2", set()),
    ],
)
def test_citations_are_understood(text: str, cited: set[str]) -> None:
    assert cited_sections(text) == cited


def test_every_cited_section_of_the_specification_exists() -> None:
    pages = [path for path in [*SOURCES, *PAGES] if path != Path(__file__)]
    missing = {str(path.relative_to(ROOT)): unknown_sections(path.read_text()) for path in pages}
    assert {name: unknown for name, unknown in missing.items() if unknown} == {}
    assert unknown_sections("SPEC 2.1, 2.99 and 8.1.2") == {"2.99", "8.1.2"}


def unknown_names(text: str) -> list[str]:
    """Dotted names of Loquent in a text's inline code, with or without `loquent.` before them, that nothing bears."""
    parts = "|".join(sorted(path.stem for path in (ROOT / "src" / "loquent").iterdir() if path.stem.isidentifier()))
    named = re.findall(rf"`(?:loquent\.)?((?:{parts})(?:\.\w+)+)`", text)
    unknown = []
    for name in sorted({name for name in named if not name.endswith(FILES)}):
        try:
            pkgutil.resolve_name(f"loquent.{name}")
        except (ImportError, AttributeError):
            unknown.append(name)
    return unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_dotted_names_exist(page: Path) -> None:
    assert unknown_names(page.read_text()) == []


def test_dotted_names_in_docstrings_exist() -> None:
    sources = sorted((ROOT / "src" / "loquent").rglob("*.py"))
    assert unknown_names("\n".join(path.read_text() for path in sources)) == []


def test_a_wrong_dotted_name_is_found() -> None:
    text = "`nn.landmarks.landmark_windows` `loquent.exchange.conventions.clamp` `speech.nowhere` `speech.wav`"
    assert unknown_names(text) == ["exchange.conventions.clamp", "speech.nowhere"]


def test_formats_name_every_field_of_the_track_and_of_a_motion_file() -> None:
    text = (ROOT / "docs" / "data-format.md").read_text()
    names = [*ClipTrack.__dataclass_fields__, *COLUMNS]
    assert [name for name in names if f"`{name}`" not in text] == []
