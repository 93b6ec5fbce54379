"""All measurements of `loquent bench`, by name."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch

from loquent.bench import operations, person, speech
from loquent.bench.clock import Case, measure
from loquent.bench.person import Person
from loquent.bench.rows import Row, append_row, check_results_file, new_row
from loquent.errors import InputError
from loquent.progress import Progress

CPU = torch.device("cpu")
OF_PERSON: Mapping[str, Callable[[Person], Case]] = MappingProxyType(
    {
        "triplane_render": operations.triplane_render,
        "triplane_train": operations.triplane_train,
        "grid_render": operations.grid_render,
        "grid_train": operations.grid_train,
        "torso_grid_train": operations.torso_grid_train,
        "march_render": operations.march_render,
        "march_train": operations.march_train,
        "composite_render": operations.composite_render,
        "composite_train": operations.composite_train,
        "distortion_train": operations.distortion_train,
        "head_step": person.head_step,
        "torso_step": person.torso_step,
        "frame": person.frame,
        "folded_head": person.folded_head,
    }
)
"""What needs a person, if a made-up one, to train and to render."""
OF_SOUND: Mapping[str, Callable[[], Case]] = MappingProxyType(
    {name: partial(speech.features, name) for name in ("log_mel", "phonetic", "phonetic_causal")}
)
MEASUREMENTS = (*OF_PERSON, *OF_SOUND)
"""Names that `--only` takes."""
SIZES = (32, 2048)
"""Smallest and largest pictures."""


def run(
    names: Sequence[str] = MEASUREMENTS,
    *,
    repeats: int = 5,
    size: int = 450,
    results: Path | None = None,
    device: torch.device = CPU,
    warm_up_steps: int = person.WARM_UP_STEPS,
) -> list[Row]:
    """Make measurements, one after the other.

    Args:
        names: which of `MEASUREMENTS`.
        repeats: rounds of each.
        size: rows and columns of the pictures that are trained on and rendered.
        results: a file that gets a line for every measurement as soon as it is made.
        device: where fields and operations compute; speech features are always computed on the CPU.
        warm_up_steps: steps that the made-up person is trained for first.

    Raises:
        InputError: there is no such measurement, a number is out of range, or `results` holds something else.
        LoquentError: competitors do not compute the same.
        OutputError: `results` cannot be written.
    """
    unknown = sorted(set(names) - set(MEASUREMENTS))
    if unknown or not names:
        raise InputError(
            f"There is no measurement {', '.join(unknown) or 'named'}. There is: {', '.join(MEASUREMENTS)}."
        )
    if repeats < 1 or not SIZES[0] <= size <= SIZES[1]:
        raise InputError(
            f"Wanted are at least 1 repeat and pictures of {SIZES[0]} to {SIZES[1]} pixels; got --repeats {repeats} and "
            f"--size {size}."
        )
    if results is not None:
        check_results_file(results)
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress("Measuring", len(names) * (repeats + 2), unit="round") as bar,
    ):
        somebody: Person | None = None
        for name in names:
            bar.advance(0, note=name)
            if name in OF_SOUND:
                case, where = OF_SOUND[name](), CPU
            else:
                somebody = somebody or Person(Path(folder), size, device, warm_up_steps)
                case, where = OF_PERSON[name](somebody), device
            figures = measure(case, repeats, where, bar.advance)
            row = new_row(name, case, figures, size=size, repeats=repeats, device=where)
            if results is not None:
                append_row(results, row)
            rows.append(row)
    return rows
