"""The contact sheet of another voice: the portrait at chosen phones, mouths enlarged, and the curve of its lip opening."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from loquent.data.frame_store import spread_frames
from loquent.evaluation.sheet import COLUMN_PX, COLUMNS, GAP_PX, LABEL_PX, PAPER, mouth_strip, picture_strip, write
from loquent.speech.articulation import CLOSE_VOWELS, OPEN_VOWELS
from loquent.speech.phones import Phones, Segment

_CURVE_PX, _CURVE_TOP = 90, 1.4
"""Height of a line of the curve, and the relative opening at its upper edge."""
_CURVE_FRAMES = 375
"""Most frames on one line of the curve: 15 s."""
_SILENCE_TINT, _CLOSURE_TINT, _CURVE_INK = (222, 222, 222), (250, 190, 170), (20, 70, 160)


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


def choose_moments(spoken: Phones, is_silent: Bool[np.ndarray, "frames"], fps: float) -> tuple[Moment, ...]:
    """What the contact sheet shows: the middles of some closures, open and close vowels, and silent frames."""
    groups = {
        "p, b, m": [item for item in spoken.segments if item.name == "bilabial"],
        "open vowels": [item for item in spoken.segments if item.name in OPEN_VOWELS],
        "close vowels": [item for item in spoken.segments if item.name in CLOSE_VOWELS],
        "silence": [Segment(k / fps, k / fps, "silence", "") for k in np.flatnonzero(is_silent).tolist()],
    }
    moments = (
        Moment(group, round((items[i].start_s + items[i].end_s) / 2 * fps), _in_ascii(items[i]))
        for group, items in groups.items()
        for i in spread_frames(range(len(items)), COLUMNS)
    )
    return tuple(moment for moment in moments if moment.frame < len(is_silent))


def draw_moments(
    shown: Sequence[Shown], opening: Float[np.ndarray, "frames"], segments: Sequence[Segment], fps: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the sheet of another voice: for each group faces and mouths, below them the curve of the lips.

    Args:
        shown: the chosen moments.
        opening: relative opening of frame k at k / fps seconds (0 at rest, 1 wide); NaN without a face.
        segments: what is spoken when; closures and silence are marked on the curve.
        fps: frames per second.
    """
    width = LABEL_PX + COLUMNS * (COLUMN_PX + GAP_PX)
    strips = []
    for group in dict.fromkeys(item.moment.group for item in shown):
        items = [item for item in shown if item.moment.group == group][:COLUMNS]
        pictures = [item.picture for item in items]
        captions = [f"{item.moment.phone}  {item.moment.frame / fps:.2f} s" for item in items]
        strips.append(picture_strip(group, pictures, captions))
        strips.append(mouth_strip("mouth", pictures, (item.mouth for item in items)))
    for first in range(0, len(opening), _CURVE_FRAMES):
        strips.append(_curve(opening, first, segments, fps, width))
    sheet = np.full((sum(len(strip) for strip in strips), width, 3), PAPER, np.uint8)
    top = 0
    for strip in strips:
        sheet[top : top + len(strip), : strip.shape[1]] = strip
        top += len(strip)
    return sheet


def _curve(
    opening: Float[np.ndarray, "frames"], first: int, segments: Sequence[Segment], fps: float, width: int
) -> np.ndarray:
    """One line of the curve, from frame `first` on; closures are red, silence is grey, the lines are rest and wide."""
    strip = np.full((_CURVE_PX + GAP_PX, width, 3), PAPER, np.uint8)
    shown = min(_CURVE_FRAMES, len(opening))  # a shorter film fills the line
    across = (width - LABEL_PX) / shown

    def column(frame: int | float) -> int:
        return LABEL_PX + round(min(max(frame - first, 0), shown) * across)

    def row(value: float) -> int:
        return round(_CURVE_PX * (1 - min(max(value + 0.2, 0) / (_CURVE_TOP + 0.2), 1)))

    for item in segments:
        if item.name in ("silence", "bilabial"):
            tint = _SILENCE_TINT if item.name == "silence" else _CLOSURE_TINT
            strip[:_CURVE_PX, column(item.start_s * fps) : column(item.end_s * fps)] = tint
    for level in (0.0, 1.0):
        strip[row(level), LABEL_PX:] = 170
    frames = range(first, min(first + _CURVE_FRAMES, len(opening)))
    for k in frames[1:]:
        if np.isfinite(opening[k - 1 : k + 1]).all():
            before, now = ((column(j), row(float(opening[j]))) for j in (k - 1, k))
            cv2.line(strip, before, now, _CURVE_INK, 1, cv2.LINE_AA)
    write(strip, f"lips, {first / fps:.0f} s on", (6, _CURVE_PX // 2))
    return strip


def _in_ascii(item: Segment) -> str:
    """A name that the sheet's letters can write."""
    return item.phone if item.phone.isascii() else item.name
