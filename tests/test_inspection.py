"""What `loquent inspect` prints: names appear as they are, whatever they look like."""

import json
import re

import pytest

from loquent.inspection import print_description

FACTS = {
    "file": "[b]me[/b].portrait",
    "size_mib": 1.5,
    "record": {"clip": "Title [dQw4w9WgXcQ]", "lip_correlation": [0.5, 0.25], "preset": {"name": "[/b]", "head": [1]}},
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
        ["record: lip correlation", "0.5, 0.25"],
        ["record: preset", "name [/b]"],
        ["licences: [red]", "yours"],
    ]


def test_json_is_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    print_description(FACTS, as_json=True)
    assert json.loads(capsys.readouterr().out) == FACTS
