"""The torso layer is exact outside the head, without gap, streak or spill under it."""

import cv2
import numpy as np
import pytest

from loquent.prepare.torso_layer import torso_layer


class Scene:
    """A head over a striped neck and a suit, at any height of the picture; true labels."""

    def __init__(self, height: int = 451, width: int = 449):
        scale = height / 450
        row, column = np.mgrid[:height, :width] + 0.5
        across = column - width / 2
        head = np.hypot(across * 1.3, row - 0.38 * height) < 0.27 * height
        neck = (np.abs(across) < 0.12 * width) & (row > 0.4 * height)
        suit = row > 0.72 * height + 0.4 * np.abs(across)
        person = head | neck | suit
        alpha = cv2.GaussianBlur(person.astype(np.float32), (0, 0), 1.0 * scale)
        share = cv2.GaussianBlur((head | (row < 0.55 * height)).astype(np.float32), (0, 0), 0.8 * scale)
        background = np.round(255 * (1 - alpha)).astype(np.uint8)
        head_levels = np.minimum(np.round(255 * alpha * share).astype(np.uint8), 255 - background)
        self.matte = np.dstack([head_levels, 255 - background - head_levels, background])
        stripes = 40 * np.sign(np.sin(across / (4 * scale)))[..., None]
        skin = np.array([170, 110, 80]) + 0.4 * stripes
        self.image = np.where(head[..., None], [220, 30, 30], np.where(suit[..., None], [30, 30, 40], skin))
        self.plate = np.random.default_rng(0).integers(0, 256, (height, width, 3))
        self.image = np.where(person[..., None], self.image, self.plate).astype(np.uint8)
        self.scale, self.centre = scale, width // 2
        self.chin = int(0.65 * height)


def over(layer: np.ndarray, behind: np.ndarray) -> np.ndarray:
    alpha = layer[..., 3:] / 255
    return layer[..., :3] * alpha + behind * (1 - alpha)


@pytest.mark.parametrize(("height", "width"), [(451, 449), (201, 301)])
def test_outside_the_head_the_layer_over_the_plate_is_the_training_target(height, width):
    scene = Scene(height, width)
    layer = torso_layer(scene.image, scene.matte)
    behind = scene.matte[..., 2:] / 255
    target = scene.image * (1 - behind) + scene.plate * behind
    outside = scene.matte[..., 0] == 0
    np.testing.assert_allclose(over(layer, scene.plate)[outside], target[outside], atol=1e-6)


def test_the_neck_goes_on_under_the_chin():
    scene = Scene()
    layer = torso_layer(scene.image, scene.matte)
    column = layer[scene.chin - 50 : scene.chin + 10, scene.centre - 20 : scene.centre + 20, 3]
    assert (column == 255).all()
    assert (layer[: scene.chin - 100, :, 3] == 0).all()


def test_no_gap_opens_when_the_head_rises():
    scene = Scene()
    layer = torso_layer(scene.image, scene.matte)
    for rise in (10, 30, 45):
        head = np.roll(scene.matte[..., 0], -rise, axis=0).astype(int)
        neck = slice(scene.centre - 30, scene.centre + 30)
        covered = head[300:, neck] + layer[300:, neck, 3]
        assert covered.min() >= 250


def test_nothing_shows_beside_the_head_of_its_own_frame():
    scene = Scene()
    layer = torso_layer(scene.image, scene.matte)
    spill = layer[..., 3].astype(int) - (255 - scene.matte[..., 2].astype(int))
    assert spill.max() <= 0
    edge_of_head = (scene.matte[..., 2] > 20) & (scene.matte[..., 1] == 0)
    assert layer[edge_of_head, 3].max() <= 12


def test_the_continuation_has_the_necks_colours_without_streaks_or_the_heads_red():
    scene = Scene()
    layer = torso_layer(scene.image, scene.matte)
    patch = layer[scene.chin - 40 : scene.chin - 20, scene.centre - 25 : scene.centre + 25, :3].astype(float)
    assert np.abs(patch.mean((0, 1)) - [170, 110, 80]).max() < 15
    stripes_in_neck = scene.image[scene.chin + 15, scene.centre - 25 : scene.centre + 25].std(0).max()
    assert patch.std(1).max() < 0.15 * stripes_in_neck


def test_a_collar_at_the_jaw_does_not_colour_the_neck():
    scene = Scene()
    collar = (scene.matte[..., 1] > 0) & (np.abs(np.arange(449)[None] - scene.centre) > 38)
    scene.image[collar & (scene.matte[..., 2] == 0) & (scene.matte[..., 0] == 0)] = 250
    layer = torso_layer(scene.image, scene.matte)
    continued = (layer[..., 3] > 200) & (scene.matte[..., 0] == 255)
    assert layer[continued, 2].max() < 120


def test_without_torso_or_without_head_there_is_nothing_to_continue():
    scene = Scene()
    only_head = scene.matte.copy()
    only_head[..., 2] += only_head[..., 1]
    only_head[..., 1] = 0
    assert (torso_layer(scene.image, only_head) == 0).all()
    only_torso = scene.matte.copy()
    only_torso[..., 2] += only_torso[..., 0]
    only_torso[..., 0] = 0
    np.testing.assert_array_equal(torso_layer(scene.image, only_torso)[..., 3], only_torso[..., 1])


def test_any_labels_give_a_layer():
    rng = np.random.default_rng(0)
    for height, width in ((7, 5), (64, 49)):
        for grain in (0.5, 6):
            split = cv2.GaussianBlur(rng.random((height, width, 2)), (0, 0), grain)
            split = (split - split.min()) / np.ptp(split)
            head = (255 * split[..., 0]).astype(np.uint8)
            torso = ((255 - head) * split[..., 1]).astype(np.uint8)
            matte = np.dstack([head, torso, 255 - head - torso])
            layer = torso_layer(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), matte)
            assert layer.shape == (height, width, 4)
            assert (layer[head == 0, 3] == torso[head == 0]).all()
