"""Phone files in every form, both alphabets, and what the encoder hears."""

from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.errors import InputError
from loquent.speech import phones as module
from loquent.speech.articulation import ARPABET_CLASSES, IPA_CLASS, LIP_SHAPES
from loquent.speech.phones import hear_phones, read_phones, write_phones
from loquent.speech.phonetic_net import CLASSES

LONG_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.9
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.9
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.9
            text = "the ""map"" 2"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 0.9
        points: size = 1
        points [1]:
            number = 0.3
            mark = "p"
    item [3]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.9
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = "M"
        intervals [2]:
            xmin = 0.25
            xmax = 0.5
            text = "AE1"
        intervals [3]:
            xmin = 0.5
            xmax = 0.9
            text = ""
"""
SHORT_GRID = """"ooTextFile"
"TextGrid"
0
0.9
<exists>
1
"IntervalTier"
"MAU"
0
0.9
3
0
0.25
"m"
0.25
0.5
"æ"
0.5
0.9
""
"""


def spans(path: Path) -> list[tuple[float, float, str]]:
    return [(item.start_s, item.end_s, item.name) for item in read_phones(path).segments]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "start_s,end_s,phone\n0,0.25,m\n0.25,0.5,æ\n0.5,0.9,\n"),
        ("a.tsv", "phone\tend_s\tstart_s\nM\t0.25\t0\nAE0\t0.5\t0.25\nsil\t0.9\t0.5\n"),
        ("a.lab", "0 0.25 m\n0.25 0.5 ae\n0.5 0.9 pau\n"),
        ("htk.lab", "0 2500000 m\n2500000 5000000 æ\n5000000 9000000 sil\n"),
        ("a.TextGrid", LONG_GRID),
        ("short.TextGrid", SHORT_GRID),
    ],
)
def test_every_form_says_the_same(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert spans(tmp_path / name) == [(0, 0.25, "bilabial"), (0.25, 0.5, "a"), (0.5, 0.9, "silence")]


def test_praat_also_writes_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.TextGrid").write_bytes(SHORT_GRID.encode("utf-16"))
    assert [name for *_, name in spans(tmp_path / "a.TextGrid")] == ["bilabial", "a", "silence"]


def test_the_alphabet_follows_from_all_names_together(tmp_path: Path) -> None:
    """`y` is a consonant in ARPAbet and a vowel in IPA."""
    for other, wanted in (("AA1", "j"), ("a", "ue")):
        write_phones(tmp_path / "a.csv", [(0.0, 0.1, "y"), (0.1, 0.2, other), (0.2, 0.3, "spn")])
        assert spans(tmp_path / "a.csv")[0] == (0, 0.1, wanted)
        assert read_phones(tmp_path / "a.csv").unknown == ("spn",)


def test_a_diphthong_is_two_segments_and_an_unknown_name_is_told(tmp_path: Path) -> None:
    write_phones(tmp_path / "a.csv", [(0.0, 0.2, "aɪ"), (0.2, 0.3, "??"), (0.3, 0.4, "tʃ")])
    found = read_phones(tmp_path / "a.csv")
    assert spans(tmp_path / "a.csv") == [(0, 0.1, "a"), (0.1, 0.2, "i"), (0.3, 0.4, "sh")]
    assert found.unknown == ("??",)
    assert found.source == "a.csv"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.csv", "start,end,phone\n0,1,a\n", "columns start_s, end_s, phone"),
        ("a.csv", "start_s,end_s,phone\n0,x,a\n", "could not convert"),
        ("a.csv", "start_s,end_s,phone\n0,1\n", "line 2 has 2 cells"),
        ("a.csv", "start_s,end_s,phone\n1,0.5,a\n", "end after it starts"),
        ("a.csv", "start_s,end_s,phone\n1,2,a\n0,1,b\n", "back in time"),
        ("a.csv", "start_s,end_s,phone\n0,nan,a\n", "end after it starts"),
        ("a.csv", "start_s,end_s,phone\n0,1,\n1,2,??\n", "no phone that is known"),
        ("a.csv", "start_s,end_s,phone\n", "no phone that is known"),
        ("a.lab", "0 1\n", "no phone that is known"),
        ("a.lab", "a\n", "no file of phone times"),
        ("a.lab", "", "no file of phone times"),
        ("a.TextGrid", LONG_GRID.replace('"phones"', '"sounds"'), "interval tiers are words, sounds"),
        ("a.TextGrid", LONG_GRID[:300], "no file of phone times"),
        ("a.csv", None, "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(tmp_path: Path, name: str, content: str | None, fault: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=fault):
        read_phones(tmp_path / name)


def test_every_sign_has_a_class_of_the_network_with_a_shape() -> None:
    named = {*IPA_CLASS.values(), *(item for classes in ARPABET_CLASSES.values() for item in classes)}
    assert named <= set(CLASSES)
    assert set(LIP_SHAPES) == set(CLASSES)


def test_heard_phones_are_the_runs_of_the_likeliest_class(monkeypatch: pytest.MonkeyPatch) -> None:
    likeliest = [0, 0, 0, 1, 1, 21, 1, 1, 1, 0]  # silence, a bilabial, a flicker, a bilabial, a flicker
    posteriors = torch.nn.functional.one_hot(torch.tensor(likeliest), 64).float()
    monkeypatch.setattr(module, "extract", lambda *_: posteriors)
    found = hear_phones(np.zeros(3200, np.float32))
    assert found.source == "heard"
    assert [(item.start_s, item.end_s, item.name) for item in found.segments] == [
        (0.0, 0.05, "silence"),
        (0.05, 0.09, "bilabial"),
        (0.11, 0.17, "bilabial"),
    ]
