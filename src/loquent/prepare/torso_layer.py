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
_HEIGHT_PX: Final = 80.0
"""How far above the chin it ends; beside the chin the jaw climbs, and horns would stand there."""
_LEAST_PX: Final = 8.0
"""But so far it goes everywhere, since the border with the head is soft."""
_BORDER_PX: Final = 2.0
"""Torso pixels this near to the head may carry its colours and are not used for the film."""
_EDGE_PX: Final = 8.0
"""Torso pixels this near to the head give the film its colours."""
_LIKE_LEVELS: Final = 70.0
"""Distance in RGB within which two of these colours count as the same material in another light."""
_SMOOTHING_PX: Final = 4.0
"""Teeth finer than this in the continuation's outline are smoothed away."""
_TAPER: Final = 0.3
"""Columns by which either side of the continuation draws in per row, so that no corner of it peeps out beside the jaw."""
_INSET_PX: Final = 5.0
"""The continuation draws this far inside the person's outline, so that it never shows beside the head of its own frame."""


def torso_layer(
    image: UInt8[np.ndarray, "height width 3"], matte: UInt8[np.ndarray, "height width 3"]
) -> UInt8[np.ndarray, "height width 4"]:
    """Neck and torso of one frame as RGBA (alpha not multiplied in), continued under the head; 0 where there is none.

    Args:
        image: the frame, RGB.
        matte: its head, torso and background labels, as `estimate_mattes` returns them.
    """
    scale = image.shape[0] / 450
    layer = np.zeros((*image.shape[:2], 4), np.uint8)
    torso_rows = np.flatnonzero((matte[..., 1] > 0).any(1))
    if torso_rows.size:
        part = slice(max(0, torso_rows[0] - round(_HEIGHT_PX * scale)), None)  # nothing is above
        layer[part] = _layer_of(image[part], matte[part], scale)
    return layer


def _layer_of(image: np.ndarray, matte: np.ndarray, scale: float) -> np.ndarray:
    head, torso = matte[..., 0], matte[..., 1]
    under = _continued(torso >= 128, head >= 128, matte[..., 2] <= 5, scale)
    # Grown by as much as blurring takes away, so that it is opaque right up to the neck's own edge.
    continuation = cv2.GaussianBlur(_grown(under, 2 * scale).astype(np.uint8) * 255, (0, 0), scale)
    is_head = head > 0
    alpha = np.where(is_head, np.maximum(torso, np.minimum(continuation, 255 - matte[..., 2])), torso)
    colour = np.where(alpha[..., None] > 0, image, 0)
    hidden = is_head & (alpha > 0)
    if hidden.any():
        colour[hidden] = _film(image, _sources(image, head, torso >= 250, scale), hidden, scale)[hidden]
    return np.concatenate([colour, alpha[..., None]], axis=-1)


def _continued(solid: np.ndarray, head: np.ndarray, person: np.ndarray, scale: float) -> np.ndarray:
    """The torso together with what continues it upwards under the head, up to the reach and a little narrower with height."""
    height, width = solid.shape
    row, column = np.arange(height, dtype=np.int32)[:, None], np.arange(width, dtype=np.int32)[None]
    below = np.where(solid, row, np.int32(height + width))
    rise = np.minimum.accumulate(below[::-1])[::-1] - row  # rows down to the torso
    chin = int(np.flatnonzero((head & (rise == 1)).any(1)).max(initial=0))  # lowest row where head meets torso
    raised = (rise <= _REACH_PX * scale) & ((row > chin - _HEIGHT_PX * scale) | (rise <= _LEAST_PX * scale))
    depth = cv2.distanceTransform(person.astype(np.uint8), cv2.DIST_L2, 5)
    raised &= solid | (head & (depth > np.minimum(_INSET_PX * scale, rise / 2)))
    left = column - np.maximum.accumulate(np.where(raised, np.int32(-width), column), axis=1)
    right = np.minimum.accumulate(np.where(raised, np.int32(2 * width), column)[:, ::-1], axis=1)[:, ::-1] - column
    raised &= np.minimum(left, right) > _TAPER * rise
    smooth = cv2.GaussianBlur(raised.astype(np.float32), (0, 0), _SMOOTHING_PX * scale) > 0.5
    return np.asarray(solid | (raised & smooth), bool)


def _sources(image: np.ndarray, head: np.ndarray, torso: np.ndarray, scale: float) -> np.ndarray:
    """The torso pixels along the head whose colours the film takes over.

    Where a collar or a shoulder touches the jaw, the neck is what goes on behind it; so only colours like those under the
    middle of the jaw count, whatever covers the neck there.
    """
    edge = torso & ~_grown(head > 0, _BORDER_PX * scale) & _grown(head >= 128, _EDGE_PX * scale)
    if not edge.any():
        return torso
    from_left = image.swapaxes(0, 1)[edge.T]
    neck = np.median(from_left[len(from_left) // 4 : len(from_left) - len(from_left) // 4], axis=0)
    alike = edge.copy()
    alike[edge] = np.linalg.norm(image[edge] - neck, axis=1) < _LIKE_LEVELS
    return np.asarray(alike if alike.any() else edge, bool)


def _film(image: np.ndarray, known: np.ndarray, hidden: np.ndarray, scale: float) -> np.ndarray:
    """The frame with a smooth film over everything unknown: at half size, since it is smooth, and only around `hidden`."""
    rows = np.flatnonzero(hidden.any(1))
    part = slice(rows[0], min(len(image), rows[-1] + 1 + round(20 * scale)))
    height, width = known[part].shape
    if not known[part].any():
        return image
    weighted = np.dstack([image[part], np.full((height, width), 255, np.uint8)]) * known[part][..., None]
    half = cv2.resize(weighted, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    weight = half[..., 3:]
    film = fill_smoothly(half[..., :3] * 255 / np.maximum(weight, 1.0), weight[..., 0] > 0)
    filled = image.copy()
    film = cv2.resize(film, (width, height), interpolation=cv2.INTER_LINEAR)
    filled[part] = np.clip(film + 0.5, 0, 255).astype(np.uint8)
    return filled


def _grown(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """The mask with everything nearer to it than the radius."""
    size = 2 * max(1, round(radius_px)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0, bool)
