"""Pooled opinions against sums done by hand, and answers that must not be pooled."""

import json
import math
import random
import statistics
from pathlib import Path

import pytest

from loquent import cli
from loquent.errors import InputError
from loquent.study.results import pool
from loquent.study.study import FORMAT, QUESTIONS, VERSION

HEADER = "study,participant,trial,video,lip_sync,image_quality,video_realness"
SYSTEM_OF = {"01.mp4": "ours", "02.mp4": "theirs", "03.mp4": "ours", "04.mp4": "theirs", "05.mp4": "[bold]nobody"}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    videos = [{"file": file, "system": system, "item": file} for file, system in SYSTEM_OF.items()]
    (tmp_path / "key.json").write_text(
        json.dumps({"format": FORMAT, "version": VERSION, "id": "abc", "videos": videos})
    )
    return tmp_path


def answers(folder: Path, name: str, *lines: str, header: str = HEADER) -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_two_people_by_hand(study: Path) -> None:
    a = answers(study, "a.csv", "abc,ann,1,01.mp4,5,4,3", "abc,ann,2,03.mp4,3,4,3", "abc,ann,3,02.mp4,1,1,1")
    b = answers(study, "b.csv", "abc,bob,1,01.mp4,2,2,5")
    ours, theirs = pool(study, [a, b])
    assert (ours.system, ours.n_participants, ours.n_videos, ours.n_ratings) == ("ours", 2, 2, 3)
    # Ann's mean is 4, Bob's 2: mean 3, standard deviation sqrt(2), t for one degree of freedom 12.706.
    assert ours.opinions["lip_sync"].mean == pytest.approx(3)
    assert ours.opinions["lip_sync"].half_width == pytest.approx(12.7062 * math.sqrt(2) / math.sqrt(2), rel=1e-4)
    assert ours.opinions["image_quality"].mean == pytest.approx((4 + 2) / 2)
    assert (theirs.system, theirs.opinions["lip_sync"].mean, theirs.opinions["lip_sync"].half_width) == (
        "theirs",
        1,
        None,
    )


def test_many_people_by_brute_force(study: Path) -> None:
    draw = random.Random(3)
    table: dict[str, dict[str, dict[str, list[int]]]] = {}
    files = []
    for person in range(18):
        lines = []
        for place, (video, system) in enumerate(SYSTEM_OF.items()):
            if draw.random() < 0.8:
                ratings = [draw.randint(1, 5) for _ in QUESTIONS]
                lines.append(f"abc,p{person},{place},{video}," + ",".join(map(str, ratings)))
                for question, rating in zip(QUESTIONS, ratings, strict=True):
                    table.setdefault(system, {}).setdefault(question, {}).setdefault(f"p{person}", []).append(rating)
        files.append(answers(study, f"{person}.csv", *lines))
    results = pool(study, files)
    assert {result.system for result in results} == set(table)
    for result in results:
        for question, people in table[result.system].items():
            means = [sum(ratings) / len(ratings) for ratings in people.values()]
            opinion = result.opinions[question]
            assert result.n_participants == len(means)
            assert opinion.mean == pytest.approx(sum(means) / len(means))
            # The t distribution's quantile by summing its density, without SciPy.
            n = len(means)
            wanted = t_quantile(0.975, n - 1) * statistics.stdev(means) / math.sqrt(n)
            assert opinion.half_width == pytest.approx(wanted, rel=1e-3)
    scores = [result.opinions["lip_sync"].mean for result in results]
    assert scores == sorted(scores, reverse=True)


def t_quantile(share: float, freedom: int) -> float:
    factor = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    total, x, step = 0.5, 0.0, 1e-4
    while total < share:
        total += factor * (1 + (x + step / 2) ** 2 / freedom) ** (-(freedom + 1) / 2) * step
        x += step
    return x


def test_the_interval_covers_as_often_as_it_says(study: Path) -> None:
    draw, covered, rounds = random.Random(0), 0, 200
    for _ in range(rounds):
        lines = [f"abc,p{p},1,01.mp4,{draw.choice([2, 3, 3, 4, 5])},3,3" for p in range(15)]
        opinion = pool(study, [answers(study, "a.csv", *lines)])[0].opinions["lip_sync"]
        assert opinion.half_width is not None
        covered += abs(opinion.mean - 3.4) <= opinion.half_width
    assert 0.9 < covered / rounds < 0.99


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("xyz,ann,1,01.mp4,5,4,3", "line 2: this is not an answer to this study, but to 'xyz'"),
        ("abc,ann,1,09.mp4,5,4,3", "'09.mp4'"),
        ("abc,ann,1,01.mp4,6,4,3", "ratings from 1 to 5"),
        ("abc,ann,1,01.mp4,,4,3", "ratings from 1 to 5"),
        ("abc,ann,1,01.mp4,5.0,4,3", "ratings from 1 to 5"),
        ("abc,,1,01.mp4,5,4,3", "a participant"),
        ("abc,ann,1,01.mp4,5,4", "line 2 has 6 cells, the first line 7"),
        ('abc,"ann,1,01.mp4,5,4,3', "does not hold answers"),
    ],
)
def test_lines_that_are_no_answers_are_named(study: Path, line: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pool(study, [answers(study, "a.csv", line)])


def test_files_that_are_no_answers_are_refused(study: Path) -> None:
    good = answers(study, "a.csv", "abc,ann,1,01.mp4,5,4,3")
    again = answers(study, "b.csv", "abc,ann,4,01.mp4,1,1,1")
    with pytest.raises(InputError, match="already"):
        pool(study, [good, again])
    with pytest.raises(InputError, match="already"):
        pool(study, [good, good])
    with pytest.raises(InputError, match=r"no column study.*as it was downloaded"):
        pool(study, [answers(study, "c.csv", header="a;b;c")])
    with pytest.raises(InputError, match="No answers"):
        pool(study, [answers(study, "d.csv")])
    with pytest.raises(InputError, match="cannot be read"):
        pool(study, [study / "none.csv"])
    with pytest.raises(InputError, match=r"key\.json"):
        pool(study / "elsewhere", [good])
    (study / "key.json").write_text("[]")
    with pytest.raises(InputError, match=r"key\.json"):
        pool(study, [good])


def test_the_command_prints_a_table_and_writes_json(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = answers(study, "a.csv", "abc,ann,1,01.mp4,5,4,3", "abc,ann,2,05.mp4,2,2,2")
    b = answers(study, "b.csv", "abc,bob,1,01.mp4,4,4,4")
    out = study / "pooled.json"
    assert cli.main(["study", "--out", str(study), "--results", str(a), str(b), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "4.50 ± 6.35" in printed
    assert "[bold]nobody" in printed
    pooled = json.loads(out.read_text())
    assert pooled[0]["system"] == "ours"
    assert pooled[0]["opinions"]["video_realness"]["mean"] == 3.5
    assert cli.main(["study", "x.mp4", "--out", str(study), "--results", str(a)]) == 2
    assert cli.main(["study", "x.mp4", "--out", str(study / "new"), "--json", str(out)]) == 2
