"""What was found: a table for people, and lines of a file (one JSON object a line) for comparisons over time."""

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from loquent import __version__
from loquent.bench.clock import Case, Figures
from loquent.compilation import n_kernel_threads
from loquent.devices import device_name
from loquent.errors import InputError
from loquent.storage import check_file_place, write_bytes

FORMAT = "loquent.bench"
VERSION = 1


@dataclass(frozen=True)
class Row:
    """One measurement: a line of a results file."""

    measurement: str
    """Its name, as `--only` takes it."""
    what: str
    """What a call did, with its sizes."""
    unit: str
    """What `per_second` counts."""
    against: str
    """The competitor that the others' ratios are of."""
    competitors: Mapping[str, Figures]
    """Figures by competitor."""
    size: int
    """Rows and columns of the pictures of this run."""
    repeats: int
    """Rounds."""
    device: str
    """Name of the processor, or of the graphics card."""
    cores: int
    """Cores that this process may use."""
    threads: int
    """Threads of PyTorch."""
    kernel_threads: int
    """Threads of the operations' Numba bodies."""
    load: float
    """The machine's load in the last minute (as `uptime` shows it), this run's own included: much more than its threads
    means that others computed too."""
    date: str
    """When it was measured, UTC."""
    commit: str | None
    """Of Loquent's own checkout, with ``-dirty`` if files differ from it; None where it was installed without."""
    versions: dict[str, str]
    """Of what computes."""

    def line(self) -> str:
        """The JSON object, in one line."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, allow_nan=False)


def check_results_file(path: Path) -> None:
    """Check, before minutes are spent, that rows can be added to the file `path`; it need not be there.

    Raises:
        InputError: it is a folder, lies below a file, or holds something else than such rows.
    """
    check_file_place(path)
    if path.exists():
        _earlier(path)


def append_row(path: Path, row: Row) -> None:
    """Add a line to the file `path`: it then holds the earlier lines and this one, or, if that fails, the earlier ones.

    Raises:
        InputError: the file holds something else than such rows.
        OutputError: it cannot be written.
    """
    earlier = _earlier(path) if path.exists() else b""
    write_bytes(path, earlier + row.line().encode() + b"\n")


def print_rows(rows: Sequence[Row]) -> None:
    """Print a table, one line a competitor, and what it was measured on."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("")
    for column in ("ms a call", "quartiles", "a second", "times as fast", "MiB"):
        table.add_column(column, justify="right")
    for row in rows:
        for name, figures in row.competitors.items():
            low, high = (1000 * value for value in figures.quartiles_s)
            table.add_row(
                row.measurement if name == row.against else "",
                name,
                _short(1000 * figures.seconds),
                f"{_short(low)}–{_short(high)}",
                _short(figures.per_second),
                "" if name == row.against else "{:.3g} ({:.3g}–{:.3g})".format(figures.ratio, *figures.ratio_quartiles),
                "–" if figures.peak_mib is None else f"{figures.peak_mib:.0f}",
            )
    console = Console(highlight=False)
    console.print(table)
    for row in rows:
        console.print(f"{row.measurement}: {row.what}; {row.unit} a second.", markup=False)
    found, last = rows[0], rows[-1]
    console.print(
        f"{found.device}, {found.cores} cores, {found.threads} threads of PyTorch, {found.kernel_threads} of Numba; load "
        f"{last.load:.1f} in the last minute. {', '.join(f'{name} {text}' for name, text in found.versions.items())}"
        f"{f', commit {found.commit}' if found.commit else ''}.",
        markup=False,
    )
    console.print(
        f"Medians of {last.repeats} rounds in which all took turns, with first and third quartiles; times as fast as the "
        "first of each group in the same round; MiB: what a call added to the memory held before."
    )


def new_row(
    measurement: str, case: Case, competitors: Mapping[str, Figures], *, size: int, repeats: int, device: torch.device
) -> Row:
    """The row of what was measured just now on `device`."""
    return Row(
        measurement=measurement,
        what=case.what,
        unit=case.unit,
        against=next(iter(competitors)),
        competitors=competitors,
        size=size,
        repeats=repeats,
        device=device_name(device),
        cores=len(os.sched_getaffinity(0)),
        threads=case.threads or torch.get_num_threads(),
        kernel_threads=n_kernel_threads(),
        load=round(os.getloadavg()[0], 2),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=_commit(),
        versions={
            "loquent": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numba", "numpy")},
        },
    )


def _earlier(path: Path) -> bytes:
    """The lines of a results file, checked."""
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise InputError(
            f"{path} cannot be read ({cause.strerror}), so no rows can be added. Name another file."
        ) from cause
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            fields: Any = json.loads(line)
        except ValueError:
            fields = None
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise InputError(
                f"Line {number} of {path} is no row of `loquent bench`, so nothing was added. Name another file, or mend "
                "that line."
            )
    return content if not content or content.endswith(b"\n") else content + b"\n"


def _commit() -> str | None:
    """The commit of the checkout that this code lies in, unless the checkout is another program's."""
    here = Path(__file__)

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", here.parent, *words], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):  # no git, no checkout, or not of this file
            return None
        return done.stdout.strip()

    if git("ls-files", "--error-unmatch", here.name) is None:
        return None
    return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*")


def _short(value: float) -> str:
    """Three digits, and thousands by a letter."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= factor:
            return f"{value / (1e3 if letter == 'k' else factor):.3g} {letter}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
