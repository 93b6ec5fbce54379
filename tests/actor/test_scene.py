"""Pictures of the actor against the geometry that made them, and against a face tracker."""

import cv2
import numpy as np
import pytest
import torch

from loquent.actor.expression import Expression
from loquent.actor.head import EYE_ROW, MOUTH_ROW
from loquent.actor.scene import ORIGIN_CM, UNITS_PER_CM, Actor
from loquent.actor.script import Stance, make_script
from loquent.geometry.cameras import project

TURNED = Stance(yaw=0.16, pitch=-0.07, roll=0.09, shift=(0.03, -0.02, 0.08), torso_roll=0.02)


@pytest.fixture(scope="module")
def actor():
    return Actor(160, seed=0)


@pytest.fixture(scope="module")
def script():
    return make_script(20.0, seed=0)


def _pixels(actor, points_cm, pose):
    volume = ((points_cm - ORIGIN_CM) * UNITS_PER_CM)[
        ..., [1, 2, 0]
    ]  # x up, y towards the camera, z to the picture's right
    return project(torch.from_numpy(volume), torch.from_numpy(pose), actor.camera).numpy()


def test_the_same_frame_is_drawn_the_same(actor, script):
    first, again = actor.render(script, 40), Actor(160, seed=0).render(script, 40)
    assert first.image.shape == (160, 160, 3)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.matte, again.matte)
    assert np.array_equal(first.world_from_camera, again.world_from_camera)
    assert np.array_equal(first.world_from_camera, actor.world_from_camera(script, 40))


@pytest.mark.parametrize(("size", "samples"), [(96, 2), (97, 3)])
def test_small_and_odd_sizes_with_any_sampling(size, samples):
    frame = Actor(size, seed=1, samples=samples).draw(Expression(), TURNED)
    assert frame.image.shape == frame.matte.shape == (size, size, 3)
    assert np.array_equal(frame.matte.astype(int).sum(axis=2), np.full((size, size), 255))
    assert len(np.unique(frame.matte[..., 0])) > samples


def test_the_pose_is_a_rotation_and_a_frontal_camera_sits_before_the_face(actor):
    pose = actor.draw(Expression(), Stance()).world_from_camera
    assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3))
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    assert np.allclose(pose[:3, 3], [0.0, 3.05, 0.0])
    assert np.allclose(pose[:3, 2], [0.0, -1.0, 0.0])  # looks along -y
    # Turning the head to the image's right moves the camera to the head's other side.
    assert actor.draw(Expression(), Stance(yaw=-0.2)).world_from_camera[2, 3] < -0.3


@pytest.mark.parametrize("stance", [Stance(), TURNED])
def test_the_pose_projects_the_sculpture_where_the_picture_shows_it(actor, stance):
    """The iris is the darkest patch of each open eye."""
    frame = actor.draw(Expression(), stance)
    grey = cv2.GaussianBlur(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), (0, 0), 0.7).astype(float)
    for side in (-3.15, 3.15):
        (u, v), (left, _), (right, _) = _pixels(
            actor, np.array([[side, 0.0, 1.22], [side - 1.2, 0, 0.9], [side + 1.2, 0, 0.9]]), frame.world_from_camera
        )
        window = grey[round(v) - 1 : round(v) + 2, round(left) : round(right) + 1].mean(axis=0)
        assert abs(round(left) + np.argmin(window) + 0.5 - u) < 2.0


def test_an_independent_splat_of_the_skin_lies_in_the_head_matte(actor):
    """Every skin vertex seen from the camera falls on head pixels, and they fill the face."""
    frame = actor.draw(Expression(), TURNED)
    uv = _pixels(actor, actor._rig.pose(Expression()), frame.world_from_camera)
    rows, columns = np.floor(uv[:, 1]).astype(int), np.floor(uv[:, 0]).astype(int)
    assert np.mean(frame.matte[rows, columns, 0] > 0) > 0.995
    hull = cv2.fillConvexPoly(np.zeros((160, 160), np.uint8), cv2.convexHull(uv.round().astype(np.int32)), 1) > 0
    assert np.mean(frame.matte[hull][:, 0] > 0) > 0.95


def test_mattes_sum_to_255_and_match_the_picture(actor):
    frame = actor.draw(Expression(), TURNED)
    assert np.array_equal(frame.matte.astype(int).sum(axis=2), np.full((160, 160), 255))
    still = actor.draw(Expression(), Stance())
    both_room = (frame.matte[..., 2] == 255) & (still.matte[..., 2] == 255)
    assert np.array_equal(frame.image[both_room], still.image[both_room])
    assert 0.15 < (frame.matte[..., 0] > 127).mean() < 0.5
    assert (frame.matte[-1, :, 1] > 127).mean() > 0.8  # the torso reaches the lower edge
    assert (frame.matte[0, :, 2] > 127).all()  # the room shows above the hair
    edge = (frame.matte[..., 2] > 0) & (frame.matte[..., 2] < 255)
    assert 100 < edge.sum() < 1500


def test_mattes_are_the_shares_of_a_finer_drawing():
    coarse = Actor(96, seed=0, samples=4).draw(Expression(), TURNED).matte.astype(float)
    fine = Actor(384, seed=0, samples=1).draw(Expression(), TURNED).matte.astype(float)
    averaged = fine.reshape(96, 4, 96, 4, 3).mean(axis=(1, 3))
    assert np.abs(coarse - averaged).max() <= 1.0


def test_a_blink_changes_that_eye_only(actor):
    before, after = (actor.draw(Expression(blink_left=b), Stance()).image.astype(int) for b in (0.0, 1.0))
    rows, columns = np.nonzero(np.abs(before - after).max(axis=2) > 12)
    (u, v), (outer, _), (inner, _) = _pixels(
        actor,
        np.array([[-3.15, 0, 1.2], [-5.4, 0, 0], [-0.9, 0, 0]]),
        actor.draw(Expression(), Stance()).world_from_camera,
    )
    assert len(rows) > 20
    assert outer < columns.min() <= columns.max() < inner
    assert v - 9 < rows.min() <= rows.max() < v + 9
    redness = [(picture[int(v), int(u), 0] - picture[int(v), int(u), 2]) for picture in (before, after)]
    assert redness[0] < 10 < 40 < redness[1]  # skin where the blue iris was


def test_opening_the_mouth_changes_the_lower_face_only(actor):
    closed, opened = (actor.draw(Expression(jaw=j, part=j), Stance()) for j in (0.0, 0.7))
    changed = np.abs(closed.image.astype(int) - opened.image).max(axis=2) > 12
    nose = _pixels(actor, np.array([[0.0, -3.5, 4.3]]), closed.world_from_camera)[0, 1]
    assert changed.sum() > 150
    assert np.nonzero(changed)[0].min() > nose - 2
    assert np.array_equal(closed.world_from_camera, opened.world_from_camera)


def test_lip_measures_follow_the_rig(actor):
    assert actor.lips(Expression())[0] < 1e-6
    gaps = [actor.lips(Expression(jaw=j))[0] for j in (0.2, 0.5, 0.9)]
    assert 0.01 < gaps[0] < gaps[1] < gaps[2] < 0.5
    narrow, rest, wide = (actor.lips(Expression(spread=s))[1] for s in (-1.0, 0.0, 1.0))
    assert 0.35 < narrow < rest < wide < 0.8


def test_the_cut_rows_run_along_lips_and_lids(actor):
    grid = actor._rig.grid
    assert np.ptp(grid[MOUTH_ROW, np.abs(grid[MOUTH_ROW, :, 0]) < 2.3, 1]) < 0.3
    assert np.ptp(grid[EYE_ROW, np.abs(grid[EYE_ROW, :, 0]) < 4.5, 1]) < 0.6


def test_seeds_are_different_people():
    faces = [Actor(96, seed).draw(Expression(), Stance()) for seed in (0, 1)]
    skin = [f.image[(f.matte[..., 0] == 255)].astype(float).mean(axis=0) for f in faces]
    assert np.abs(skin[0] - skin[1]).max() > 15


def test_a_face_tracker_finds_the_face_and_its_lips_and_lids():
    """MediaPipe on every twelfth frame of twenty seconds: no miss; its lips and lids move with the truth."""
    mediapipe = pytest.importorskip("mediapipe")
    actor, script = Actor(256, seed=0), make_script(20.0, seed=0)
    blinking = np.flatnonzero(script.blink[:, 0] > 0.9)[:8]
    wanted = np.unique(np.concatenate([np.arange(0, script.n_frames, 12), blinking]))
    found, opening, lids, truth = 0, [], [], []
    with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        for i in wanted:
            faces = mesh.process(actor.render(script, int(i)).image).multi_face_landmarks
            if not faces:
                continue
            found += 1
            at = np.array([(p.x, p.y) for p in faces[0].landmark])
            eyes = np.linalg.norm(at[33] - at[263])
            opening.append(np.linalg.norm(at[13] - at[14]) / eyes)
            lids.append((np.linalg.norm(at[159] - at[145]) + np.linalg.norm(at[386] - at[374])) / eyes)
            truth.append((actor.lips(script.expression(int(i)))[0], script.blink[i, 0]))
    truth_lips, truth_lids = np.array(truth).T
    assert found >= 0.99 * len(wanted)
    assert np.corrcoef(opening, truth_lips)[0, 1] > 0.85
    assert np.corrcoef(lids, truth_lids)[0, 1] < -0.85
