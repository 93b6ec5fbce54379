"""Landmarks freed of pose and scaled: the face's own motion comes back from any pose; only training frames set the scale."""

import numpy as np
import pytest
from synthetic_face import Seen, look_at, make_face

from loquent.errors import InputError
from loquent.face import indices
from loquent.face.canonical_landmarks import LandmarkBasis, PointSet, landmark_limits
from loquent.face.surface import points_in_camera

N_FRAMES, N_TRAIN = 130, 110
LOWER_LIP, CORNER = indices.MESH_OF_68.index(14), indices.MESH_OF_68.index(291)
NOSE = indices.MESH_OF_68.index(4)


def motions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How far the lower lip drops and the left corner of the mouth goes out, in volume units."""
    rng = np.random.default_rng(seed)
    return 0.05 * np.abs(rng.normal(size=N_FRAMES)), 0.02 * rng.normal(size=N_FRAMES)


def talking(seed: int, *, spread_deg: float = 6.0, noise_px: float = 0.02) -> np.ndarray:
    """Landmarks, in the camera's frame, of a head that turns and comes nearer while its mouth moves."""
    drop, spread = motions(seed)
    faces = np.repeat(make_face(1)[None], N_FRAMES, axis=0)
    faces[:, 14, 0] -= drop
    faces[:, 291, 2] += spread
    return in_camera(look_at(faces, seed, spread_deg=spread_deg, noise_px=noise_px))


def in_camera(seen: Seen) -> np.ndarray:
    """What a clip's track makes of it: the volume's pose is known, where its origin is the middle of the mesh."""
    world_from_camera = np.tile(np.eye(4), (len(seen.points_px), 1, 1))
    world_from_camera[:, :3, :3] = seen.rotations.transpose(0, 2, 1)
    world_from_camera[:, :3, 3] = -np.einsum("fji,fj->fi", seen.rotations, seen.translations)
    return points_in_camera(seen.points_px, world_from_camera, seen.camera)


def test_motion_comes_back_from_any_pose_in_one_unit_for_all() -> None:
    drop, spread = motions(0)
    face = make_face(1)
    eye_distance = np.linalg.norm(face[indices.LEFT_EYE_OUTER] - face[indices.RIGHT_EYE_OUTER])
    basis = LandmarkBasis.fit(talking(0), N_TRAIN)
    seen = basis.of_faces(talking(0)) * basis.unit * eye_distance
    wanted_drop, wanted_spread = drop - drop[:N_TRAIN].mean(), spread - spread[:N_TRAIN].mean()
    is_within = np.abs(basis.of_faces(talking(0))[:, LOWER_LIP, 1]) < 1
    assert is_within.mean() > 0.9
    assert np.abs(seen[:, LOWER_LIP, 1] - wanted_drop)[is_within].max() < 0.1 * drop.max()  # y points down
    assert (
        np.abs(seen[:, CORNER, 0] - wanted_spread).max() < 0.1 * np.abs(wanted_spread).max()
    )  # x to the picture's right
    assert np.abs(seen[:, NOSE]).max() < 0.05 * drop.max()
    assert np.unique(basis.unit).size == 1
    assert basis.centre.shape == (68, 3)


def test_a_still_face_that_turns_hardly_moves() -> None:
    still = in_camera(look_at(np.repeat(make_face(1)[None], N_FRAMES, axis=0), 5, spread_deg=6.0, noise_px=0.0))
    moving = LandmarkBasis.fit(talking(0), N_TRAIN)
    turned = (LandmarkBasis.fit(still, N_TRAIN).of_faces(still) * LandmarkBasis.fit(still, N_TRAIN).unit).std(axis=0)
    talked = (moving.of_faces(talking(0)) * moving.unit).std(axis=0)
    assert turned.max() < 0.1 * talked[LOWER_LIP, 1]


def test_training_frames_fill_the_range_and_nothing_leaves_it() -> None:
    points = talking(1)
    points[120, 14] += [0, 1, 0]  # a failure of the detector, in a held-out frame
    for scale in ("one", "each"):
        landmarks = LandmarkBasis.fit(points, N_TRAIN, scale=scale).of_faces(points)
        assert landmarks.dtype == np.float32
        assert np.abs(landmarks[:N_TRAIN].mean(axis=0)).max() < 0.02
        assert 0.7 < np.abs(landmarks[:N_TRAIN]).max() <= 1
        assert np.abs(landmarks).max() <= 1
        assert landmarks[120, LOWER_LIP, 1] == 1


def test_one_failure_in_training_does_not_shrink_everything_else() -> None:
    points, spoilt = talking(2), talking(2)
    spoilt[7, 17] += [0, 1, 0]
    one, other = LandmarkBasis.fit(points, N_TRAIN), LandmarkBasis.fit(spoilt, N_TRAIN)
    assert other.unit[0, 0] < 1.5 * one.unit[0, 0]


def test_each_coordinate_can_have_its_own_unit() -> None:
    points = talking(3)
    landmarks = LandmarkBasis.fit(points, N_TRAIN, scale="each").of_faces(points)[:N_TRAIN]
    np.testing.assert_allclose(landmarks[:, LOWER_LIP, 1].std(), 1 / 3, rtol=0.05)
    np.testing.assert_allclose(landmarks[:, CORNER, 0].std(), 1 / 3, rtol=0.05)
    assert landmarks[:, NOSE].std() < 0.1, "noise of what stands still fills the range"


def test_held_out_frames_do_not_shape_the_basis() -> None:
    points, other = talking(4), talking(4)
    other[N_TRAIN:] = 1.7 * talking(6)[N_TRAIN:]
    one, two = LandmarkBasis.fit(points, N_TRAIN), LandmarkBasis.fit(other, N_TRAIN)
    for name in ("centre", "unit", "limit", "mean_face"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_the_dense_set_holds_the_68_points() -> None:
    points = talking(0)
    few, dense = LandmarkBasis.fit(points, N_TRAIN), LandmarkBasis.fit(points, N_TRAIN, "dense")
    assert dense.centre.shape == (468, 3)
    a, b = few.of_faces(points) * few.unit, dense.of_faces(points)[:, list(indices.MESH_OF_68)] * dense.unit[0, 0]
    is_within = (np.abs(few.of_faces(points)) < 1) & (np.abs(dense.of_faces(points)[:, list(indices.MESH_OF_68)]) < 1)
    np.testing.assert_allclose(a[is_within], b[is_within], atol=1e-6)


@pytest.mark.parametrize("points", ["68", "dense"])
def test_eyes_and_brows_can_be_left_where_they_are(points: PointSet) -> None:
    faces = talking(0)
    faces[:, [159, 105]] += np.random.default_rng(1).normal(0, 0.02, (N_FRAMES, 2, 3))  # an upper lid, a brow
    whole = LandmarkBasis.fit(faces, N_TRAIN, points)
    basis = LandmarkBasis.fit(faces, N_TRAIN, points, has_eyes=False)
    moved, still = whole.of_faces(faces), basis.of_faces(faces)
    around_eyes = [basis.numbers.index(point) for point in (*indices.MESH_OF_68[17:27], *indices.MESH_OF_68[36:48])]
    others = sorted({basis.numbers.index(point) for point in indices.MESH_OF_68} - set(around_eyes))
    assert np.abs(moved[:, around_eyes]).max() > 0.1
    assert not still[:, around_eyes].any()
    assert np.array_equal(still[:, others], moved[:, others])
    assert not basis.limited(np.ones_like(still))[:, around_eyes].any()
    again = LandmarkBasis.from_arrays(basis.arrays())
    assert np.array_equal(again.of_faces(faces), still)


def test_limits_are_the_published_deviations_from_the_mean() -> None:
    """SPEC 7.2: 2.3, but 1.15 across and up for brows (17 to 26) and eyes (36 to 47)."""
    wanted = np.full((68, 3), 2.3)
    wanted[17:27, :2] = wanted[36:48, :2] = 1.15
    np.testing.assert_array_equal(landmark_limits(indices.MESH_OF_68), wanted)
    points = talking(0)
    basis = LandmarkBasis.fit(points, N_TRAIN)
    spread = basis.of_faces(points)[:N_TRAIN, LOWER_LIP, 1].std()
    np.testing.assert_allclose(basis.limit[LOWER_LIP, 1], min(2.3 * spread, 1), rtol=0.05)


def test_another_programs_landmarks_are_scaled_as_they_are() -> None:
    rng = np.random.default_rng(0)
    theirs = 0.4 + 0.05 * rng.normal(size=(N_FRAMES, 68, 3))
    basis = LandmarkBasis.fit_measured(theirs, N_TRAIN)
    landmarks = basis.of_measured(theirs)
    is_within = np.abs(landmarks) < 1
    np.testing.assert_allclose((landmarks * basis.unit + basis.centre)[is_within], theirs[is_within], atol=1e-5)
    assert is_within.mean() > 0.99
    with pytest.raises(InputError, match="another program"):
        basis.of_faces(talking(0))
    with pytest.raises(InputError, match=r"68 landmarks a frame .* are 12 a frame"):
        basis.of_measured(theirs[:, :12])


def test_a_face_that_never_moves_stays_at_zero() -> None:
    points = np.repeat(talking(0)[:1], 10, axis=0)
    assert np.abs(LandmarkBasis.fit(points, 10).of_faces(points)).max() < 0.01


def test_what_cannot_be_scaled_is_refused() -> None:
    points = talking(0)
    with pytest.raises(InputError, match="at least 2 training frames"):
        LandmarkBasis.fit(points, 1)
    broken = talking(0)
    broken[3, 5] = np.nan
    with pytest.raises(InputError, match="without NaN"):
        LandmarkBasis.fit(broken, N_TRAIN)
    with pytest.raises(InputError, match="NaN or infinite"):
        LandmarkBasis.fit_measured(np.full((5, 68, 3), np.inf), 5)
