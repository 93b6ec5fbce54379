"""The head's resting shape: a signed distance sculpture, and its surface sampled along rays from inside the skull.

Sculpting frame, in centimetres: X to the image's right, Y up, Z towards the camera; the eyes' centres lie at Y = Z = 0.
The distance is that of one half, mirrored; people are made uneven later, by paint and by motion.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from loquent.actor.identity import Identity

AXIS_Z = -5.5
"""Rays start on the vertical line X = 0, Z = AXIS_Z, which runs through the skull."""
CENTRE_Y = -2.5
"""Height of the point that all of a surface's rays start from."""
EYE_X = 3.15
"""Half the distance between the eyes' centres."""
EYE_RADIUS = 1.22
"""Radius of an eyeball."""
LID_RADIUS = 1.36
"""Radius of the closed lids' outer surface."""
MOUTH_Y = -6.9
"""Height of the line where the closed lips meet."""

Distance = Callable[[Float[np.ndarray, "points 3"]], Float[np.ndarray, "points"]]


def _ellipsoid(
    p: Float[np.ndarray, "points 3"], centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Float[np.ndarray, "points"]:
    scaled = (p - np.array(centre)) / np.array(radii)
    inside = np.linalg.norm(scaled, axis=1)
    slope = np.linalg.norm(scaled / np.array(radii), axis=1)
    return np.asarray(inside * (inside - 1.0) / np.maximum(slope, 1e-6))


def _capsule(
    p: Float[np.ndarray, "points 3"],
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    start_radius: float,
    end_radius: float,
) -> Float[np.ndarray, "points"]:
    a, ab = np.array(start), np.array(end) - np.array(start)
    along = np.clip((p - a) @ ab / (ab @ ab), 0.0, 1.0)
    radius = start_radius + (end_radius - start_radius) * along
    return np.asarray(np.linalg.norm(p - a - along[:, None] * ab, axis=1) - radius)


def _join(a: Float[np.ndarray, "points"], b: Float[np.ndarray, "points"], blend: float) -> Float[np.ndarray, "points"]:
    """Union with a fillet of about `blend` centimetres."""
    overlap = np.maximum(blend - np.abs(a - b), 0.0) / blend
    return np.asarray(np.minimum(a, b) - overlap * overlap * blend * 0.25)


def _carve(a: Float[np.ndarray, "points"], b: Float[np.ndarray, "points"], blend: float) -> Float[np.ndarray, "points"]:
    """`a` without `b`, with a rounded edge."""
    return -_join(-a, b, blend)


def head_distance(identity: Identity) -> Distance:
    """The skin's signed distance (centimetres, negative inside) for this person's proportions, lips and lids closed."""
    jaw, nose, cheek = identity.jaw_width, identity.nose_length, identity.cheek_fullness

    def distance(points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points"]:
        p = points.copy()
        p[:, 0] = np.abs(p[:, 0])
        skull = _ellipsoid(p, (0.0, 3.9, -6.4), (7.3, 7.6, 8.5))
        forehead = _ellipsoid(p, (0.0, 3.6, -4.6), (6.35, 5.3, 6.65))
        d = _join(skull, forehead, 2.0)
        d = _join(d, _ellipsoid(p, (0.0, -2.4, -5.2), (6.2 * jaw, 7.2, 6.7)), 2.5)
        d = _join(d, _capsule(p, (4.55 * jaw, -5.6, -5.6), (1.4 * jaw, -9.5, -0.55), 1.35, 1.4), 2.6)
        d = _join(d, _ellipsoid(p, (0.0, -6.9, -1.9), (3.4, 3.2, 4.25)), 1.6)  # the muzzle, over the teeth
        d = _join(d, _ellipsoid(p, (0.0, -9.7, -0.15), (1.9, 1.55, 1.95)), 1.5)  # chin
        d = _join(d, _ellipsoid(p, (4.55, -2.2, -2.2), (1.95, 1.9 * cheek, 2.1 * cheek)), 2.6)  # cheekbone
        d = _join(d, _ellipsoid(p, (3.0, -4.2, -1.1), (1.7, 2.2, 1.8 * cheek)), 2.2)  # the cheek's soft front
        d = _join(d, _capsule(p, (0.9, 1.75, 0.95), (4.7, 1.6, -1.75), 0.95, 0.9), 1.4)  # brow
        d = _carve(d, _ellipsoid(p, (3.1, -0.15, 2.35), (2.0, 1.15, 1.5)), 1.3)  # socket
        lids = np.linalg.norm(p - np.array([EYE_X, 0.0, 0.0]), axis=1) - LID_RADIUS
        d = _join(d, lids, 0.55)
        tip = -3.45 * nose
        d = _join(d, _capsule(p, (0.0, 1.2, 0.75), (0.0, tip + 0.5, 3.25), 0.60, 0.70), 1.1)
        d = _join(d, _ellipsoid(p, (0.0, tip, 3.5), (0.92, 0.85, 0.95)), 0.8)
        d = _join(d, _ellipsoid(p, (1.10, tip - 0.2, 2.35), (0.66, 0.64, 0.90)), 0.6)
        d = _carve(d, _ellipsoid(p, (0.0, tip - 2.1, 3.05), (0.35, 1.0, 0.5)), 0.4)  # philtrum
        return _carve(d, _ellipsoid(p, (0.0, -8.25, 2.75), (1.7, 0.42, 0.75)), 0.8)  # fold under the lower lip

    return distance


def cast(
    distance: Distance, starts: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
) -> Float[np.ndarray, "rays"]:
    """Distance along each ray to the outermost surface, found by stepping inwards from 22 cm."""
    reach, moving = np.full(len(starts), 22.0), np.arange(len(starts))
    for _ in range(120):
        gap = distance(starts[moving] + reach[moving, None] * directions[moving])
        reach[moving] -= 0.7 * gap
        moving = moving[np.abs(gap) > 1e-4]
        if len(moving) == 0:
            break
    return reach


def level(
    distance: Distance, azimuth: Float[np.ndarray, "columns"], height: Float[np.ndarray, "columns"]
) -> Float[np.ndarray, "columns 3"]:
    """Surface points at the given azimuths (radians from the front) and heights (centimetres)."""
    directions = np.stack([np.sin(azimuth), np.zeros_like(azimuth), np.cos(azimuth)], axis=1)
    starts = np.stack([np.zeros_like(height), height, np.full_like(height, AXIS_Z)], axis=1)
    return np.asarray(starts + cast(distance, starts, directions)[:, None] * directions)
