"""What `loquent inspect` prints: names appear as they are, whatever they look like."""

import json
import re
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from loquent.cli import main
from loquent.inspection import print_description
from loquent.portrait_file import VERSION
from loquent.testing import make_random_portrait, make_tiny_clip

FACTS = {
    "file": "[b]me[/b].portrait",
    "size_mib": 1.5,
    "record": {
        "clip": "Title [dQw4w9WgXcQ]",
        "lip_correlation": {"opening": 0.5, "motion 2": 0.25},
        "preset": {"name": "[/b]", "head": [1]},
    },
    "licences": {"[red]": "yours"},
}


def test_names_that_look_like_markup_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    print_description(FACTS, as_json=False)
    lines = [re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["file", "[b]me[/b].portrait"],
        ["size mib", "1.5"],
        ["record: clip", "Title [dQw4w9WgXcQ]"],
        ["record: lip correlation", "opening 0.5, motion 2 0.25"],
        ["record: preset", "name [/b]"],
        ["licences: [red]", "yours"],
    ]


def test_json_is_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    print_description(FACTS, as_json=True)
    assert json.loads(capsys.readouterr().out) == FACTS


def test_the_version_is_the_files_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    now, older = tmp_path / "now.portrait", tmp_path / "older.portrait"
    make_random_portrait(make_tiny_clip(tmp_path / "clip")).save(now)
    with safe_open(now, framework="pt") as file:
        facts = json.loads(file.metadata()["loquent"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    tensors["lips.answers"] = tensors["lips.answers"][0]  # as version 5 held them
    save_file(tensors, older, metadata={"loquent": json.dumps({**facts, "version": 5})})
    for path, version in ((now, VERSION), (older, 5)):
        assert main(["inspect", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["version"] == version
