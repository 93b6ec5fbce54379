"""The face's surface is found from landmarks and poses; the cells kept hold it and little else."""

import numpy as np
from synthetic_face import look_at, make_face

from loquent.face.indices import N_MESH
from loquent.face.surface import cells_near, face_surface


def test_the_surface_is_the_face_that_was_seen() -> None:
    face = make_face(0)
    seen = look_at(np.repeat(face[None], 15, axis=0), 1, spread_deg=6)
    world_from_camera = np.tile(np.eye(4), (15, 1, 1))
    world_from_camera[:, :3, :3] = seen.rotations.transpose(0, 2, 1)
    world_from_camera[:, :3, 3] = -np.einsum("fji,fj->fi", seen.rotations, seen.translations)
    surface = face_surface(seen.points_px, world_from_camera, seen.camera)
    assert surface.shape == (N_MESH, 3)
    assert np.abs(surface - face[:N_MESH]).max() < 0.02


def test_cells_near_hold_the_skin_and_what_is_beside_but_not_the_air_in_front() -> None:
    face = make_face(0)[:N_MESH]
    kept = cells_near(face, 64)

    def is_kept(x: float, y: float, z: float) -> bool:
        i, j, k = (int((value + 1) * 32) for value in (x, y, z))
        return bool(kept[i, j, k])

    inside = face[np.abs(face[:, [0, 2]]).max(axis=1) < 0.2]
    assert all(is_kept(*point) for point in inside)
    x, y, z = inside[0]
    assert not is_kept(x, y + 0.2, z)  # air
    assert not is_kept(x, y - 0.25, z)  # brain
    assert is_kept(0.6, -0.4, 0.0)  # hair far behind
    assert not is_kept(0.6, 0.45, 0.0)
