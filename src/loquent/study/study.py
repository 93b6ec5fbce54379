"""Make a study: a folder with a page that opens from disk, blinded copies of the videos, and the key that stays behind.

STUDY/
  page/index.html      what participants open; hand out the folder page/
  page/videos/01.mp4   the videos in an order drawn by the seed: neither name nor place says who made them
  key.json             which video is whose; keep it, `pool` needs it
"""

import hashlib
import html
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from loquent.errors import InputError
from loquent.progress import Progress
from loquent.storage import atomic_path, file_digest, remove_abandoned, write_bytes, write_json
from loquent.study.exhibits import Exhibit, check_video

FORMAT = "loquent.study"
VERSION = 1
ANSWER_COLUMNS = ("study", "participant", "trial", "video")
"""Columns of a participant's answers before the ratings."""


@dataclass(frozen=True)
class Question:
    """One of the three opinions."""

    title: str
    """As ER-NeRF's Table 3 calls it."""
    text: str
    """What is asked; the wording is ours, the paper's is not published."""


QUESTIONS: Mapping[str, Question] = MappingProxyType(
    {
        "lip_sync": Question("Lip-sync accuracy", "How well do the lips follow the speech?"),
        "image_quality": Question("Image quality", "How sharp, and how free of visible faults, is the picture?"),
        "video_realness": Question("Video realness", "How much does it look like a real video of a person?"),
    }
)
"""The three aspects of ER-NeRF's user study, by their column in the answers."""


def make_study(
    exhibits: Sequence[Exhibit],
    folder: Path,
    *,
    title: str = "Rate talking heads",
    together: bool = False,
    seed: int = 0,
) -> Path:
    """Write a study.

    Args:
        exhibits: the videos.
        folder: the study's folder, to make.
        title: above the page.
        together: show all systems' videos of one item beside each other, instead of one video at a time.
        seed: of the numbers that videos get. Who sees what in which order depends on each participant's code.

    Returns:
        The page to open.

    Raises:
        InputError: a video cannot be shown, an item has but one video though they are to be shown together, or `folder` is
            there already.
        OutputError: the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is there already, and a study must not change while people take part. Name another folder for --out, "
            "or remove this one."
        )
    items: dict[str, list[str]] = {}
    with Progress("Checking", len(exhibits), unit="video") as bar:
        for exhibit in exhibits:
            check_video(exhibit)
            bar.advance()
    order = np.random.default_rng(seed).permutation(len(exhibits))
    digits = max(2, len(str(len(exhibits))))
    videos = []
    for number, place in enumerate(order, start=1):
        exhibit = exhibits[place]
        name = f"{number:0{digits}}{exhibit.video.suffix.lower()}"
        items.setdefault(exhibit.item, []).append(name)
        videos.append(
            {"file": name, "system": exhibit.system, "item": exhibit.item, "sha256": file_digest(exhibit.video)}
        )
    alone = [item for item, names in items.items() if len(names) < 2]
    if together and alone:
        raise InputError(f"Nothing can be shown beside {alone[0]!r}: only one system has a video of it.")
    trials = list(items.values()) if together else [[video["file"]] for video in videos]
    key: dict[str, Any] = {"title": title, "together": together, "seed": seed, "videos": videos}
    key = {"format": FORMAT, "version": VERSION, "id": _digest(key), **key}
    remove_abandoned(folder)
    with atomic_path(folder) as temporary:
        (temporary / "page" / "videos").mkdir(parents=True)
        for video, place in zip(videos, order, strict=True):
            shutil.copyfile(exhibits[place].video, temporary / "page" / "videos" / video["file"])
        write_bytes(temporary / "page" / "index.html", page(key["id"], title, trials).encode())
        write_json(temporary / "key.json", key)
    return folder / "page" / "index.html"


def page(study: str, title: str, trials: Sequence[Sequence[str]]) -> str:
    """The page's HTML.

    Args:
        study: the study's identifier.
        title: any text.
        trials: files in ``videos/`` that are shown together, trial by trial.
    """
    questions = [{"name": name, "title": asked.title, "text": asked.text} for name, asked in QUESTIONS.items()]
    facts = {"id": study, "trials": trials, "questions": questions, "columns": ANSWER_COLUMNS}
    # Inside a script element only "</" and "<!--" could end the data early: no "<" is left, nor what it may be written as.
    data = json.dumps(facts).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    template = resources.files("loquent.study").joinpath("page.html").read_text(encoding="utf-8")
    before, after = template.replace("@TITLE@", html.escape(title)).split("@STUDY@")
    return before + data + after


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
