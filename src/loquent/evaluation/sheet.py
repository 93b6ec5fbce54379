"""The contact sheet of held-out frames: real, rendered and error in rows, the mouths enlarged below."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int, UInt8

ERROR_GAIN = 4
"""Errors are shown this many times enlarged, as distance from grey."""
COLUMN_PX = 200
"""Width of a picture on the sheet."""
COLUMNS = 8
"""Pictures side by side."""
LABEL_PX, LINE_PX, GAP_PX = 110, 18, 4
"""Width of the labels to the left, height of a line of text, room between pictures."""
INK, PAPER = (30, 30, 30), 245
"""Colours of text and ground."""


@dataclass
class SheetRow:
    """The pictures of one setting on the sheet; the first row is the truth."""

    name: str
    pictures: list[UInt8[np.ndarray, "height width 3"]]
    frame_ids: list[int]
    psnr_db: list[float]


def draw_sheet(rows: list[SheetRow], mouths: Int[np.ndarray, "columns 4"]) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the sheet.

    Args:
        rows: the truth, then each setting, with the same number of pictures.
        mouths: the mouth's rectangle on each column's pictures (top, bottom, left, right).
    """
    truth = rows[0]
    strips = [picture_strip(truth.name, truth.pictures, [f"frame {frame}" for frame in truth.frame_ids])]
    for row in rows[1:]:
        captions = [f"{value:.1f} dB" if math.isfinite(value) else "equal" for value in row.psnr_db]
        strips.append(picture_strip(row.name, row.pictures, captions))
        errors = [_error(ours, theirs) for ours, theirs in zip(row.pictures, truth.pictures, strict=True)]
        strips.append(picture_strip(f"error x{ERROR_GAIN}", errors))
    strips += [mouth_strip(f"mouth, {row.name}", row.pictures, mouths) for row in rows]
    return np.concatenate(strips)


def picture_strip(
    name: str, pictures: Sequence[UInt8[np.ndarray, "height width 3"]], captions: Sequence[str] = ()
) -> UInt8[np.ndarray, "rows columns 3"]:
    """One row of a sheet: a label, then pictures of one shape, each with a caption above it if there are any."""
    height, width = pictures[0].shape[:2]
    rows, top = round(COLUMN_PX * height / width), LINE_PX if captions else 0
    strip = np.full((top + rows + GAP_PX, LABEL_PX + len(pictures) * (COLUMN_PX + GAP_PX), 3), PAPER, np.uint8)
    write(strip, name, (6, top + rows // 2))
    for column, picture in enumerate(pictures):
        left = LABEL_PX + column * (COLUMN_PX + GAP_PX)
        resized = cv2.resize(picture, (COLUMN_PX, rows), interpolation=_method(width))
        strip[top : top + rows, left : left + COLUMN_PX] = resized
        if captions:
            write(strip, captions[column], (left, top - 5))
    return strip


def mouth_strip(
    name: str,
    pictures: Sequence[UInt8[np.ndarray, "height width 3"]],
    mouths: Iterable[Int[np.ndarray, "4"]],
) -> UInt8[np.ndarray, "rows columns 3"]:
    """The same of the pictures' mouths, around each one's rectangle (top, bottom, left, right)."""
    boxes = [_mouth_box(mouth, *pictures[0].shape[:2]) for mouth in mouths]
    cut_out = [
        cv2.resize(picture[top:bottom, left:right], (COLUMN_PX, COLUMN_PX // 2), interpolation=_method(right - left))
        for picture, (top, bottom, left, right) in zip(pictures, boxes, strict=True)
    ]
    return picture_strip(name, cut_out)


def write(picture: UInt8[np.ndarray, "height width 3"], text: str, place: tuple[int, int]) -> None:
    """Write small ASCII letters at (column, row) into a picture."""
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)


def _method(width: int) -> int:
    """How a picture of this width comes to `COLUMN_PX`."""
    return cv2.INTER_AREA if width > COLUMN_PX else cv2.INTER_CUBIC


def _mouth_box(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """A rectangle twice as wide as high around the mouth's, inside the picture as far as that fits."""
    top, bottom, left, right = (int(edge) for edge in box)
    rows = max(bottom - top, (right - left + 1) // 2, 2)
    rows = min(rows, height, width // 2)
    top = min(max((top + bottom - rows) // 2, 0), height - rows)
    left = min(max((left + right) // 2 - rows, 0), width - 2 * rows)
    return top, top + rows, left, left + 2 * rows


def _error(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Grey where both agree, lighter where the rendering is too light."""
    difference = ours.astype(np.int16) - theirs
    return np.asarray((128 + ERROR_GAIN * difference).clip(0, 255), dtype=np.uint8)
