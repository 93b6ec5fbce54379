"""What `prepare` and `doctor` show on the terminal."""

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from loquent.data.clip import Clip, ClipInfo
from loquent.data.findings import Finding
from loquent.prepare.sound_offset import APPLY_FROM
from loquent.progress import Progress

SHOWN_S = 0.01
"""Delays below this are not worth a word."""
_COLOURS = {"go": "green", "warn": "yellow", "no-go": "bold red"}


class Bars:
    """Draws one bar for the whole run and one for the step that is running."""

    def __init__(self) -> None:
        self._whole: Progress | None = None
        self._step: Progress | None = None
        self._ends: list[float] = [0.0]  # share of the whole that is done after each step
        self._number = 0
        self.n_kept = 0
        """Steps that an earlier run had done."""

    def __enter__(self) -> "Bars":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in (self._step, self._whole):
            if bar is not None:
                bar.__exit__(kind, error, trace)

    def plan(self, efforts: Sequence[float]) -> None:
        """The run begins; the steps will take times in this proportion."""
        self._ends += [sum(efforts[: k + 1]) / sum(efforts) for k in range(len(efforts))]
        self._whole = Progress("Preparing", 100, unit="%").__enter__()

    def start(self, title: str, number: int) -> None:
        """Step `number`, counted from 1, begins."""
        self._number = number
        self._step = Progress(f"{title} ({number}/{len(self._ends) - 1})", unit="frame").__enter__()

    def advance(self, done: int, total: int) -> None:
        """It has done `done` of `total` frames (0 = not known)."""
        assert self._step is not None
        self._step.set(done, total=total or None)
        self._show_whole(min(1.0, done / total) if total else 0.0)

    def finish(self, step: str, number: int, *, skipped: bool) -> None:
        """It is done, or was done before."""
        assert self._step is not None
        self.n_kept += skipped
        self._step.__exit__(None, None, None)
        self._step = None
        self._show_whole(1.0)

    def _show_whole(self, share_of_step: float) -> None:
        assert self._whole is not None
        before, after = self._ends[self._number - 1], self._ends[self._number]
        self._whole.set(100 * (before + share_of_step * (after - before)))


def print_findings(findings: Sequence[Finding], *, only_doubts: bool = False) -> None:
    """Show findings, one a line, with meaning and cure below where there is a doubt; `only_doubts` leaves the others out."""
    console = Console(file=sys.stdout, highlight=False)
    for finding in findings:
        if only_doubts and finding.verdict == "go":
            continue
        console.print(
            Text(f"{finding.verdict:<6}", style=_COLOURS[finding.verdict]),
            Text(f"{finding.name:<18} {finding.figure}"),
            soft_wrap=True,
        )
        meaning = f"{finding.message} {finding.cure}".strip()
        if meaning:
            console.print(Padding(Text(meaning), (0, 0, 0, 26)), style="dim" if finding.verdict == "go" else "")


def print_clip(clip: Clip, n_kept: int = 0) -> None:
    """Say what a clip folder holds and what is doubtful about it, and how many steps of an earlier run were kept."""
    info = clip.info
    print_findings(info.findings, only_doubts=True)
    print(
        f"{clip.folder}: {clip.n_frames} of {info.n_source_frames} frames usable at {info.width}x{info.height}, "
        f"{info.n_train} of them for training; {_lag(info)}. Look at {clip.folder / 'preview.jpg'}."
    )
    if n_kept:
        print(f"{n_kept} steps of an earlier run were kept.")


def _lag(info: ClipInfo) -> str:
    """What was done about the delay between lips and sound."""
    offset_s = info.sound_offset_s
    if abs(offset_s) >= SHOWN_S:
        return f"sound moved, it was {abs(offset_s):.2f} s {'late' if offset_s > 0 else 'early'}"
    return "sound and lips in step" if info.sound_offset_confidence >= APPLY_FROM else "sound left as it was"
