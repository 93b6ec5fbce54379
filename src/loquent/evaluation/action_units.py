"""AUE, action unit error: does the face move as the real one, by OpenFace's facial action units? (SPEC 5.1)

OpenFace is a program of its own: run its FeatureExtraction on both videos and give both CSV files.
"""

import csv
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from loquent.errors import InputError

ACTION_UNITS: Final = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
"""Facial action units whose intensity (0 to 5) OpenFace estimates."""


def read_action_units(path: Path) -> Float[np.ndarray, "frames 17"]:
    """Intensities from a CSV file of OpenFace's FeatureExtraction, one row a video frame.

    Raises:
        InputError: it cannot be read, lacks an action unit, or holds something that is not a number.
    """
    advice = "Run OpenFace's FeatureExtraction on the video again and give its CSV file."
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            names = [name.strip() for name in next(rows, [])]
            values = [row for row in rows if row]
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise InputError(f"{path} cannot be read as CSV ({cause}). {advice}") from cause
    wanted = [f"AU{unit:02d}_r" for unit in ACTION_UNITS]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}, so it is no output of OpenFace. {advice}")
    if not values:
        raise InputError(f"{path} holds no frame, only column names. {advice}")
    columns = [names.index(name) for name in wanted]
    try:
        units = np.array([[float(row[column]) for column in columns] for row in values])
    except (ValueError, IndexError) as cause:
        raise InputError(f"{path} holds an action unit that is not a number ({cause}). {advice}") from cause
    if not np.isfinite(units).all():
        bad = int(np.flatnonzero(~np.isfinite(units).all(axis=1))[0])
        raise InputError(f"{path} holds NaN or infinite action units, first in row {bad + 2}. {advice}")
    return units


def action_unit_error(
    rendered: Float[np.ndarray, "frames units"], truth: Float[np.ndarray, "frames_of_truth units"]
) -> float:
    """Sum over the units of the mean squared difference over frames; 0 = equal.

    Raises:
        InputError: they differ in length.
    """
    if len(rendered) != len(truth):
        raise InputError(
            f"The action units of both videos must have as many rows, but one has {len(rendered)} and the other {len(truth)}. "
            "Run OpenFace on the same frames of both."
        )
    return float(np.square(rendered - truth).mean(axis=0).sum())
