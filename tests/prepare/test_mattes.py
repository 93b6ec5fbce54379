"""Labels against a scene whose true opacity is known; the border of head and neck against the mesh it is drawn from."""

import cv2
import numpy as np
import pytest

from loquent.face.head_region import head_region
from loquent.face.indices import CHIN, FOREHEAD_TOP, NOSE_TIP
from loquent.prepare.background import BackgroundPlate
from loquent.prepare.mattes import estimate_mattes, person_alpha, steady_landmarks

RIGHT_SIDE = (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148)
LEFT_SIDE = (356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377)


def textured(
    height: int, width: int, seed: int, grain: float, mean: tuple[int, int, int], contrast: float
) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (height, width, 3)), (0, 0), grain)
    return np.clip(np.array(mean) + contrast * noise / noise.std(), 0, 255)


def mesh_for(height: int, width: int, *, chin_drop: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """A face mesh reduced to the points that matter: half an ellipse from ear to ear, chin at 0.62 of the height."""
    centre, radii = np.array([width / 2, 0.4 * height]), np.array([0.14 * width, 0.22 * height])
    mesh = np.zeros((478, 3), np.float32)
    mesh[:, :2] = centre
    for side, indices in ((-1, RIGHT_SIDE), (1, LEFT_SIDE)):
        angles = np.linspace(-0.1, 0.5 * np.pi, len(indices) + 1)[:-1]
        mesh[list(indices), 0] = centre[0] + side * radii[0] * np.cos(angles)
        mesh[list(indices), 1] = centre[1] + radii[1] * np.sin(angles) + chin_drop * np.maximum(0, np.sin(angles)) ** 2
    mesh[CHIN, 1] = centre[1] + radii[1] + chin_drop
    mesh[FOREHEAD_TOP, 1] = centre[1] - radii[1]
    mesh[NOSE_TIP, 1] += 0.2 * radii[1]
    turn = cv2.getRotationMatrix2D(centre.tolist(), np.degrees(roll), 1)
    mesh[:, :2] = mesh[:, :2] @ turn[:, :2].T + turn[:, 2]
    return mesh


class Scene:
    """A head, a neck and shoulders with a soft, wavy outline before a textured wall."""

    def __init__(self, height: int = 301, width: int = 287, seed: int = 0):
        row, column = np.mgrid[:height, :width] + 0.5
        angle = np.arctan2(row - 0.38 * height, column - width / 2)
        wave = 3 * np.sin(23 * angle)
        head = 0.24 * height + wave - np.hypot((column - width / 2) * 1.35, row - 0.38 * height)
        neck = np.where(row > 0.38 * height, 0.09 * width - np.abs(column - width / 2), -99)
        shoulders = 0.42 * width - np.hypot(column - width / 2, (row - 1.05 * height) * 1.2)
        distance = np.maximum(np.maximum(head, neck), shoulders)
        self.alpha = np.clip(0.5 + distance / 3, 0, 1)
        self.wall = textured(height, width, seed, 4, (90, 120, 140), 25)
        person = textured(height, width, seed + 1, 6, (160, 90, 60), 15)
        noise = np.random.default_rng(seed).normal(0, 1.5, self.wall.shape)
        picture = self.wall + self.alpha[..., None] * (person - self.wall) + noise
        self.image = np.clip(picture, 0, 255).astype(np.uint8)
        small = cv2.resize(self.alpha, (width // 7, height // 7), interpolation=cv2.INTER_AREA)
        self.segmented = cv2.resize(small, (width, height)).astype(np.float32)
        self.plate = BackgroundPlate(
            self.wall.astype(np.uint8), np.ones((height, width), bool), np.full((height, width), 1.5, np.float32)
        )
        self.mesh = mesh_for(height, width)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_labels_sum_to_255_for_any_input():
    rng = np.random.default_rng(0)
    for height, width in ((61, 45), (40, 83), (9, 7)):
        for seen in (0.0, 0.5, 1.0):
            plate = BackgroundPlate(
                rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
                rng.random((height, width)) < seen,
                rng.uniform(0, 9, (height, width)).astype(np.float32),
            )
            image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            person = cv2.GaussianBlur(rng.random((height, width)), (0, 0), 3).astype(np.float32)
            mesh = rng.uniform(-2 * width, 3 * width, (478, 3)).astype(np.float32)
            labels = estimate_mattes(image, person, mesh, plate)
            assert labels.dtype == np.uint8
            assert (labels.astype(int).sum(-1) == 255).all()


def test_plate_sharpens_the_segmenters_matte():
    scene = Scene()
    alpha = person_alpha(scene.image, scene.segmented, scene.plate)
    before = np.abs(scene.segmented - scene.alpha).mean()
    after = np.abs(alpha - scene.alpha).mean()
    assert after < before / 3
    assert overlap(alpha > 0.5, scene.alpha > 0.5) > 0.985


def test_without_a_plate_the_picture_still_sharpens_the_matte():
    scene = Scene()
    blind = BackgroundPlate(scene.plate.image, np.zeros_like(scene.plate.seen), scene.plate.noise_std)
    alpha = person_alpha(scene.image, scene.segmented, blind)
    assert overlap(alpha > 0.5, scene.alpha > 0.5) >= overlap(scene.segmented > 0.5, scene.alpha > 0.5)


def test_a_noisy_plate_is_not_trusted():
    scene = Scene()
    wrong = BackgroundPlate(scene.image, scene.plate.seen, np.full(scene.alpha.shape, 80, np.float32))
    alpha = person_alpha(scene.image, scene.segmented, wrong)
    assert overlap(alpha > 0.5, scene.alpha > 0.5) > 0.93


def test_a_person_of_the_walls_colour_is_kept():
    scene = Scene()
    same = BackgroundPlate(scene.image, scene.plate.seen, scene.plate.noise_std)
    alpha = person_alpha(scene.image, scene.segmented, same)
    assert overlap(alpha > 0.5, scene.alpha > 0.5) > 0.93


def test_a_hole_left_by_the_segmenter_is_closed_but_a_gap_at_the_border_is_not():
    scene = Scene()
    cv2.circle(scene.segmented, (143, 90), 8, (0.1,), -1)
    scene.segmented[:, :60] = 0
    alpha = person_alpha(scene.image, scene.segmented, scene.plate)
    assert alpha[85:96, 138:149].min() > 0.9
    assert alpha[:, :45].max() == 0


def test_nobody_and_everybody():
    scene = Scene()
    nobody = estimate_mattes(scene.image, np.zeros_like(scene.segmented), scene.mesh, scene.plate)
    assert (nobody[..., 2] == 255).all()
    everybody = estimate_mattes(scene.image, np.ones_like(scene.segmented), scene.mesh, scene.plate)
    assert (everybody[..., 2] == 0).all()


def test_somebody_else_in_the_picture_is_background():
    scene = Scene()
    cv2.circle(scene.segmented, (22, 60), 15, (1.0,), -1)
    labels = estimate_mattes(scene.image, scene.segmented, scene.mesh, scene.plate)
    assert (labels[40:80, :40, 2] == 255).all()
    assert labels[100, 143, 0] == 255


def test_head_and_torso_are_on_their_sides_of_the_jaw():
    scene = Scene()
    labels = estimate_mattes(scene.image, scene.segmented, scene.mesh, scene.plate)
    height, width = scene.alpha.shape
    assert labels[int(0.15 * height), width // 2, 0] == 255  # hair
    assert labels[int(0.61 * height), width // 2, 0] == 255  # chin
    assert labels[int(0.68 * height), width // 2, 1] == 255  # neck
    assert (labels[int(0.9 * height) :, ..., 0] == 0).all()  # shoulders


@pytest.mark.parametrize("roll", [-0.35, 0.0, 0.35])
def test_the_mesh_lies_within_the_head_and_the_border_is_soft_and_one_piece(roll):
    mesh = mesh_for(451, 449, roll=roll)
    region = head_region(mesh, 451, 449)
    for index in (*RIGHT_SIDE, *LEFT_SIDE, CHIN, FOREHEAD_TOP, NOSE_TIP):
        column, row = mesh[index, :2].astype(int)
        assert region[row, column] > 0.99, index
    assert np.abs(np.diff(region, axis=0)).max() < 0.6
    n_pieces, _ = cv2.connectedComponents((region > 0.5).astype(np.uint8))
    assert n_pieces == 2  # the region and what is outside
    border = cv2.findContours((region > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    assert len(border) == 1


def test_an_opening_mouth_takes_the_border_down_with_the_chin():
    shut, opened = (head_region(mesh_for(451, 449, chin_drop=drop), 451, 449)[:, 224].sum() for drop in (0, 12))
    assert opened - shut == pytest.approx(12, abs=2)


def test_the_border_moves_smoothly_with_the_mesh():
    before = head_region(mesh_for(451, 449), 451, 449)
    after = head_region(mesh_for(451, 449) + np.float32([0.1, 0.1, 0]), 451, 449)
    assert np.abs(after - before).max() < 0.2


def moving_meshes(n_frames: int, tremble_px: float) -> np.ndarray:
    """One random mesh that turns, grows and travels; every point trembles on its own."""
    rng = np.random.default_rng(0)
    shape = rng.uniform(-60, 60, (478, 3))
    meshes = np.empty((n_frames, 478, 3), np.float32)
    for i in range(n_frames):
        turn = cv2.getRotationMatrix2D((0, 0), 3.0 * i, 1 + 0.01 * i)
        meshes[i, :, :2] = shape[:, :2] @ turn[:, :2].T + [100 + 5 * i, 120 - 3 * i]
        meshes[i, :, 2] = shape[:, 2] * (1 + 0.01 * i)
    return meshes + rng.normal(0, tremble_px, meshes.shape).astype(np.float32)


def test_steadying_keeps_the_heads_motion_and_stills_the_trembling():
    frame_ids = np.arange(9)
    true = moving_meshes(9, 0)
    np.testing.assert_allclose(steady_landmarks(true, frame_ids), true, atol=1e-3)
    trembling = moving_meshes(9, 1.0)
    before, after = (
        np.std(meshes[1:-1] - true[1:-1]) for meshes in (trembling, steady_landmarks(trembling, frame_ids))
    )
    assert after < 0.7 * before  # sqrt(1/16 + 1/4 + 1/16) = 0.61 in theory


def test_steadying_does_not_reach_across_missing_frames():
    meshes = moving_meshes(4, 1.0)
    apart = steady_landmarks(meshes, np.array([0, 2, 5, 9]))
    np.testing.assert_allclose(apart, meshes, atol=1e-4)
    pairs = steady_landmarks(meshes, np.array([0, 1, 5, 6]))
    alone = steady_landmarks(meshes[:2], np.array([0, 1]))
    np.testing.assert_allclose(pairs[:2], alone, atol=1e-5)
    np.testing.assert_allclose(steady_landmarks(meshes[:1], np.array([7])), meshes[:1], atol=1e-5)
