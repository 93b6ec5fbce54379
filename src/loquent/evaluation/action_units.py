"""AUE, action unit error: does the face move as the real one, by OpenFace's facial action units? (SPEC 5.1)

OpenFace is a program of its own: run its FeatureExtraction on both videos and give both CSV files.
"""

from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from loquent.errors import InputError
from loquent.tables import number, read_text, table_rows

ACTION_UNITS: Final = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
"""Facial action units whose intensity (0 to 5) OpenFace estimates."""


def read_action_units(path: Path) -> Float[np.ndarray, "frames 17"]:
    """Intensities from a CSV file of OpenFace's FeatureExtraction, one row a video frame.

    Raises:
        InputError: it cannot be read, lacks an action unit, or holds something that is not a number.
    """
    advice = "Run OpenFace's FeatureExtraction on the video again and give its CSV file."
    text = read_text(path)
    try:
        rows = table_rows(text, [f"AU{unit:02d}_r" for unit in ACTION_UNITS])
    except ValueError as cause:
        raise InputError(f"{path} is no output of OpenFace ({cause}). {advice}") from cause
    if not rows:
        raise InputError(f"{path} holds no frame, only column names. {advice}")
    try:
        units = np.array([[number(cell) for cell in row.values()] for row in rows.values()])
    except ValueError as cause:
        raise InputError(f"{path} holds an action unit that is not a number ({cause}). {advice}") from cause
    bad = ~np.isfinite(units).all(axis=1)
    if bad.any():
        line = list(rows)[int(bad.argmax())]
        raise InputError(f"{path} holds NaN or infinite action units, first in line {line}. {advice}")
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
