"""The plate is the truth where it was seen, smooth where it was not; a moving camera is told from a still one."""

import cv2
import numpy as np
import pytest

from loquent.errors import PreparationError
from loquent.prepare.background import camera_motion_px, estimate_background


def textured(height: int, width: int, seed: int, grain: float = 2.0) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).uniform(0, 255, (height, width, 3)), (0, 0), grain)
    return np.clip(128 + (noise - 127.5) * 4, 0, 255).astype(np.uint8)


class Scene:
    """A disc that swings left and right before a textured wall, with camera noise."""

    def __init__(self, height: int = 151, width: int = 203, n_frames: int = 40, noise: float = 2.0):
        self.height, self.width, self.n_frames, self.noise = height, width, n_frames, noise
        self.wall = textured(height, width, 1)
        self.shirt = textured(height, width, 2, grain=5)
        self.reads: list[int] = []

    def alpha(self, i: int) -> np.ndarray:
        row, column = np.mgrid[: self.height, : self.width]
        centre = self.width / 2 + 25 * np.sin(2 * np.pi * i / self.n_frames)
        return np.clip(0.5 + 40 - np.hypot(row - self.height / 2, column - centre), 0, 1)

    def frame(self, i: int) -> np.ndarray:
        self.reads.append(i)
        alpha = self.alpha(i)[..., None]
        picture = self.wall * (1 - alpha) + self.shirt * alpha
        return np.clip(picture + np.random.default_rng(i).normal(0, self.noise, picture.shape), 0, 255).astype(np.uint8)

    def person(self, i: int) -> np.ndarray:
        return cv2.GaussianBlur(self.alpha(i), (0, 0), 2).astype(np.float32)


def test_plate_is_the_wall_where_it_was_seen():
    scene = Scene()
    plate = estimate_background(scene.frame, scene.person, scene.n_frames)
    always_hidden = np.all([scene.alpha(i) > 0 for i in range(scene.n_frames)], axis=0)
    assert not plate.seen[always_hidden].any()
    assert plate.seen[~always_hidden].mean() > 0.9
    error = np.abs(plate.image.astype(float) - scene.wall)[plate.seen]
    assert np.mean(error) < 1
    assert np.quantile(error, 0.999) < 6


def test_noise_is_measured():
    for noise in (1.0, 4.0):
        scene = Scene(noise=noise)
        plate = estimate_background(scene.frame, scene.person, scene.n_frames)
        assert np.median(plate.noise_std[plate.seen]) == pytest.approx(noise, abs=0.6)


def test_never_seen_part_is_smooth_and_within_the_walls_colours():
    scene = Scene()
    plate = estimate_background(scene.frame, scene.person, scene.n_frames)
    core = cv2.erode((~plate.seen).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert core.sum() > 200
    steps = np.abs(np.diff(plate.image.astype(int), axis=0))[core[1:] & core[:-1]]
    assert steps.max() <= 12
    assert plate.image[core].min() >= plate.image[plate.seen].min()


def test_few_frames_are_read_and_in_order():
    scene = Scene(n_frames=40)
    estimate_background(scene.frame, scene.person, 40, max_samples=7)
    assert scene.reads == sorted(set(scene.reads))
    assert len(scene.reads) == 7
    scene.reads.clear()
    estimate_background(scene.frame, scene.person, 40, max_bytes=3 * 4 * scene.height * scene.width)
    assert len(scene.reads) == 3


def test_a_person_who_fills_the_picture_leaves_a_grey_plate():
    image = textured(33, 21, 0)
    plate = estimate_background(lambda i: image, lambda i: np.ones((33, 21), np.float32), 5)
    assert not plate.seen.any()
    assert np.ptp(plate.image) == 0
    assert not plate.noise_std.any()


@pytest.mark.parametrize("height", [33, 440])
def test_without_a_person_the_plate_is_the_picture(height):
    image = textured(height, 21, 0)
    plate = estimate_background(lambda i: image, lambda i: np.zeros((height, 21), np.float32), 5)
    assert plate.seen.all()
    np.testing.assert_array_equal(plate.image, image)


def test_what_is_far_from_the_person_is_seen():
    image, person = textured(440, 300, 0), np.zeros((440, 300), np.float32)
    person[:, :10] = 1
    plate = estimate_background(lambda i: image, lambda i: person, 5)
    assert plate.seen[:, 30:].all()
    np.testing.assert_array_equal(plate.image[:, 30:], image[:, 30:])


def test_no_frames_is_an_error():
    with pytest.raises(PreparationError, match="without usable frames"):
        estimate_background(lambda i: textured(8, 8, 0), lambda i: np.zeros((8, 8), np.float32), 0)


def test_a_still_camera_does_not_move():
    scene = Scene(noise=1.0)
    assert camera_motion_px(scene.frame, scene.person, scene.n_frames) < 0.2


@pytest.mark.parametrize("kind", ["pan", "zoom"])
def test_pan_and_zoom_are_measured(kind):
    scene = Scene()
    wide = textured(scene.height, scene.width, 3)

    def frame(i: int) -> np.ndarray:
        warp = np.float32([[1, 0, 0.2 * (i - 20)], [0, 1, 0]])
        if kind == "zoom":
            warp = cv2.getRotationMatrix2D((scene.width / 2, scene.height / 2), 0, 1 + 0.003 * (i - 20)).astype(
                np.float32
            )
        return cv2.warpAffine(wide, warp, (scene.width, scene.height), borderMode=cv2.BORDER_REFLECT)

    motion = camera_motion_px(frame, lambda i: np.zeros((scene.height, scene.width), np.float32), 40)
    assert (3.0 < motion < 4.2) if kind == "pan" else (2.0 < motion < 6.0)


def test_a_flat_wall_tells_nothing_about_the_camera():
    flat = np.full((60, 80, 3), 90, np.uint8)
    assert np.isnan(camera_motion_px(lambda i: flat, lambda i: np.zeros((60, 80), np.float32), 10))
    assert np.isnan(camera_motion_px(lambda i: textured(60, 80, 0), lambda i: np.zeros((60, 80), np.float32), 1))
