"""Refinement by optical flow on a drawn, textured head whose poses are known."""

import cv2
import numpy as np
from synthetic_face import apart_deg, look_at, make_face

from loquent.face import flow_refine
from loquent.face.flow_refine import refine_with_flow
from loquent.face.flow_tracks import WINDOW, FlowTracks, follow_points, skull_mask
from loquent.face.head_pose import fit_head_pose


def smooth_path(n_frames: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cumsum(cv2.GaussianBlur(rng.normal(0, 1, (n_frames, 2)), (1, 9), 2), axis=0)


def textured(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (240, 250))
    return cv2.GaussianBlur(noise, (0, 0), 2.0).astype(np.uint8)


def test_points_follow_a_moving_picture() -> None:
    base, path = textured(0), smooth_path(40, 1)

    def frame(i: int) -> np.ndarray:
        shift = np.array([[1, 0, path[i, 0]], [0, 1, path[i, 1]]])
        return cv2.warpAffine(base, shift, (250, 240), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)

    usable = np.ones(40, bool)
    usable[20] = False
    middle = np.zeros((240, 250), np.uint8)
    middle[60:-60, 60:-60] = 255
    tracks = follow_points(frame, 40, usable, lambda i: middle)
    assert {one.first_frame for one in tracks} >= {0, 8, 16, 21, 24, 32}
    for one in tracks:
        frames = np.arange(one.first_frame, one.first_frame + one.places_px.shape[1])
        assert 20 not in frames
        assert len(frames) <= WINDOW
        moved = one.places_px - one.places_px[:, :1]
        truth = path[frames] - path[one.first_frame]
        assert np.abs(moved - truth)[one.is_seen].max() < 0.5
        assert np.median(np.abs(moved - truth)[one.is_seen]) < 0.05


def test_the_mask_leaves_out_what_moves() -> None:
    points = look_at(make_face(0)[None], 0, spread_deg=1).points_px[0]
    mask = skull_mask(points, 450, 450)
    assert set(np.unique(mask)) == {0, 255}
    row = int(points[152, 1]) - 3  # just above the chin
    assert not mask[row:].any()


def exact_tracks(points: np.ndarray, seen: object, first: int, n_frames: int, seed: int) -> FlowTracks:
    """Tracks of true head points with a little noise."""
    rng = np.random.default_rng(seed)
    camera, frames = seen.camera, slice(first, first + n_frames)  # type: ignore[attr-defined]
    in_camera = np.einsum("fij,nj->nfi", seen.rotations[frames], points) + seen.translations[frames]  # type: ignore[attr-defined]
    places = in_camera[..., :2] / in_camera[..., 2:] * camera.fx + camera.cx
    return FlowTracks(first, places + rng.normal(0, 0.05, places.shape), np.ones(places.shape[:2], bool))


def test_tracks_take_the_landmarks_common_trembling_out() -> None:
    n_frames = 50
    face = make_face(0)
    seen = look_at(np.repeat(face[None], n_frames, axis=0), 3, spread_deg=5)
    trembling = np.random.default_rng(4).normal(0, 1.5, (n_frames, 1, 2))
    points = seen.points_px.copy()
    points[..., :2] += trembling
    rough = fit_head_pose(points, seen.camera)
    skull = face[[*range(200, 260)]]
    tracks = [
        exact_tracks(skull, seen, first, min(WINDOW, n_frames - first), first) for first in range(0, n_frames - 8, 8)
    ]
    stray = np.random.default_rng(9).normal(200, 30, (5, tracks[0].places_px.shape[1], 2))
    tracks.append(FlowTracks(0, stray, np.ones(stray.shape[:2], bool)))
    anchors, start = flow_refine._landmarks(points, rough, seen.camera), flow_refine._unpack(rough.world_from_camera)
    fine = flow_refine._refine(tracks, anchors, start, points, rough, seen.camera)

    def errors(poses: object) -> float:
        found = poses.world_from_camera  # type: ignore[attr-defined]
        middle = -np.einsum("fji,fj->fi", found[:, :3, :3], found[:, :3, 3])
        uv = middle[:, :2] / middle[:, 2:] * seen.camera.fx
        truth = seen.translations[:, :2] / seen.translations[:, 2:] * seen.camera.fx
        return float(np.linalg.norm(np.diff(uv - truth, axis=0), axis=1).mean())

    assert errors(fine) < 0.3 * errors(rough)
    turned = fine.world_from_camera[:, :3, :3].transpose(0, 2, 1)
    assert np.median(apart_deg(turned, seen.rotations)) < 0.5
    np.testing.assert_array_equal(fine.shape, rough.shape)


def test_frames_without_a_pose_stay_without() -> None:
    seen = look_at(np.repeat(make_face(0)[None], 20, axis=0), 5, spread_deg=2)
    points = seen.points_px.copy()
    points[[4, 11]] = np.nan
    poses = fit_head_pose(points, seen.camera)
    grey = np.full((450, 450, 3), 128, np.uint8)
    fine = refine_with_flow(lambda i: grey, points, poses, seen.camera)  # nothing to follow on a blank picture
    assert np.isnan(fine.world_from_camera[[4, 11]]).all()
    np.testing.assert_allclose(fine.world_from_camera[fine.found], poses.world_from_camera[poses.found], atol=0.02)
