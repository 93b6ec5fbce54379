"""`loquent demo`: the public commands, one after the other, on a film of the procedural actor."""

from pathlib import Path

from loquent.errors import LoquentError
from loquent.progress import Progress


def run_demo(out: Path, *, seconds: float, size: int, minutes: float, seed: int) -> None:
    """Make the actor's film and a second sound, then prepare, train, render and evaluate as on any other video.

    Args:
        out: folder for everything; results are ``speaking.mp4``, ``actor.portrait``, ``sheet.png`` and ``figures.json``.
        seconds: length of the actor's film.
        size: rows and columns of its pictures.
        minutes: training time.
        seed: who the actor is and what is said.

    Raises:
        LoquentError: a command failed; it has printed why.
    """
    from loquent.actor.film import film, film_voice

    out.mkdir(parents=True, exist_ok=True)
    video, voice = out / "actor.mp4", out / "other_sentence.wav"
    clip, portrait = out / "clip", out / "actor.portrait"
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


def _run(*words: str) -> None:
    from loquent.cli import main

    print(f"\n$ loquent {' '.join(words)}", flush=True)
    code = main(words)
    if code != 0:
        raise LoquentError(f"`loquent {' '.join(words)}` ended with exit code {code}; see above.")
