"""The named landmark sets: valid numbers, no double, both sides paired."""

import numpy as np
import pytest

from loquent.face import indices

SETS = {name: value for name, value in vars(indices).items() if isinstance(value, tuple)}
PAIRS = [
    (indices.RIGHT_UPPER_LID, indices.LEFT_UPPER_LID),
    (indices.RIGHT_LOWER_LID, indices.LEFT_LOWER_LID),
    (indices.RIGHT_BROW, indices.LEFT_BROW),
    (indices.RIGID_RIGHT, indices.RIGID_LEFT),
]
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""The mesh's rim: forehead top, down the left side, chin, up the right side, closed."""


@pytest.mark.parametrize("name", sorted(SETS))
def test_each_set_names_existing_landmarks_once(name: str) -> None:
    numbers = SETS[name]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) >= 0
    assert max(numbers) < indices.N_LANDMARKS


def test_the_68_point_convention_has_68_points() -> None:
    assert len(indices.MESH_OF_68) == 68


def test_sides_are_paired_and_disjoint() -> None:
    for right, left in PAIRS:
        assert len(right) == len(left)
        assert not set(right) & set(left)


def test_moving_parts_share_nothing_with_each_other_or_the_skull() -> None:
    lips = {*indices.OUTER_LIPS, *indices.INNER_LIPS}
    lids = {*indices.RIGHT_UPPER_LID, *indices.RIGHT_LOWER_LID, *indices.LEFT_UPPER_LID, *indices.LEFT_LOWER_LID}
    brows = {*indices.RIGHT_BROW, *indices.LEFT_BROW}
    parts = [lips, lids, brows, set(indices.JAW), set(indices.RIGID)]
    for i, part in enumerate(parts):
        for other in parts[i + 1 :]:
            assert not part & other


def test_the_68_points_agree_with_the_named_sets() -> None:
    mesh = np.array(indices.MESH_OF_68)
    assert set(mesh[:17]) <= set(FACE_OVAL)
    assert set(mesh[36:42]) <= set(indices.RIGHT_EYE_RING)
    assert set(mesh[42:48]) <= set(indices.LEFT_EYE_RING)
    assert set(mesh[48:60]) <= set(indices.OUTER_LIPS)
    assert set(mesh[60:68]) <= set(indices.INNER_LIPS)
