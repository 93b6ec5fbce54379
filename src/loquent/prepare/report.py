"""What `prepare` and `doctor` show on the terminal."""

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from loquent.data.clip import Clip
from loquent.data.findings import Finding
from loquent.progress import Progress

_COLOURS = {"go": "green", "warn": "yellow", "no-go": "bold red"}


class Bars:
    """Draws one bar for the whole run and one for the step that is running."""

    def __init__(self) -> None:
        self._whole: Progress | None = None
        self._step: Progress | None = None

    def __enter__(self) -> "Bars":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in (self._step, self._whole):
            if bar is not None:
                bar.__exit__(kind, error, trace)

    def start(self, step: str, title: str, number: int, n_steps: int) -> None:
        """A step begins."""
        if self._whole is None:
            self._whole = Progress("Preparing", n_steps, unit="step").__enter__()
        self._step = Progress(f"{title} ({number}/{n_steps})", unit="frame").__enter__()

    def advance(self, done: int, total: int) -> None:
        """It has done `done` of `total` frames (0 = not known)."""
        assert self._step is not None
        self._step.set(done, total=total or None)

    def finish(self, step: str, *, skipped: bool) -> None:
        """It is done, or was done before."""
        assert self._step is not None
        assert self._whole is not None
        self._step.__exit__(None, None, None)
        self._step = None
        self._whole.advance(note="found done" if skipped else "")


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
            console.print(Padding(meaning, (0, 0, 0, 26)), style="dim" if finding.verdict == "go" else "")


def print_clip(clip: Clip) -> None:
    """Say what a clip folder holds and what is doubtful about it."""
    info = clip.info
    print_findings(info.findings, only_doubts=True)
    lag = (
        f"{info.sound_offset_s:+.2f} s of lag between lips and sound taken out"
        if info.sound_offset_s
        else "sound left as it was"
    )
    print(
        f"{clip.folder}: {clip.n_frames} of {info.n_source_frames} frames usable at {info.width}x{info.height}, "
        f"{info.n_train} of them for training; {lag}. Look at {clip.folder / 'preview.jpg'}."
    )
