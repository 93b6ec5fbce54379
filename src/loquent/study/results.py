"""Pool the answers of a study: mean opinion scores with confidence intervals for every system (ER-NeRF, Table 3)."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text
from scipy import stats

from loquent.errors import InputError
from loquent.study.study import ANSWER_COLUMNS, FORMAT, QUESTIONS, VERSION
from loquent.tables import read_text, table_rows

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Opinion:
    """What was thought of a system in one respect."""

    mean: float
    """Mean opinion score, 1 (bad) to 5 (excellent): the mean over participants of each one's mean rating."""
    half_width: float | None
    """Half the width of the 95 % confidence interval; None with fewer than two participants."""


@dataclass(frozen=True)
class SystemResult:
    """The opinions about one system."""

    system: str
    """Its name."""
    n_participants: int
    """Who rated at least one of its videos."""
    n_videos: int
    """Its videos that anybody rated."""
    n_ratings: int
    """Videos rated, over all participants."""
    opinions: dict[str, Opinion]
    """By the names in `loquent.study.study.QUESTIONS`."""


@dataclass(frozen=True)
class _Answer:
    participant: str
    video: str
    ratings: tuple[int, ...]


def pool(study: Path, files: Sequence[Path]) -> list[SystemResult]:
    """Mean opinions about each system, best lip-sync first.

    Ratings by one person are not independent of each other, people are. So each participant's ratings of a system are
    averaged first, and the interval is Student's t over participants.

    Args:
        study: the folder that :func:`loquent.study.study.make_study` wrote.
        files: what participants downloaded.

    Raises:
        InputError: the key or a file cannot be read, holds something else, belongs to another study, or a participant comes
            twice.
    """
    key = _read_key(study)
    systems = {video["file"]: video["system"] for video in key["videos"]}
    answers: list[_Answer] = []
    seen: dict[tuple[str, str], Path] = {}
    for file in files:
        for answer in _read_answers(file, key["id"], systems):
            who = (answer.participant, answer.video)
            if who in seen:
                raise InputError(
                    f"{file}: participant {answer.participant!r} has rated the video {answer.video} in {seen[who]} already. "
                    "Give each participant's last file alone, and each participant a code of their own."
                )
            seen[who] = file
            answers.append(answer)
    if not answers:
        raise InputError("No answers to pool: the files hold no rated video, or none was given after --results.")
    results = [
        _result(system, [answer for answer in answers if systems[answer.video] == system])
        for system in sorted(set(systems.values()))
        if any(systems[answer.video] == system for answer in answers)
    ]
    return sorted(results, key=lambda result: -result.opinions["lip_sync"].mean)


def print_results(results: Sequence[SystemResult]) -> None:
    """Print a table like ER-NeRF's Table 3."""
    table = Table(box=None, pad_edge=False)
    for column in ("", *(asked.title for asked in QUESTIONS.values()), "participants", "ratings"):
        table.add_column(column, justify="right" if column else "left")
    for result in results:
        opinions = [_shown(result.opinions[name]) for name in QUESTIONS]
        table.add_row(Text(result.system), *opinions, str(result.n_participants), str(result.n_ratings))
    console = Console(highlight=False)
    console.print(table)
    console.print("Mean opinion scores, 1 to 5, with 95 % confidence intervals over participants.")


def _result(system: str, answers: Sequence[_Answer]) -> SystemResult:
    by_person: dict[str, list[tuple[int, ...]]] = {}
    for answer in answers:
        by_person.setdefault(answer.participant, []).append(answer.ratings)
    means = np.array([np.mean(ratings, axis=0) for ratings in by_person.values()])  # participants, questions
    opinions = {name: _opinion(means[:, i]) for i, name in enumerate(QUESTIONS)}
    return SystemResult(system, len(by_person), len({answer.video for answer in answers}), len(answers), opinions)


def _opinion(means: np.ndarray) -> Opinion:
    n = len(means)
    if n < 2:
        return Opinion(float(means.mean()), None)
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return Opinion(float(means.mean()), quantile * float(means.std(ddof=1)) / math.sqrt(n))


def _shown(opinion: Opinion) -> str:
    return f"{opinion.mean:.2f}" + (f" ± {opinion.half_width:.2f}" if opinion.half_width is not None else "")


def _read_key(study: Path) -> dict[str, Any]:
    path = study / "key.json"
    try:
        key = json.loads(path.read_text())
        if key["format"] != FORMAT or key["version"] > VERSION or not isinstance(key["id"], str):
            raise ValueError(f"it is of the format {key['format']!r} {key['version']}, wanted is {FORMAT!r} {VERSION}")
        if any(not isinstance(video[part], str) for video in key["videos"] for part in ("file", "system")):
            raise ValueError("a video has no file or no system")
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise InputError(
            f"{path} cannot be read as the key of a study ({cause}). --out must name the folder that `loquent study` wrote."
        ) from cause
    known: dict[str, Any] = key
    return known


def _read_answers(path: Path, study: str, videos: dict[str, str]) -> list[_Answer]:
    columns = [*ANSWER_COLUMNS, *QUESTIONS]
    text = read_text(path)
    try:
        rows = table_rows(text, columns)
    except ValueError as cause:
        raise InputError(
            f"{path} does not hold answers ({cause}). Wanted are the columns {', '.join(columns)}: give the file as it was "
            "downloaded."
        ) from cause
    answers = []
    for line, row in rows.items():
        found, participant, _, video, *ratings = row.values()
        if found != study or video not in videos:
            raise InputError(
                f"{path}, line {line}: this is not an answer to this study, but to {found!r}, video {video!r}."
            )
        if not participant or any(rating not in ("1", "2", "3", "4", "5") for rating in ratings):
            raise InputError(
                f"{path}, line {line}: wanted are a participant and ratings from 1 to 5; got {','.join(row.values())}."
            )
        answers.append(_Answer(participant, video, tuple(int(rating) for rating in ratings)))
    return answers
