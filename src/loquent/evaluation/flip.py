"""LDR-FLIP: how different two pictures look when one flips between them (Andersson et al. 2020).

Colours are first blurred as the eye blurs them at a given distance, then compared in a perceptually even space; edges and
points that one picture has and the other lacks count on top.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

PIXELS_PER_DEGREE = 0.7 * 3840 / 0.7 * math.pi / 180
"""The paper's observer: 0.7 m before a display of 3840 pixels on 0.7 m."""

_CHROMATICITIES = np.array([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06], [0.3127, 0.3290]])
"""CIE x, y of red, green, blue and white in sRGB."""
_CONTRAST_SENSITIVITY = (
    ((1.0, 0.0047), (0.0, 1e-5)),
    ((1.0, 0.0053), (0.0, 1e-5)),
    ((34.1, 0.04), (13.5, 0.025)),
)
"""Sums of two Gaussians (amplitude, width) for the achromatic, red-green and blue-yellow channel (paper, table 1)."""
_COLOUR_EXPONENT, _FEATURE_EXPONENT = 0.7, 0.5
_KNEE, _KNEE_ERROR = 0.4, 0.95
"""Colour differences up to this share of the largest one fill this share of the error's range."""
_FEATURE_DEG = 0.082
"""Width of the edges and points that are looked for, in degrees."""
_OFFSET, _SCALE = 16.0, 116.0
"""Of lightness in CIELAB and in its linear counterpart."""


def flip(rendered: UInt8[np.ndarray, "height width 3"], truth: UInt8[np.ndarray, "height width 3"]) -> float:
    """Mean of :func:`flip_map`: 0 = no visible difference, 1 = the largest."""
    return 0.0 if np.array_equal(rendered, truth) else float(flip_map(rendered, truth).mean())


def flip_map(
    rendered: UInt8[np.ndarray, "height width 3"], truth: UInt8[np.ndarray, "height width 3"]
) -> Float[np.ndarray, "height width"]:
    """The visible difference of each pixel, 0 to 1."""
    ours, theirs = _opponent(rendered), _opponent(truth)
    colour = _colour_error(_perceived(ours), _perceived(theirs))
    features = _feature_error(ours[..., 0], theirs[..., 0])
    return np.asarray(colour ** (1 - features))


def _opponent(picture: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width 3"]:
    """sRGB as luminance, red-green and blue-yellow: the linear relative of CIELAB, in which blurring is physical."""
    return cv2.transform(_linear_of_byte()[picture], _opponent_from_linear().astype(np.float32))


@lru_cache(maxsize=1)
def _linear_of_byte() -> Float32[np.ndarray, "256"]:
    levels = np.arange(256) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)


@lru_cache(maxsize=1)
def _white_relative_from_linear() -> Float[np.ndarray, "3 3"]:
    """Linear sRGB to CIE XYZ over that of white."""
    x, y = _CHROMATICITIES.T
    tristimuli = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    primaries, white = tristimuli[:, :3], tristimuli[:, 3]
    return np.asarray(primaries * np.linalg.solve(primaries, white) / white[:, None])


@lru_cache(maxsize=1)
def _opponent_from_linear() -> Float[np.ndarray, "3 4"]:
    differences = np.array([[0.0, _SCALE, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
    return np.column_stack([differences @ _white_relative_from_linear(), [-_OFFSET, 0.0, 0.0]])


def _perceived(opponent: Float32[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width 3"]:
    """What the eye sees from the distance: blurred, inside the display's range, in CIELAB with Hunt's adjustment."""
    blurred = np.dstack([_blurred(opponent[..., k], k) for k in range(3)])
    back = np.linalg.inv(_opponent_from_linear()[:, :3])
    from_opponent = np.column_stack([back, back @ [_OFFSET, 0.0, 0.0]])
    linear = np.asarray(cv2.transform(blurred, from_opponent.astype(np.float32)), np.float32).clip(0, 1)
    return _hunt_lab(linear)


def _blurred(channel: Float32[np.ndarray, "height width"], k: int) -> Float32[np.ndarray, "height width"]:
    """A channel under its contrast sensitivity: a weighted sum of two Gaussian blurs."""
    widest = max(width for terms in _CONTRAST_SENSITIVITY for _, width in terms)
    radius = math.ceil(3 * math.sqrt(widest / (2 * math.pi**2)) * PIXELS_PER_DEGREE)
    place_deg = np.arange(-radius, radius + 1) / PIXELS_PER_DEGREE
    total, weight = np.zeros_like(channel), 0.0
    for amplitude, width in _CONTRAST_SENSITIVITY[k]:
        if amplitude == 0:
            continue
        line = np.exp(-((math.pi * place_deg) ** 2) / width)
        strength = amplitude * math.sqrt(math.pi / width)
        total += strength * cv2.sepFilter2D(channel, -1, line, line, borderType=cv2.BORDER_REPLICATE)
        weight += strength * line.sum() ** 2
    return np.asarray(total / np.float32(weight))


def _hunt_lab(linear: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """CIELAB whose chroma shrinks in the dark (Hunt)."""
    relative = linear @ _white_relative_from_linear().T.astype(linear.dtype)
    root = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * (841 / 108) + 4 / 29)
    lightness = _SCALE * root[..., 1] - _OFFSET
    red_green, blue_yellow = 500 * (root[..., 0] - root[..., 1]), 200 * (root[..., 1] - root[..., 2])
    return np.stack([lightness, 0.01 * lightness * red_green, 0.01 * lightness * blue_yellow], axis=-1)


def _distance(one: Float[np.ndarray, "... 3"], other: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "..."]:
    """HyAB: city block between lightness and chroma, for differences that are large."""
    difference = one - other
    return np.asarray(np.abs(difference[..., 0]) + np.hypot(difference[..., 1], difference[..., 2]))


def _colour_error(
    ours: Float[np.ndarray, "height width 3"], theirs: Float[np.ndarray, "height width 3"]
) -> Float[np.ndarray, "height width"]:
    """0 to 1: differences up to the knee fill most of the range, those up to green against blue the rest."""
    largest = float(_distance(_hunt_lab(np.array([0.0, 1.0, 0.0])), _hunt_lab(np.array([0.0, 0.0, 1.0]))))
    largest **= _COLOUR_EXPONENT
    error = _distance(ours, theirs) ** _COLOUR_EXPONENT
    knee = _KNEE * largest
    above = _KNEE_ERROR + (error - knee) / (largest - knee) * (1 - _KNEE_ERROR)
    return np.where(error < knee, _KNEE_ERROR / knee * error, above)


def _feature_error(
    ours: Float32[np.ndarray, "height width"], theirs: Float32[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width"]:
    """0 to 1: by how much edges or points are stronger in one picture than in the other."""
    edges, points = (np.abs(_strength(ours, is_edge) - _strength(theirs, is_edge)) for is_edge in (True, False))
    return np.asarray((np.maximum(edges, points) / math.sqrt(2)) ** _FEATURE_EXPONENT)


def _strength(luminance: Float32[np.ndarray, "height width"], is_edge: bool) -> Float32[np.ndarray, "height width"]:
    """Length of the first (edges) or second (points) derivative, on the scale of the feature's width."""
    sigma = 0.5 * _FEATURE_DEG * PIXELS_PER_DEGREE
    place = np.arange(-math.ceil(3 * sigma), math.ceil(3 * sigma) + 1)
    smooth = np.exp(-(place**2) / (2 * sigma**2))
    derivative = -place * smooth if is_edge else (place**2 / sigma**2 - 1) * smooth
    # The positive weights sum to 1, the negative to -1.
    derivative = np.where(derivative > 0, derivative / derivative[derivative > 0].sum(), derivative)
    derivative = np.where(derivative < 0, derivative / -derivative[derivative < 0].sum(), derivative)
    smooth = smooth / smooth.sum()
    level = (luminance + _OFFSET) / _SCALE
    across = cv2.sepFilter2D(level, -1, derivative, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(level, -1, smooth, derivative, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.hypot(across, down))
