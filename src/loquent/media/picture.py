"""From a decoded video frame to the picture a player would show: right colours, upright, square pixels."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from jaxtyping import UInt8

UNSPECIFIED_COLORSPACE = 2
HIGH_DYNAMIC_RANGE_TRANSFERS = (16, 18)
"""Transfer functions PQ and HLG, as numbered in ITU-T H.273."""
BT709 = 1
"""Number of the ordinary primaries, transfer function and matrix in ITU-T H.273."""
HIGH_DEFINITION_ROWS = 720
"""Players take an untagged video of at least this height as BT.709, a smaller one as BT.601."""


@dataclass(frozen=True)
class Orientation:
    """How a stored picture is turned for showing: first `quarter_turns` counter-clockwise, then mirrored left to right."""

    quarter_turns: int
    """0 to 3 turns of 90 degrees, counter-clockwise."""
    is_mirrored: bool
    """Left and right are swapped after turning (front cameras of some phones)."""

    @classmethod
    def of(cls, frame: VideoFrame) -> "Orientation":
        """Read the display matrix of a frame; angles are rounded to quarter turns."""
        side_data: Any = frame.side_data  # a mapping; PyAV's stub types it otherwise
        if "DISPLAYMATRIX" not in side_data:
            return cls(0, False)
        stored = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), np.int32).reshape(3, 3)
        matrix = stored[:2, :2].astype(np.float64)
        is_mirrored = bool(np.linalg.det(matrix) < 0)
        if is_mirrored:
            matrix = matrix @ np.diag([-1.0, 1.0])
        # Stored (x, y) goes to (x, y) @ matrix with y downwards: the first row is where the stored x axis points.
        angle = np.degrees(np.arctan2(-matrix[0, 1], matrix[0, 0]))
        return cls(round(angle / 90) % 4, is_mirrored)

    def apply(self, image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "new_height new_width 3"]:
        """Turn a stored picture upright."""
        turned = np.rot90(image, self.quarter_turns)
        return np.ascontiguousarray(turned[:, ::-1] if self.is_mirrored else turned)


def square_pixel_size(frame: VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height that show the stored pixels as squares; the shorter direction is stretched, none is squeezed."""
    aspect = float(pixel_aspect) if pixel_aspect else 1.0
    if not 0.1 < aspect < 10:
        aspect = 1.0
    if aspect >= 1:
        return round(frame.width * aspect), frame.height
    return frame.width, round(frame.height / aspect)


def display_size(frame: VideoFrame, pixel_aspect: Fraction | None, orientation: Orientation) -> tuple[int, int]:
    """Width and height as shown, after rotation."""
    width, height = square_pixel_size(frame, pixel_aspect)
    return (height, width) if orientation.quarter_turns % 2 else (width, height)


def is_high_dynamic_range(frame: VideoFrame) -> bool:
    """Filmed in HLG or PQ, as many phones do by default."""
    return frame.color_trc in HIGH_DYNAMIC_RANGE_TRANSFERS


def to_rgb(frame: VideoFrame, pixel_aspect: Fraction | None) -> UInt8[np.ndarray, "height width 3"]:
    """The picture a player would show on an ordinary screen; whites brighter than paper are clipped."""
    is_guess = frame.colorspace == UNSPECIFIED_COLORSPACE and "rgb" not in frame.format.name
    guessed = Colorspace.ITU709 if frame.height >= HIGH_DEFINITION_ROWS else Colorspace.ITU601
    is_hdr = is_high_dynamic_range(frame)
    stored: np.ndarray[Any, Any] = frame.to_ndarray(
        format="rgb24",
        src_colorspace=guessed if is_guess else None,
        dst_color_trc=BT709 if is_hdr else None,
        dst_color_primaries=BT709 if is_hdr else None,
        threads=1,  # more would wait for each other longer than they work
        interpolation=Interpolation.BICUBIC,  # within 3 levels; exact rounding takes 40 times as long
    )
    size = square_pixel_size(frame, pixel_aspect)
    if size != (frame.width, frame.height):
        stored = cv2.resize(stored, size, interpolation=cv2.INTER_CUBIC)
    return Orientation.of(frame).apply(stored)
