"""What of a person is head: everything above a curve drawn from the face mesh, slightly outside chin and jaw."""

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float

from loquent.face.indices import CHIN, FOREHEAD_TOP, NOSE_TIP

_FINER: Final = 4
"""Subdivisions of a pixel along each axis when the head's outline is drawn."""

_RIGHT_JAW: Final = (132, 58, 172, 136, 150, 149, 176, 148)
"""Mesh points on the person's right, from under the ear to the chin."""
_LEFT_JAW: Final = (361, 288, 397, 365, 379, 378, 400, 377)
"""Their mirror points."""
_JAW_MARGIN: Final = (0.07, 0.055, 0.045, 0.035, 0.03, 0.03, 0.03, 0.03)
"""How far outside these points the curve runs, in face widths: jowls and jaw angle stand out beyond the mesh's rim."""
_CHIN_MARGIN: Final = 0.035
_EAR: Final = (234, 454)
"""Mesh rim in front of the right and left ear; their distance is the face width."""


def head_region(landmarks_px: Float[np.ndarray, "478 3"], height: int, width: int) -> Float[np.ndarray, "height width"]:
    """1 where a pixel of the person is head, 0 where it is neck or torso, soft over about two pixels between them."""
    outline = _head_outline(landmarks_px.astype(np.float64), height, width)
    # Filled at four times the size and averaged: OpenCV's own anti-aliasing jumps by whole steps when the outline creeps.
    corners = np.round((outline * _FINER - 0.5) * 16).astype(np.int32)
    fine = np.zeros((height * _FINER, width * _FINER), np.uint8)
    cv2.fillPoly(fine, [corners], (255,), cv2.LINE_8, shift=4)
    region = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(region, (0, 0), 0.8 * max(1.0, height / 450)), np.float32)


def _head_outline(points: np.ndarray, height: int, width: int) -> Float[np.ndarray, "corners 2"]:
    """Closed outline in pixels (u, v): the curve under the jaw, closed far above and beside the picture."""
    right, left = points[_EAR[0]], points[_EAR[1]]
    face_width = float(np.linalg.norm(left - right))
    across = (left - right) / max(face_width, 1e-6)  # unit vector towards the person's left, with depth
    middle = points[[FOREHEAD_TOP, 168, NOSE_TIP, CHIN], :2].mean(0)
    sides = []
    for indices, outwards in ((_RIGHT_JAW, -across[:2]), (_LEFT_JAW, across[:2])):
        jaw = points[list(indices), :2]
        away = jaw - middle
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
        jaw = jaw + away * (np.array(_JAW_MARGIN) * face_width)[:, None]
        # Under the ear lobe the curve turns outwards; farther out it climbs, so that a raised shoulder stays below it.
        level = 0.3 * points[indices[0], :2] + 0.7 * points[indices[1], :2]
        side = np.array([np.sign(outwards[0]) or 1.0, 0.0])
        outwards = (outwards + side) / 2
        lobe = level + outwards * 0.13 * face_width
        beyond = level + outwards * 0.40 * face_width + np.array([0.0, -0.05 * face_width])
        far = beyond + np.array([side[0], -0.6]) * (width + height)
        sides.append([far, beyond, lobe, *jaw[1:]])
    chin = points[CHIN, :2]
    down = (chin - middle) / max(float(np.linalg.norm(chin - middle)), 1e-6)
    curve = np.array([*sides[0], chin + down * _CHIN_MARGIN * face_width, *sides[1][::-1]])
    ends = np.array([[curve[-1, 0], -height], [curve[0, 0], -height]])
    return np.concatenate([_round_off(curve), ends])


def _round_off(corners: np.ndarray) -> np.ndarray:
    """Cut the corners of an open line three times (Chaikin): a smooth curve inside the corners' hull; ends stay."""
    for _ in range(3):
        before, after = corners[:-1], corners[1:]
        cut = np.stack([0.75 * before + 0.25 * after, 0.25 * before + 0.75 * after], axis=1).reshape(-1, 2)
        corners = np.concatenate([corners[:1], cut, corners[-1:]])
    return corners
