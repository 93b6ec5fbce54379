"""Soft labels of a frame: head, neck with torso, background.

Calling order in `prepare`: background plate of the whole clip (`loquent.prepare.background`), :func:`steady_landmarks` of the
whole track, then for every frame the segmenter's person matte, :func:`estimate_mattes`, and from its result the torso layer
(`loquent.prepare.torso_layer`). The last two see one frame and have no memory, so frames may be done in any order and in
parallel.

1. Who is person (:func:`person_alpha`). The segmenter's edge is right to a few pixels. In a band around it, where the plate
   was seen, the picture is a mixture of a local foreground colour and the plate's colour, and the mixing ratio *is* the
   matte: this finds hair strands and soft edges. Where that equation does not hold (plate unknown, noisy, or of the person's
   own colour; a pixel that is no mixture of the two) the segmenter's matte is used, moved onto the picture's edges by a
   guided filter.
2. What of the person is head (`loquent.face.head_region`). A curve drawn from the face mesh, just outside chin and jaw so that
   the head contains the whole chin and its edge, up to below the ear lobes, and outwards from there. It follows the mouth
   because the mesh does. Ears, glasses and hair above it are head; hair that falls below the ear lobes beside the neck or
   over the shoulders is torso, since it hangs on the shoulders rather than turns with the head.
"""

from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from loquent.face.head_region import head_region
from loquent.face.indices import NOSE_TIP, RIGID
from loquent.prepare.background import BackgroundPlate

_BAND_IN_PX: Final = 7.0
"""Depth inside the segmenter's edge from which a pixel is surely person; this and all lengths at 450 pixels of height."""
_BAND_OUT_PX: Final = 8.0
"""Distance outside the edge from which a pixel is surely background."""
_SURE_PX: Final = 3.0
"""Depth from which a pixel's colour stands for the person's in its neighbourhood; the segmenter errs by no more."""
_COLOUR_REACH_PX: Final = 4.0
"""Standard deviation of the neighbourhood over which that colour is averaged."""
_GUIDE_PX: Final = 3.0
"""Radius of the guided filter."""
_GUIDE_LEVELS: Final = 3.0
"""Edges weaker than about this many grey levels do not guide it."""
_CONTRAST: Final = 6.0
"""The mixture is trusted half when person and plate differ by this many noise deviations."""
_MIN_NOISE: Final = 2.0
"""Noise never counts as less than this many grey levels (compression)."""


def estimate_mattes(
    image: UInt8[np.ndarray, "height width 3"],
    person: Float[np.ndarray, "height width"],
    landmarks_px: Float[np.ndarray, "478 3"],
    plate: BackgroundPlate,
) -> UInt8[np.ndarray, "height width 3"]:
    """Head (channel 0), neck with torso (1) and background (2) of one frame; they sum to exactly 255 in every pixel.

    Args:
        image: the frame, RGB.
        person: the segmenter's matte of it, in [0, 1].
        landmarks_px: its face mesh, steadied; columns u, v and depth in pixels.
        plate: the clip's background.
    """
    alpha = person_alpha(image, _only_this_person(person, landmarks_px), plate)
    head = alpha * head_region(landmarks_px, *alpha.shape)
    person_levels = (alpha * 255 + 0.5).astype(np.uint8)
    head_levels = np.minimum((head * 255 + 0.5).astype(np.uint8), person_levels)
    return np.dstack([head_levels, person_levels - head_levels, 255 - person_levels])


def steady_landmarks(
    landmarks_px: Float[np.ndarray, "frames 478 3"], frame_ids: Int[np.ndarray, "frames"]
) -> Float[np.ndarray, "frames 478 3"]:
    """The meshes averaged with their neighbours in time, in the head's own frame: weights 1/4, 1/2, 1/4.

    The mesh's jaw trembles by about a pixel, and the border of head and neck would tremble with it. Each neighbour is first
    laid onto the frame by the similarity of its rigid points, so the head's motion is not smeared; of the jaw's own motion a
    quarter is lost at 4 Hz, less than the border's margin. For mattes only, not for measuring pose or lips.

    Args:
        landmarks_px: meshes of the usable frames, columns u, v and depth in pixels.
        frame_ids: their places on the timeline, ascending; only adjacent places are averaged.
    """
    meshes = landmarks_px.astype(np.float64)
    steady = 0.5 * meshes
    for step in (-1, 1):
        others = np.roll(np.arange(len(meshes)), -step)
        laid = _laid_onto(meshes[others], meshes)
        is_adjacent = frame_ids[others] - frame_ids == step
        steady += 0.25 * np.where(is_adjacent[:, None, None], laid, meshes)
    return np.asarray(steady, np.float32)


def _laid_onto(
    meshes: Float[np.ndarray, "frames 478 3"], targets: Float[np.ndarray, "frames 478 3"]
) -> Float[np.ndarray, "frames 478 3"]:
    """Each mesh turned, scaled and shifted in the picture so that its rigid points fit its target's (least squares)."""
    points, goals = (mesh[..., 0] + 1j * mesh[..., 1] for mesh in (meshes, targets))
    rigid = list(RIGID)
    middle, goal = points[:, rigid].mean(1, keepdims=True), goals[:, rigid].mean(1, keepdims=True)
    spread = points[:, rigid] - middle
    turn = (spread.conj() * (goals[:, rigid] - goal)).sum(1, keepdims=True)
    turn /= np.maximum((np.abs(spread) ** 2).sum(1, keepdims=True), 1e-9)
    laid = (points - middle) * turn + goal
    return np.stack([laid.real, laid.imag, meshes[..., 2] * np.abs(turn)], axis=-1)


def person_alpha(
    image: UInt8[np.ndarray, "height width 3"],
    person: Float[np.ndarray, "height width"],
    plate: BackgroundPlate,
) -> Float[np.ndarray, "height width"]:
    """The person's opacity in [0, 1], sharpened from the segmenter's matte with the help of the plate."""
    scale = image.shape[0] / 450
    inside = _without_small_holes(person >= 0.5, scale)
    depth = _signed_depth(inside)
    prior = np.maximum(person, (depth > _SURE_PX * scale).astype(np.float32))
    guided = cv2.ximgproc.guidedFilter(image, prior, max(2, round(_GUIDE_PX * scale)), _GUIDE_LEVELS**2, scale=0.5)
    alpha = np.clip((guided - 0.1) / 0.8, 0, 1).astype(np.float32)
    band = (depth < _BAND_IN_PX * scale) & (depth > -_BAND_OUT_PX * scale) & plate.seen
    if band.any():
        mixture, trust = _unmix(image[band], _colour_of(image, depth > _SURE_PX * scale, scale)[band], plate, band)
        alpha[band] = trust * mixture + (1 - trust) * alpha[band]
        alpha = _without_specks(alpha)
    lowest = (depth / scale - _SURE_PX) / (_BAND_IN_PX - _SURE_PX)
    highest = (depth / scale + _BAND_OUT_PX) / (_BAND_OUT_PX - _SURE_PX)
    alpha = np.clip(alpha, np.clip(lowest, 0, 1), np.clip(highest, 0, 1))
    return np.asarray(np.clip((alpha - 0.02) / 0.96, 0, 1), np.float32)


def _unmix(
    picture: UInt8[np.ndarray, "pixels 3"],
    person_colour: Float[np.ndarray, "pixels 3"],
    plate: BackgroundPlate,
    band: Bool[np.ndarray, "height width"],
) -> tuple[Float[np.ndarray, "pixels"], Float[np.ndarray, "pixels"]]:
    """Solve picture = a * person_colour + (1 - a) * plate for a by least squares; returns a and how far to trust it."""
    behind = plate.image[band].astype(np.float32)
    contrast = person_colour - behind
    difference = picture - behind
    contrast_squared = np.square(contrast).sum(-1)
    alpha = np.clip((difference * contrast).sum(-1) / np.maximum(contrast_squared, 1.0), 0, 1)
    left_over = np.square(difference - alpha[:, None] * contrast).sum(-1)
    noise_squared = 3 * (np.square(plate.noise_std[band]) + _MIN_NOISE**2) * _CONTRAST**2
    trust = contrast_squared / (contrast_squared + noise_squared) * noise_squared / (left_over + noise_squared)
    return alpha, trust


def _colour_of(
    image: UInt8[np.ndarray, "height width 3"], person: Bool[np.ndarray, "height width"], scale: float
) -> Float[np.ndarray, "height width 3"]:
    """The person's colour around every pixel: a Gaussian average over `person`, carried on outwards where that ends."""
    height, width = person.shape
    stacked = np.dstack([image, np.full((height, width), 255, np.uint8)]) * person[..., None]
    half = cv2.resize(stacked, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    reach = _COLOUR_REACH_PX * scale / 2
    near = cv2.GaussianBlur(half, (0, 0), reach)
    wide = cv2.blur(half, (2 * round(4 * reach) + 1,) * 2)
    blended = near + 1e-3 * wide
    colour = blended[..., :3] * 255 / np.maximum(blended[..., 3:], 1e-6)
    return np.asarray(cv2.resize(colour, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _without_specks(alpha: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Median over 3 x 3 pixels, in steps of 1/255: the mixture is solved pixel by pixel and has single outliers."""
    return cv2.medianBlur((alpha * 255 + 0.5).astype(np.uint8), 3).astype(np.float32) / 255


def _signed_depth(inside: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Pixels to the edge, positive inside; the picture's border is no edge."""
    within = inside.astype(np.uint8)
    if not inside.any():
        return np.full(inside.shape, -np.inf, np.float32)
    if inside.all():
        return np.full(inside.shape, np.inf, np.float32)
    depth = cv2.distanceTransform(within, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - within, cv2.DIST_L2, 5)
    return np.asarray(depth, np.float32)


def _only_this_person(
    person: Float[np.ndarray, "height width"], landmarks_px: Float[np.ndarray, "478 3"]
) -> Float[np.ndarray, "height width"]:
    """Drop the parts of the matte that do not hang together with the face: somebody else, or a picture on the wall."""
    _, labels = cv2.connectedComponents((person >= 0.2).astype(np.uint8), connectivity=8)
    nose = np.round(landmarks_px[NOSE_TIP, 1::-1] - 0.5).astype(int)
    row, column = np.clip(nose, 0, np.array(person.shape) - 1)
    if labels[row, column] == 0:  # the segmenter missed the face itself: there is nothing to go by
        return person
    return np.where((labels == labels[row, column]) | (labels == 0), person, 0).astype(np.float32)


def _without_small_holes(inside: Bool[np.ndarray, "height width"], scale: float) -> Bool[np.ndarray, "height width"]:
    """Close enclosed holes up to the size of an ear: the segmenter leaves some at temples and ears."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~inside).astype(np.uint8), connectivity=4)
    is_small = stats[:, cv2.CC_STAT_AREA] < (40 * scale) ** 2
    is_small[0] = True  # label 0 is the person
    height, width = inside.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    is_small[1:] &= ((left > 0) & (top > 0) & (right < width) & (bottom < height))[1:]
    return np.asarray(is_small[labels], bool)
