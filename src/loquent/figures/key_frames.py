"""Key frames beside the real ones, and their mouths close up (ER-NeRF, Figure 5)."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Int, UInt8

from loquent.data.clip import Clip
from loquent.evaluation.held_out import Picture, mouth_boxes
from loquent.figures.panels import Panels
from loquent.figures.subject import Moments, Subject, time_label
from loquent.media.images import to_bytes

N_KEY_FRAMES = 6
_CLOSE_UP = 0.62
"""Height of a close-up as a share of its width."""


def draw_key_frames(subjects: Sequence[Subject], clip: Clip, moments: Moments) -> tuple[Panels, list[str]]:
    """The spread moments, real and as each portrait shows them from the sound: whole, then the mouths alone."""
    boxes = mouth_boxes(clip)
    rows: list[tuple[str, list[Picture]]] = [
        ("real", [to_bytes(clip.target(clip.held_out_frames[k])) for k in moments.spread])
    ]
    rows += [(subject.name, [subject.picture(clip, k) for k in moments.spread]) for subject in subjects]
    without = [subject.name for subject in subjects if subject.portrait.torso is None]
    caption = (
        f"Held-out frames of {clip.info.name}; lips moved by the sound alone, head pose and blinks as in the real frames, "
        "head and torso rendered. From each of several stretches of time, in turn, the frame with the lips farthest apart and "
        "closest together. Below: the mouths close up."
    )
    if without:
        caption += f" Over the real torso, for lack of their own: {', '.join(without)}."
    n = len(rows)
    ratios = [clip.info.height / clip.info.width] * n + [_CLOSE_UP] * n
    gaps = [0.0, *[0.06] * (n - 1), 0.14, *[0.06] * (n - 1)]
    panels = Panels(len(moments.spread), ratios, caption=caption, gaps_in=gaps, width_in=1.75)
    for row, (name, pictures) in enumerate(rows):
        panels.name_row(row, name)
        panels.name_row(n + row, f"{name}, mouth")
        for column, (picture, k) in enumerate(zip(pictures, moments.spread, strict=True)):
            panels.show(row, column, picture)
            panels.show(n + row, column, close_up(picture, boxes[k]))
    for column, k in enumerate(moments.spread):
        panels.name_column(column, time_label(clip, k))
    return panels, []


def close_up(picture: Picture, mouth: Int[np.ndarray, "4"]) -> UInt8[np.ndarray, "rows columns 3"]:
    """The mouth's surroundings: a cut-out of one shape around the rectangle (top, bottom, left, right)."""
    top, bottom, left, right = (float(edge) for edge in mouth)
    width = max(right - left, (bottom - top) / _CLOSE_UP, 4.0)
    size = (round(width), round(width * _CLOSE_UP))
    # What lies beyond the picture repeats its border.
    return np.asarray(cv2.getRectSubPix(picture, size, ((left + right - 1) / 2, (top + bottom - 1) / 2)))
