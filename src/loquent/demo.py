"""`loquent demo`: the public commands, one after the other, on a film of the procedural actor."""

import json
from pathlib import Path

from loquent.errors import InputError, LoquentError
from loquent.progress import Progress
from loquent.storage import write_json

_SETTINGS = "demo.json"
"""What the film in the folder was made with."""


def run_demo(out: Path, *, seconds: float, size: int, minutes: float, seed: int) -> None:
    """Make the actor's film and a second sound, then prepare, train, render and evaluate as on any other video.

    Args:
        out: folder for everything; results are ``speaking.mp4``, ``actor.portrait``, ``sheet.png`` and ``figures.json``.
        seconds: length of the actor's film.
        size: rows and columns of its pictures.
        minutes: training time.
        seed: who the actor is and what is said.

    Raises:
        InputError: the folder holds a demo with another length, size or seed.
        LoquentError: a command failed.
    """
    from loquent.actor.film import film, film_voice

    out.mkdir(parents=True, exist_ok=True)
    video, voice = out / "actor.mp4", out / "other_sentence.wav"
    clip, portrait = out / "clip", out / "actor.portrait"
    _claim(out, video, {"seconds": seconds, "size": size, "seed": seed})
    if not video.is_file():
        with Progress("Filming the actor"):
            film(video, duration_s=seconds, size=size, seed=seed)
    film_voice(voice, duration_s=8.0, seed=seed)
    _run("doctor", str(video))
    _run("prepare", str(video), "--out", str(clip), "--size", str(size))
    _run("train", str(clip), "--minutes", f"{minutes:g}", "--out", str(portrait))
    _run("render", str(portrait), str(voice), "--out", str(out / "speaking.mp4"))
    figures = ("--json", str(out / "figures.json"), "--sheet", str(out / "sheet.png"))
    _run("evaluate", str(portrait), str(clip), *figures)
    print(f"\nWatch {out / 'speaking.mp4'}; look at {out / 'sheet.png'}; the figures are in {out / 'figures.json'}.")


def _claim(out: Path, video: Path, settings: dict[str, float]) -> None:
    """Note what the film is made with, or check that the one that is there was made with the same."""
    note = out / _SETTINGS
    if not video.exists():
        write_json(note, settings)
        return
    try:
        known = json.loads(note.read_text())
    except (OSError, ValueError):
        known = None
    if known != settings:
        shown = " ".join(f"--{name} {value:g}" for name, value in settings.items())
        raise InputError(
            f"The film in {out} was not made with {shown}, so what is there belongs to another demo. Choose another --out, or "
            "remove the folder."
        )


def _run(*words: str) -> None:
    from loquent.cli import run

    print(f"\n$ loquent {' '.join(words)}", flush=True)
    code = run(words)
    if code != 0:
        raise LoquentError(f"`loquent {' '.join(words)}` ended with exit code {code}; see above.")
