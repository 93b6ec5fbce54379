"""Contact sheets. Of held-out frames: real, rendered and error in rows, the mouths enlarged below. Of another voice: the
portrait at chosen phones, and the curve of its lip opening.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from loquent.speech.phones import Stretch

ERROR_GAIN = 4
"""Errors are shown this many times enlarged, as distance from grey."""
COLUMN_PX = 200
"""Width of a picture on the sheet."""
COLUMNS = 8
"""Pictures side by side."""
_LABEL_PX, _LINE_PX, _GAP_PX = 110, 18, 4
_INK, _PAPER = (30, 30, 30), 245
_CURVE_PX, _CURVE_TOP = 90, 1.4
"""Height of a line of the curve, and the relative opening at its upper edge."""
_CURVE_FRAMES = 375
"""Frames on one line of the curve: 15 s."""
_SILENCE_TINT, _CLOSURE_TINT, _CURVE_INK = (222, 222, 222), (250, 190, 170), (20, 70, 160)


@dataclass
class SheetRow:
    """The pictures of one setting on the sheet; the first row is the truth."""

    name: str
    pictures: list[UInt8[np.ndarray, "height width 3"]]
    frame_ids: list[int]
    psnr_db: list[float]


@dataclass(frozen=True)
class Moment:
    """A phone that is looked at."""

    group: str
    """The row of the sheet."""
    frame: int
    """Frame of the film at its middle."""
    phone: str
    """Its name."""


@dataclass(frozen=True)
class Shown:
    """A moment as it was rendered."""

    moment: Moment
    picture: UInt8[np.ndarray, "height width 3"]
    mouth: Int[np.ndarray, "4"]
    """The mouth's rectangle (top, bottom, left, right)."""


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


def draw_moments(
    shown: Sequence[Shown], opening: Float[np.ndarray, "frames"], stretches: Sequence[Stretch], fps: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the sheet of another voice: for each group faces and mouths, below them the curve of the lips.

    Args:
        shown: the chosen moments.
        opening: relative opening of frame k at k / fps seconds (0 at rest, 1 wide); NaN without a face.
        stretches: what is spoken when; closures and silence are marked on the curve.
        fps: frames per second.
    """
    width = _LABEL_PX + COLUMNS * (COLUMN_PX + _GAP_PX)
    strips = []
    for group in dict.fromkeys(item.moment.group for item in shown):
        items = [item for item in shown if item.moment.group == group][:COLUMNS]
        height, across = items[0].picture.shape[:2]
        captions = [f"{item.moment.phone}  {item.moment.frame / fps:.2f} s" for item in items]
        size = (round(COLUMN_PX * height / across), COLUMN_PX)
        strips.append(_strip(group, [item.picture for item in items], captions, size))
        boxes = [_even(item.mouth, height, across) for item in items]
        cut = [item.picture[b[0] : b[1], b[2] : b[3]] for item, b in zip(items, boxes, strict=True)]
        strips.append(_strip("mouth", cut, [], (COLUMN_PX // 2, COLUMN_PX)))
    for first in range(0, len(opening), _CURVE_FRAMES):
        strips.append(_curve(opening, first, stretches, fps, width))
    sheet = np.full((sum(len(strip) for strip in strips), width, 3), _PAPER, np.uint8)
    top = 0
    for strip in strips:
        sheet[top : top + len(strip), : strip.shape[1]] = strip
        top += len(strip)
    return sheet


def _curve(
    opening: Float[np.ndarray, "frames"], first: int, stretches: Sequence[Stretch], fps: float, width: int
) -> np.ndarray:
    """One line of the curve, from frame `first` on; closures are red, silence is grey, the lines are rest and wide."""
    strip = np.full((_CURVE_PX + _GAP_PX, width, 3), _PAPER, np.uint8)
    across = (width - _LABEL_PX) / _CURVE_FRAMES

    def column(frame: int | float) -> int:
        return _LABEL_PX + round(min(max(frame - first, 0), _CURVE_FRAMES) * across)

    def row(value: float) -> int:
        return round(_CURVE_PX * (1 - min(max(value + 0.2, 0) / (_CURVE_TOP + 0.2), 1)))

    for item in stretches:
        if item.name in ("silence", "bilabial"):
            tint = _SILENCE_TINT if item.name == "silence" else _CLOSURE_TINT
            strip[:_CURVE_PX, column(item.start_s * fps) : column(item.end_s * fps)] = tint
    for level in (0.0, 1.0):
        strip[row(level), _LABEL_PX:] = 170
    frames = range(first, min(first + _CURVE_FRAMES, len(opening)))
    for k in frames[1:]:
        if np.isfinite(opening[k - 1 : k + 1]).all():
            before, now = ((column(j), row(float(opening[j]))) for j in (k - 1, k))
            cv2.line(strip, before, now, _CURVE_INK, 1, cv2.LINE_AA)
    _write(strip, f"lips {first / fps:.0f} s", (6, _CURVE_PX // 2))
    return strip


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
