"""Lines of a results file: whole, complete, added to what is there."""

import dataclasses
import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from loquent.bench import rows
from loquent.bench.clock import Case, Competitor, Figures
from loquent.bench.rows import Row, append_row, check_results_file, new_row, print_rows
from loquent.errors import InputError, OutputError

FIGURES = Figures(
    seconds=0.02,
    quartiles_s=(0.019, 0.021),
    per_second=409_600.0,
    ratio=1.0,
    ratio_quartiles=(1.0, 1.0),
    difference=0.0,
    peak_mib=3.5,
)
FAST = dataclasses.replace(
    FIGURES, seconds=0.005, ratio=4.0, ratio_quartiles=(3.9, 4.1), difference=1e-7, peak_mib=None
)


def row(name: str = "triplane_render") -> Row:
    case = Case("8192 points", 8192, "points", {"reference": Competitor(list), "cpu": Competitor(list)}, threads=1)
    figures = {"reference": FIGURES, "cpu": FAST}
    return new_row(name, case, figures, size=64, repeats=3, device=torch.device("cpu"))


def test_a_line_holds_what_is_promised(tmp_path: Path) -> None:
    append_row(tmp_path / "new" / "results.jsonl", row())
    content = (tmp_path / "new" / "results.jsonl").read_text()
    assert content.count("\n") == 1
    assert content.endswith("}\n")
    found = json.loads(content)
    assert set(found) == {"format", "version", *(field.name for field in dataclasses.fields(Row))}
    assert (found["format"], found["version"]) == ("loquent.bench", 1)
    assert (found["measurement"], found["what"], found["unit"]) == ("triplane_render", "8192 points", "points")
    assert found["against"] == "reference"
    assert found["competitors"]["reference"]["quartiles_s"] == [0.019, 0.021]
    assert found["competitors"]["cpu"]["ratio"] == 4
    assert found["competitors"]["cpu"]["ratio_quartiles"] == [3.9, 4.1]
    assert found["competitors"]["cpu"]["peak_mib"] is None
    assert (found["size"], found["repeats"], found["threads"]) == (64, 3, 1)
    assert found["device"]
    assert found["cores"] >= 1
    assert found["kernel_threads"] >= 1
    assert found["load"] >= 0
    assert found["date"].startswith("20")
    assert found["date"].endswith("+00:00")
    assert found["versions"]["torch"] == torch.__version__
    assert set(found["versions"]) == {"loquent", "python", "torch", "numba", "numpy"}


def test_earlier_lines_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_row(path, row("frame"))
    first = path.read_bytes()
    path.write_bytes(first.rstrip(b"\n"))  # an editor may leave the last end of line out
    append_row(path, row("head_step"))
    assert path.read_bytes().startswith(first)
    assert [json.loads(line)["measurement"] for line in path.read_text().splitlines()] == ["frame", "head_step"]


def test_a_full_disk_leaves_the_earlier_lines_and_no_half_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    append_row(path, row("frame"))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            append_row(path, row("head_step"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "bad", ["", "# speed", '{"format": "loquent.motion"}', "[1, 2]", '{"format": "loquent.bench", "si']
)
def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "results.jsonl"
    append_row(path, row())
    path.write_text(path.read_text() + bad + "\n" + path.read_text())
    before = path.read_bytes()
    for attempt in (lambda: check_results_file(path), lambda: append_row(path, row())):
        with pytest.raises(
            InputError, match=rf"^Line 2 of {path} is no row of `loquent bench`, so nothing was added\."
        ):
            attempt()
    assert path.read_bytes() == before


def test_places_where_no_file_can_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a folder"):
        check_results_file(tmp_path)
    with pytest.raises(InputError, match="is a file, but a folder"):
        check_results_file(tmp_path / "file" / "results.jsonl")
    check_results_file(tmp_path / "file")  # empty: as good as none
    check_results_file(tmp_path / "none" / "results.jsonl")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    return subprocess.run(
        ["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_commit_is_that_of_the_code_and_says_when_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "rows.py"
    code.write_text("1")
    monkeypatch.setattr(rows, "__file__", str(code))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert row().commit is None  # no checkout
    git(tmp_path, "init", "--quiet")
    (tmp_path / "other.py").write_text("1")
    git(tmp_path, "add", "other.py")
    git(tmp_path, "commit", "--quiet", "--message", "another program's")
    assert row().commit is None  # a checkout, but this file was installed into it
    git(tmp_path, "add", "rows.py")
    git(tmp_path, "commit", "--quiet", "--message", "ours")
    commit = row().commit
    assert commit is not None
    assert len(commit) == 12
    assert git(tmp_path, "rev-parse", "HEAD").startswith(commit)
    code.write_text("2")
    assert row().commit == f"{commit}-dirty"


def test_the_table_shows_every_competitor(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([row("triplane_render"), row("frame")])
    out = capsys.readouterr().out
    assert out.count("reference ") == 2
    assert out.count("4 (3.9–4.1)") == 2
    assert "410 k" in out
    assert "19–21" in out
    assert "Medians of 3 rounds" in out
