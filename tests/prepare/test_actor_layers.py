"""Segmenter, plate, mattes and torso layer together: against the actor's truth, and on real clips when they are at hand."""

from pathlib import Path

import numpy as np
import pytest

from loquent.actor.scene import Actor
from loquent.actor.script import make_script
from loquent.face.landmarks import LandmarkDetector
from loquent.face.segmentation import PersonSegmenter
from loquent.media.video import read_frames
from loquent.prepare.background import BackgroundPlate, camera_motion_px, estimate_background
from loquent.prepare.mattes import estimate_mattes
from loquent.prepare.torso_layer import torso_layer

CLIPS = Path(__file__).parents[3] / "shared" / "data"


def measured(images: list[np.ndarray]) -> tuple[BackgroundPlate, list[np.ndarray], float]:
    """Plate, labels of every picture, and how far the camera moved."""
    with PersonSegmenter() as segmenter, LandmarkDetector(is_tracking=False) as detector:
        people = [segmenter.matte(image) for image in images]
        meshes = [detector.detect(image)[0].points_px for image in images]
    plate = estimate_background(images.__getitem__, people.__getitem__, len(images))
    motion_px = camera_motion_px(images.__getitem__, people.__getitem__, len(images))
    labels = [estimate_mattes(*seen, plate) for seen in zip(images, people, meshes, strict=True)]
    return plate, labels, motion_px


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float(((one >= 128) & (other >= 128)).sum() / ((one >= 128) | (other >= 128)).sum())


def test_the_actors_head_is_found():
    script = make_script(8.0, 0)
    actor = Actor(256, 0)
    frames = [actor.render(script, i) for i in range(0, script.n_frames, script.n_frames // 8)]
    plate, labels, motion_px = measured([frame.image for frame in frames])
    overlaps = np.array(
        [
            [overlap(found[..., k], frame.matte[..., k]) for k in range(3)]
            for found, frame in zip(labels, frames, strict=True)
        ]
    )
    assert overlaps[:, 0].min() > 0.95, overlaps
    assert overlaps.mean(0).min() > 0.95, overlaps
    assert motion_px < 0.2
    assert 0.4 < plate.seen.mean() < 0.9


@pytest.mark.parametrize("name", ["obama_20s", "menendez_8s", "french_50s"])
def test_layers_of_a_real_clip_rebuild_its_frames(name):
    path = CLIPS / f"{name}.mp4"
    if not path.is_file():
        pytest.skip("needs ../shared/data, which is not beside this checkout")
    images = [frame.image for frame in read_frames(path, end_s=7.0)][::7]
    plate, labels, _ = measured(images)
    for image, label in zip(images, labels, strict=True):
        layer = torso_layer(image, label).astype(float)
        rebuilt = layer[..., :3] * layer[..., 3:] / 255 + plate.image * (1 - layer[..., 3:] / 255)
        target = image * (1 - label[..., 2:] / 255) + plate.image * (label[..., 2:] / 255)
        outside = label[..., 0] == 0
        np.testing.assert_allclose(rebuilt[outside], target[outside], atol=1e-6)
        # What remains against the frame is the background's own change: noise, blocks of compression, a moving camera.
        assert 10 * np.log10(255**2 / np.square(rebuilt - image)[outside].mean()) > 34
        # Every pixel of the border between head and neck has something opaque on both sides of it: no gap.
        border = (label[..., 0] > 0) & (label[..., 1] > 0) & (label[..., 2] == 0)
        assert border.sum() > 50
        assert (layer[border, 3] >= 250).mean() > 0.94
