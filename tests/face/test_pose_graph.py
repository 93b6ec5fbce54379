"""Anchors are summed in blocks of frames: the same sums as all at once, in memory that does not grow with the clip."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from loquent.face import pose_graph
from loquent.face.bundle import cross_matrix, huber_weight, project_camera_points, projection_jacobian
from loquent.face.pose_graph import Anchors, PoseProblem, Poses
from loquent.geometry.cameras import Camera

CAMERA = Camera.centred(450, 450, 1200.0)
WINDOW = 8


def made_up(n_frames: int, n_points: int, seed: int = 0) -> tuple[Anchors, Poses]:
    """Points of which each frame sees some; some frames see none, and some points are far off."""
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_rotvec(rng.normal(0, 0.1, (n_frames, 3))).as_matrix()
    poses = Poses(rotations, rng.normal([0, 0, 3], 0.05, (n_frames, 3)))
    places = rng.normal(0, 0.4, (n_points, 3))
    in_camera = np.einsum("fij,nj->fni", rotations, places) + poses.translations[:, None]
    seen_px = project_camera_points(in_camera, CAMERA) + rng.normal(0, 2, (n_frames, n_points, 2))
    trust = rng.uniform(0.5, 2, (n_frames, n_points)) * (rng.random((n_frames, n_points)) < 0.4)
    trust[n_frames // 2 :: 7] = 0
    trust[:, n_points // 3 :: 11] = 0
    seen_px[trust == 0] = 0  # as where nothing was found
    return Anchors(places, seen_px, trust, rng.uniform(1, 3, n_points)), poses


def dense(anchors: Anchors, poses: Poses) -> tuple[float, np.ndarray, np.ndarray]:
    """Cost, normal matrices [F, 6, 6] and right sides [F, 6], of all frames and points at once."""
    turned = np.einsum("fij,nj->fni", poses.rotations, anchors.places)
    in_camera = turned + poses.translations[:, None]
    residual = project_camera_points(in_camera, CAMERA) - anchors.seen_px
    by_point = projection_jacobian(in_camera, CAMERA)
    by_pose = np.concatenate([-by_point @ cross_matrix(turned), by_point], axis=-1)
    off = np.linalg.norm(residual, axis=-1)
    huber = np.where(off <= anchors.scale_px, off**2, anchors.scale_px * (2 * off - anchors.scale_px))
    weighted = (anchors.trust * huber_weight(off, anchors.scale_px))[..., None, None] * by_pose
    matrices = np.einsum("fnki,fnkj->fij", weighted, by_pose)
    return float((anchors.trust * huber).sum()), matrices, np.einsum("fnki,fnk->fi", weighted, residual)


@pytest.mark.parametrize("block", [1, 7, 100])
@pytest.mark.parametrize("n_frames", [1, 33])
def test_blocks_of_frames_give_the_sums_of_all(monkeypatch: pytest.MonkeyPatch, block: int, n_frames: int) -> None:
    monkeypatch.setattr(pose_graph, "_BLOCK_FRAMES", block)
    anchors, poses = made_up(n_frames, 40)
    problem = PoseProblem([], anchors, CAMERA, WINDOW, 0.3)
    n_blocks = -(-n_frames // WINDOW)
    pairs = np.zeros((n_blocks, 12 * WINDOW, 12 * WINDOW))
    right = np.zeros(((n_blocks + 1) * WINDOW, 6))
    problem._add_anchors(poses, pairs, right)
    cost, matrices, right_sides = dense(anchors, poses)
    assert problem._cost(poses) == pytest.approx(cost, rel=1e-9)
    np.testing.assert_allclose(right[:n_frames], right_sides, rtol=1e-9, atol=1e-9)
    assert not right[n_frames:].any()
    for i in range(n_frames):
        at = slice((i % WINDOW) * 6, (i % WINDOW) * 6 + 6)
        np.testing.assert_allclose(pairs[i // WINDOW, at, at], matrices[i], rtol=1e-9, atol=1e-9)
        pairs[i // WINDOW, at, at] = 0
    assert not pairs.any()


def test_memory_does_not_grow_with_the_clip() -> None:
    """Of 3000 frames and 300 points, one of the arrays [F, n, 2, 6] would take 86 MB."""
    anchors, poses = made_up(3000, 300)
    problem = PoseProblem([], anchors, CAMERA, WINDOW, 0.3)
    n_blocks = 3000 // WINDOW
    pairs = np.zeros((n_blocks, 12 * WINDOW, 12 * WINDOW))
    right = np.zeros(((n_blocks + 1) * WINDOW, 6))
    tracemalloc.start()
    problem._cost(poses)
    problem._add_anchors(poses, pairs, right)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
