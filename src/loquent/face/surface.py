"""Where the face's skin is in the head's volume: enough to know, before any training, which space is empty."""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

from loquent.face.indices import N_MESH
from loquent.geometry.cameras import Camera

_IN_FRONT: Final = 0.10
"""Room in front of the skin (volume units, 2.5 cm), for glasses and for lips and brows that move."""
_BEHIND: Final = 0.12
"""Room behind it (3 cm), for teeth and tongue."""
_BESIDE: Final = 0.20
"""How far hair and ears may stand out in front of the face's nearest rim (5 cm)."""


def face_surface(
    points_px: Float[np.ndarray, "frames 478 3"], world_from_camera: Float[np.ndarray, "frames 4 4"], camera: Camera
) -> Float[np.ndarray, "mesh 3"]:
    """The face's mesh in the volume frame: the median over these frames, so the mouth is as open as usual."""
    in_camera = points_in_camera(points_px, world_from_camera, camera)[:, :N_MESH]
    in_head = np.einsum("fij,fnj->fni", world_from_camera[:, :3, :3], in_camera) + world_from_camera[:, None, :3, 3]
    return np.asarray(np.median(in_head, axis=0))


def points_in_camera(
    points_px: Float[np.ndarray, "frames 478 3"], world_from_camera: Float[np.ndarray, "frames 4 4"], camera: Camera
) -> Float[np.ndarray, "frames 478 3"]:
    """Landmarks in the camera's frame, in volume units: the perspective is taken out; x points right, y down, z away.

    A landmark's third value is its depth beside the mesh's middle, in the picture's scale; the volume's origin is that middle.
    """
    rotations, centres = world_from_camera[:, :3, :3], world_from_camera[:, :3, 3]
    distance = -np.einsum("fj,fj->f", rotations[:, :, 2], centres)
    points = points_px.astype(np.float64)
    depth = points[..., 2] - points[:, :N_MESH, 2].mean(axis=1, keepdims=True)
    depth = distance[:, None] * (1 + depth / camera.fx)
    across, down = (points[..., 0] - camera.cx) / camera.fx, (points[..., 1] - camera.cy) / camera.fy
    return np.stack([across * depth, down * depth, depth], axis=-1)


def cells_near(surface: Float[np.ndarray, "mesh 3"], cells: int) -> Bool[np.ndarray, "cells cells cells"]:
    """Cells of the cube [-1, 1]^3, indexed [x, y, z], that may show something of a head with this face.

    Looking at the face from the front (along y), what shows lies in a thin shell around the skin; beside the face, it may lie
    anywhere behind a limit a little in front of the face's rim.
    """
    axis = (np.arange(cells) * 2 + 1 - cells) / cells
    x, z = np.meshgrid(axis, axis, indexing="ij")
    front, height = surface[:, [0, 2]], surface[:, 1]
    skin, rim = LinearNDInterpolator(front, height)(x, z), NearestNDInterpolator(front, height)(x, z)
    on_face = np.isfinite(skin)
    low = np.where(on_face, skin - _BEHIND, -np.inf)
    high = np.where(on_face, skin + _IN_FRONT, rim + _BESIDE)
    return np.asarray((axis[None, :, None] >= low[:, None, :]) & (axis[None, :, None] <= high[:, None, :]))


__all__ = ["cells_near", "face_surface", "points_in_camera"]
