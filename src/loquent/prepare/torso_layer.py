"""The layer behind the head: neck and torso, in-painted upwards under the head so that no gap opens when the head moves.

Called once per frame with the frame and its mattes (`loquent.prepare.mattes`). Outside the head the layer holds the frame's
own pixels and the torso matte as alpha, so layer over plate equals the training target there exactly (SPEC 1.8, 1.9.6). Under
the head the torso's outline is continued straight upwards, filled with the smooth film stretched over the neck's and
clothes' colours along the border: unlike the per-column copy of SPEC 1.9.6 it has no streaks.
"""

from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from loquent.prepare.filling import fill_smoothly

_REACH_PX: Final = 60.0
"""How far the torso continues under the head; this and all lengths at 450 pixels of height."""
_BORDER_PX: Final = 2.0
"""Torso pixels this near to the head may carry its colours and are not used for the film."""
_SMOOTHING_PX: Final = 4.0
"""Teeth finer than this in the continuation's outline are smoothed away."""
_INSET_PX: Final = 2.0
"""The continuation stays this far inside the person's outline, so that it never shows beside the head of its own frame."""


def torso_layer(
    image: UInt8[np.ndarray, "height width 3"], matte: UInt8[np.ndarray, "height width 3"]
) -> UInt8[np.ndarray, "height width 4"]:
    """Neck and torso of one frame as RGBA (alpha not multiplied in), continued under the head; 0 where there is none.

    Args:
        image: the frame, RGB.
        matte: its head, torso and background labels, as `estimate_mattes` returns them.
    """
    height, width = image.shape[:2]
    scale = height / 450
    head, torso = matte[..., 0], matte[..., 1]
    solid = torso >= 128
    if not solid.any():
        return np.zeros((height, width, 4), np.uint8)
    under = _continued(solid, head >= 128, matte[..., 2] <= 5, scale)
    person = 255 - matte[..., 2]
    continuation = np.minimum(cv2.GaussianBlur(under.astype(np.uint8) * 255, (0, 0), 1.5 * scale), person)
    alpha = np.where(head > 0, np.maximum(torso, continuation), torso)
    colour = image.copy()
    hidden = (head > 0) & (alpha > 0)
    if hidden.any():
        colour[hidden] = _film(image, (torso >= 250) & ~_grown(head > 0, _BORDER_PX * scale), hidden, scale)[hidden]
    colour[alpha == 0] = 0
    return np.dstack([colour, alpha])


def _continued(solid: np.ndarray, head: np.ndarray, person: np.ndarray, scale: float) -> np.ndarray:
    """The torso together with everything up to the reach above it that lies under the head."""
    reach = round(_REACH_PX * scale)
    upwards = np.ones((reach + 1, 1), np.uint8)
    raised = cv2.dilate(solid.astype(np.uint8), upwards, anchor=(0, 0)) > 0
    raised = cv2.GaussianBlur(raised.astype(np.float32), (0, 0), _SMOOTHING_PX * scale) > 0.5
    inner = ~_grown(~person, _INSET_PX * scale)
    return np.asarray(solid | (raised & head & inner), bool)


def _film(image: np.ndarray, known: np.ndarray, hidden: np.ndarray, scale: float) -> np.ndarray:
    """The frame with a smooth film over everything unknown: at half size, since it is smooth, and only around `hidden`."""
    if not known.any():
        return image
    rows = np.flatnonzero(hidden.any(1))
    part = slice(rows[0], min(len(image), rows[-1] + 1 + round(20 * scale)))
    height, width = known[part].shape
    weighted = np.dstack([image[part], np.full((height, width), 255, np.uint8)]) * known[part][..., None]
    half = cv2.resize(weighted, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    weight = half[..., 3:]
    film = fill_smoothly(half[..., :3] * 255 / np.maximum(weight, 1.0), weight[..., 0] >= 64)
    filled = image.copy()
    film = cv2.resize(film, (width, height), interpolation=cv2.INTER_LINEAR)
    filled[part] = np.clip(film + 0.5, 0, 255).astype(np.uint8)
    return filled


def _grown(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """The mask with everything nearer to it than the radius."""
    size = 2 * max(1, round(radius_px)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0, bool)
