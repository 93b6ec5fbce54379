"""The contact sheet: held-out frames in columns; real, rendered and error in rows, and the mouths enlarged below."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int, UInt8

ERROR_GAIN = 4
"""Errors are shown this many times enlarged, as distance from grey."""
COLUMN_PX = 200
"""Width of a picture on the sheet."""
_LABEL_PX, _LINE_PX, _GAP_PX = 110, 18, 4
_INK, _PAPER = (30, 30, 30), 245


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
    height, width = truth.pictures[0].shape[:2]
    size = (round(COLUMN_PX * height / width), COLUMN_PX)
    strips = [_strip(truth.name, truth.pictures, [f"frame {frame}" for frame in truth.frame_ids], size)]
    for row in rows[1:]:
        captions = [f"{value:.1f} dB" if math.isfinite(value) else "equal" for value in row.psnr_db]
        strips.append(_strip(row.name, row.pictures, captions, size))
        errors = [_error(ours, theirs) for ours, theirs in zip(row.pictures, truth.pictures, strict=True)]
        strips.append(_strip(f"error x{ERROR_GAIN}", errors, [], size))
    boxes = [_even(box, height, width) for box in mouths]
    for row in rows:
        cut = [picture[b[0] : b[1], b[2] : b[3]] for picture, b in zip(row.pictures, boxes, strict=True)]
        strips.append(_strip(f"mouth, {row.name}", cut, [], (COLUMN_PX // 2, COLUMN_PX)))
    return np.concatenate(strips)


def _strip(name: str, pictures: list[np.ndarray], captions: list[str], size: tuple[int, int]) -> np.ndarray:
    """One row of the sheet: a label, then pictures of `size` (rows, columns), each with a caption above it if there is one."""
    top = _LINE_PX if captions else 0
    strip = np.full((top + size[0] + _GAP_PX, _LABEL_PX + len(pictures) * (size[1] + _GAP_PX), 3), _PAPER, np.uint8)
    _write(strip, name, (6, top + size[0] // 2))
    for column, picture in enumerate(pictures):
        left = _LABEL_PX + column * (size[1] + _GAP_PX)
        method = cv2.INTER_AREA if picture.shape[1] > size[1] else cv2.INTER_CUBIC
        strip[top : top + size[0], left : left + size[1]] = cv2.resize(picture, size[::-1], interpolation=method)
        if captions:
            _write(strip, captions[column], (left, top - 5))
    return strip


def _write(picture: np.ndarray, text: str, place: tuple[int, int]) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)


def _error(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Grey where both agree, lighter where the rendering is too light."""
    difference = ours.astype(np.int16) - theirs
    return np.asarray((128 + ERROR_GAIN * difference).clip(0, 255), dtype=np.uint8)


def _even(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """A rectangle twice as wide as high around the mouth's, inside the picture as far as that fits."""
    top, bottom, left, right = (int(edge) for edge in box)
    rows = max(bottom - top, (right - left + 1) // 2, 2)
    rows = min(rows, height, width // 2)
    top = min(max((top + bottom - rows) // 2, 0), height - rows)
    left = min(max((left + right) // 2 - rows, 0), width - 2 * rows)
    return top, top + rows, left, left + 2 * rows
