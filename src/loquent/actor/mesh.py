"""Triangle meshes of the actor's parts: grids, and a pile of parts that is drawn together."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int32

HEAD_LAYER, TORSO_LAYER = 0, 1


@dataclass(frozen=True)
class Part:
    """One surface in its resting place. Triangles are wound counter-clockwise seen from outside (X right, Y up, Z front)."""

    points: Float[np.ndarray, "vertices 3"]
    """Centimetres in the sculpting frame."""
    uvs: Float[np.ndarray, "vertices 2"]
    """Place on the part's texture: columns, rows, each in [0, 1]."""
    triangles: Int32[np.ndarray, "triangles 3"]
    texture: str
    """Name of the texture it wears."""
    layer: int
    """HEAD_LAYER or TORSO_LAYER, for the mattes."""
    occlusion: Float[np.ndarray, "vertices"]
    """Share of the surroundings' light that arrives."""


def grid_triangles(rows: int, columns: int) -> Int32[np.ndarray, "triangles 3"]:
    """Two triangles per cell of a grid whose rows go up and whose columns go right, seen from outside."""
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def grid_uvs(rows: int, columns: int) -> Float[np.ndarray, "vertices 2"]:
    """Texture places of a grid's vertices, first row at v = 0."""
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    return np.stack([u.ravel(), v.ravel()], axis=1)


def grid_part(
    points: Float[np.ndarray, "rows columns 3"],
    texture: str,
    layer: int,
    *,
    keep: Bool[np.ndarray, "rows columns"] | None = None,
) -> Part:
    """A grid as a part, fully open to the light; cells with a corner outside `keep` are left out."""
    rows, columns = points.shape[:2]
    triangles = grid_triangles(rows, columns)
    if keep is not None:
        triangles = triangles[keep.ravel()[triangles].all(axis=1)]
    return Part(points.reshape(-1, 3), grid_uvs(rows, columns), triangles, texture, layer, np.ones(rows * columns))
