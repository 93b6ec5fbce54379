"""What `evaluate` and `score` print and write: one table, figures down, sets of pictures across."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loquent.evaluation.driven_lips import DrivenRow
from loquent.evaluation.evaluate import Evaluation
from loquent.evaluation.held_out import LipSource
from loquent.evaluation.other_voice import OtherVoice
from loquent.evaluation.score import Score
from loquent.evaluation.scores import Figures, Row
from loquent.storage import write_json

PAPERS_NOTE = (
    "The papers' figures are for other frames, after hours of training on a GPU (ER-NeRF: PSNR 35.607 dB for head, 26.594 dB "
    "for full, on 728 frames of its authors' Obama video). Their LMD uses the FAN detector, so it cannot be compared."
)
"""What must be known before these figures are held against the papers'."""


AnyRow = Row | DrivenRow


def _lip(pick: str, style: str) -> Callable[[AnyRow], str]:
    def show(row: AnyRow) -> str:
        value = getattr(row.lips, pick, None)
        return "–" if value is None else format(value, style)

    return show


def _plain(pick: str, style: str, factor: float = 1.0) -> Callable[[AnyRow], str]:
    """Show a figure; `pick` may name one of a part, as in ``visemes.shut.share``."""

    def show(row: AnyRow) -> str:
        value: Any = row
        for name in pick.split("."):
            value = getattr(value, name, None)
        if value is None or value != value:
            return "–"
        return "∞" if value == float("inf") else format(value if factor == 1 else factor * value, style)

    return show


_LINES: tuple[tuple[str, Callable[[AnyRow], str]], ...] = (
    ("PSNR, whole picture (dB)", _plain("psnr_db", ".2f")),
    ("PSNR, head (dB)", _plain("head_psnr_db", ".2f")),
    ("PSNR, no background (dB)", _plain("person_psnr_db", ".2f")),
    ("PSNR, mouth (dB)", _plain("mouth_psnr_db", ".2f")),
    ("SSIM", _plain("ssim", ".4f")),
    ("FLIP", _plain("flip", ".4f")),
    ("LPIPS (alex)", _plain("lpips_alex", ".4f")),
    ("LPIPS (vgg)", _plain("lpips_vgg", ".4f")),
    ("FID", _plain("fid", ".2f")),
    ("seam error (levels/px)", _plain("seam", ".2f")),
    ("jitter (levels)", _plain("jitter", ".2f")),
    ("LMD (px)", _plain("lmd_px", ".2f")),
    ("LMD (% of eye distance)", _plain("lmd_share", ".2f", 100.0)),
    ("lip correlation", _lip("correlation", ".2f")),
    ("  by chance below", _lip("chance_correlation", ".2f")),
    ("  largest at lag (frames)", _lip("lag_frames", "+d")),
    ("  there", _lip("best_correlation", ".2f")),
    ("lip width, correlation", _plain("width_correlation", ".2f")),
    ("lip movement (std)", _lip("opening_std", ".4f")),
    ("lip opening in silence", _plain("silence_opening", ".3f")),
    ("Sync confidence", _plain("sync_confidence", ".2f")),
    ("Sync distance", _plain("sync_distance", ".2f")),
    ("AUE (OpenFace)", _plain("aue", ".3f")),
    ("blendshape error", _plain("blendshape_error", ".3f")),
    ("frames with both faces", _lip("n_frames", "d")),
    ("faces not found", _plain("n_faces_missed", ".0f")),
    ("ms per frame", _plain("ms_per_frame", ".0f")),
)
_DRIVEN_LINES: tuple[tuple[str, Callable[[AnyRow], str]], ...] = (
    ("bilabials (p b m)", _plain("visemes.n_bilabials", "d")),
    ("lips meet (film's lowest quarter)", _plain("visemes.met.share", ".2f")),
    ("  by chance", _plain("visemes.met.chance", ".2f")),
    ("  95 % of chance below", _plain("visemes.met.chance_high", ".2f")),
    ("lips shut (person's lowest quarter)", _plain("visemes.shut.share", ".2f")),
    ("  by chance", _plain("visemes.shut.chance", ".2f")),
    ("  95 % of chance below", _plain("visemes.shut.chance_high", ".2f")),
    ("open vowels", _plain("visemes.n_open_vowels", "d")),
    ("  opening", _plain("visemes.open_vowels", ".2f")),
    ("  shut by mistake", _plain("visemes.open_vowels_shut", ".2f")),
    ("close vowels", _plain("visemes.n_close_vowels", "d")),
    ("  opening", _plain("visemes.close_vowels", ".2f")),
    ("open wider than close (chance 0.50)", _plain("visemes.vowel_order", ".2f")),
    ("order of visemes (rank correlation)", _plain("visemes.viseme_order", ".2f")),
    ("correlation with usual lips", _plain("usual.correlation", ".2f")),
    ("  unrelated lips below", _plain("usual.chance_correlation", ".2f")),
    ("  largest at lag (frames)", _plain("usual.lag_frames", "+d")),
    ("  correlation there", _plain("usual.best_correlation", ".2f")),
    ("opening in silence (% of wide)", _plain("silence_opening", ".0f", 100.0)),
    ("widest opening (% of wide)", _plain("widest", ".0f", 100.0)),
    ("outside the person's range (%)", _plain("outside", ".1f", 100.0)),
    ("lip correlation with the speaker", _lip("correlation", ".2f")),
    ("  speaker: unrelated lips below", _lip("chance_correlation", ".2f")),
    ("  speaker: largest at lag (frames)", _lip("lag_frames", "+d")),
    ("  speaker: correlation there", _lip("best_correlation", ".2f")),
    ("LMD to the speaker (% of eye distance)", _plain("lmd_share", ".2f", 100.0)),
    ("Sync confidence", _plain("sync_confidence", ".2f")),
    ("Sync distance", _plain("sync_distance", ".2f")),
    ("frames", _plain("n_frames", "d")),
    ("faces not found", _plain("n_faces_missed", "d")),
    ("ms per frame", _plain("ms_per_frame", ".0f")),
)
_LIPS_COME: dict[LipSource, str] = {
    "sound": "come from the sound",
    "tracked landmarks": "follow the clip's own landmarks of these frames",
    "landmark file": "follow the landmarks of a file",
}
_MEANINGS = (
    "LMD by MediaPipe. Seam: gradient error along the border of head and torso. Jitter: change per frame where the real pixels "
    "stand still. Lip openings and widths are in eye distances, high-passed at 0.5 Hz; positive lag: the lips are late."
)


def print_evaluation(evaluation: Evaluation, *, stream: TextIO | None = None) -> None:
    """Print the table and what explains it, to standard output unless another stream is named."""
    console = Console(file=stream or sys.stdout, highlight=False)
    rows = evaluation.rows
    by = "" if evaluation.lips_from == "sound" else f", LIPS MOVED BY {evaluation.lips_from.upper()}, NOT BY SOUND"
    console.print(f"{evaluation.clip}: {evaluation.n_held_out} held-out frames{by}", markup=False)
    console.print(_table(rows, _LINES))
    _print_notes(console, evaluation.notes)
    console.print(
        f"{evaluation.fps:.3g} frames/s ({evaluation.fps_setting}, {evaluation.width}x{evaluation.height}) on "
        f"{evaluation.device}, {evaluation.n_threads} threads. Portrait file {evaluation.file_mib:.2f} MiB; "
        f"{evaluation.n_head_parameters:,} parameters in the head, {evaluation.n_torso_parameters:,} in the torso."
    )
    console.print(
        "head: the rendered head over the real torso and background; full: everything rendered; recompressed: the real frames "
        "as JPEG, the detector's own error; shuffled: the same sound in another order; tracked: lips as they were on these "
        f"frames. Pose, blinks and brows are the clip's, the lips {_LIPS_COME[evaluation.lips_from]}. {_MEANINGS}"
    )
    console.print(PAPERS_NOTE)
    _print_missing(console, evaluation.missing)


def print_score(score: Score, *, stream: TextIO | None = None) -> None:
    """Print the table and what explains it, to standard output unless another stream is named."""
    console = Console(file=stream or sys.stdout, highlight=False)
    console.print(
        f"{score.video} against {score.against}: {score.n_frames} frames, {score.width}x{score.height}", markup=False
    )
    console.print(_table(score.rows, _LINES))
    _print_notes(console, score.notes)
    console.print(f"{_MEANINGS} Head and background are told apart by MediaPipe on the real frames.")
    _print_missing(console, score.missing)


def print_other_voice(figures: OtherVoice, *, stream: TextIO | None = None) -> None:
    """Print the table and what explains it, to standard output unless another stream is named."""
    console = Console(file=stream or sys.stdout, highlight=False)
    console.print(
        f"{figures.clip} driven by {figures.sound} ({figures.seconds:.1f} s), phones: {figures.phones}", markup=False
    )
    console.print(_table(figures.rows, _DRIVEN_LINES))
    _print_notes(console, figures.notes)
    console.print(
        "person: the clip's real frames and own sound, the best to expect; speaker: the film that came with the sound; head, "
        "full: the portrait driven by the sound; shuffled: by the same sound in another order. Openings are in the person's "
        f"range: 0 is the 5th percentile ({figures.person.rest:.3f} eye distances), 1 or wide the 95th "
        f"({figures.person.wide:.3f}). A closure counts within one frame of its phone; chance: the same ones shifted in time. "
        "Usual lips: the course that a table of openings gives these phones; positive lag: the lips are late."
    )
    console.print(
        f"Rendered at {figures.width}x{figures.height} on {figures.device}, {figures.n_threads} threads, at the clip's poses."
    )
    _print_missing(console, figures.missing)


def write_report(path: Path, figures: Figures[Any]) -> None:
    """Write all figures as JSON, whole or not at all; infinite and missing ones are null."""
    write_json(path, figures.to_json())


def _table(rows: Sequence[AnyRow], lines: Sequence[tuple[str, Callable[[AnyRow], str]]]) -> Table:
    """Figures down, rows across; a line that no row has a figure for is left out."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for row in rows:
        table.add_column(Text(row.name), justify="right")
    for label, show in lines:
        cells = [show(row) for row in rows]
        if set(cells) != {"–"}:
            table.add_row(label, *cells)
    return table


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        console.print(f"Note: {note}", markup=False)


def _print_missing(console: Console, missing: Mapping[str, str]) -> None:
    for metric, reason in missing.items():
        # Not wrapped by us, so that an address can be copied.
        console.print(f"Not measured: {metric}; {reason}.", markup=False, soft_wrap=True)
