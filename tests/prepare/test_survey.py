"""Whose face, which crop, and how good the pictures are."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from jaxtyping import UInt8

from loquent.face.detection import FaceBox
from loquent.media.video import TimedFrame
from loquent.prepare.picture_quality import face_detail, image_noise, spread
from loquent.prepare.survey import Crop, Sample, Survey, choose_crop, main_face, survey_frames


def surveyed(height: int, width: int, *faces_of: list[FaceBox]) -> Survey:
    samples = tuple(Sample(10 * i, tuple(faces)) for i, faces in enumerate(faces_of))
    return Survey(height, width, 10 * len(samples), (0.0,) * (10 * len(samples)), samples)


def test_the_face_that_stays_wins_over_the_larger_that_passes() -> None:
    stays = [FaceBox(300.0 + 4 * i, 300.0, 150.0, 0.9) for i in range(20)]
    passes = FaceBox(900.0, 300.0, 320.0, 0.9)
    survey = surveyed(720, 1280, *[[passes, face] if 5 <= i < 9 else [face] for i, face in enumerate(stays)])
    assert [box for _, box in main_face(survey)] == stays
    assert main_face(surveyed(720, 1280, [], [])) == []


def test_portrait_framing_is_kept_whole() -> None:
    survey = surveyed(450, 450, *[[FaceBox(220.0, 230.0, 228.0, 0.9)]] * 5)
    assert choose_crop(survey, main_face(survey)) == Crop(0, 0, 450)


@pytest.mark.parametrize("u", [10.0, 640.0, 1275.0])
def test_crop_holds_the_face_and_stays_in_the_picture(u: float) -> None:
    survey = surveyed(720, 1280, *[[FaceBox(u, 300.0, 160.0, 0.9)]] * 5)
    crop = choose_crop(survey, main_face(survey))
    assert 0 <= crop.left <= 1280 - crop.side_px
    assert 0 <= crop.top <= 720 - crop.side_px
    assert crop.side_px == pytest.approx(320, abs=2)
    assert crop.left <= u <= crop.left + crop.side_px


def test_crop_grows_with_the_way_the_head_goes() -> None:
    still = surveyed(720, 1280, *[[FaceBox(640.0, 300.0, 160.0, 0.9)]] * 9)
    moving = surveyed(720, 1280, *[[FaceBox(600.0 + 10 * i, 300.0, 160.0, 0.9)] for i in range(9)])
    assert choose_crop(moving, main_face(moving)).side_px > choose_crop(still, main_face(still)).side_px + 30


def test_crop_cuts_and_resizes() -> None:
    picture = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
    np.testing.assert_array_equal(Crop(7, 3, 20)(picture, 20), picture[3:23, 7:27])
    by_hand = picture[3:23, 7:27].reshape(10, 2, 10, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(Crop(7, 3, 20)(picture, 10) - by_hand).max() <= 1
    assert Crop(7, 3, 20)(picture, 33).shape == (33, 33, 3)


def test_survey_of_pictures_without_a_face_counts_frames_and_jumps() -> None:
    def frames() -> Iterator[TimedFrame]:
        for i in range(23):
            yield TimedFrame(i, i / 25, np.full((90, 121, 3), 50 if i < 12 else 200, np.uint8))

    survey = survey_frames(frames())
    assert (survey.height, survey.width, survey.n_frames) == (90, 121, 23)
    assert survey.change[12] == pytest.approx(150)
    assert sum(survey.change) == pytest.approx(150)
    assert [sample.index for sample in survey.samples] == [0, 10, 20]
    assert Survey.from_json(survey.to_json()) == survey


def textured(seed: int) -> UInt8[np.ndarray, "200 200"]:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(60, 190, (12, 12)), (200, 200), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.normal(size=(200, 200)), (0, 0), 1.0) * 30
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)


def test_noise_is_measured() -> None:
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(textured(1), (0, 0), 5).astype(float)
    for sigma in (0.0, 2.0, 6.0):
        noisy = np.clip(smooth + sigma * rng.normal(size=smooth.shape), 0, 255).round().astype(np.uint8)
        assert image_noise(noisy) == pytest.approx(sigma, abs=0.5)


def test_blur_lowers_detail_and_size_does_not() -> None:
    sharp = textured(2)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2)
    assert face_detail(blurred) < 0.6 * face_detail(sharp)
    darker = (sharp * 0.4).astype(np.uint8)
    assert face_detail(darker) == pytest.approx(face_detail(sharp), rel=0.1)


def test_overlap_of_boxes() -> None:
    box = FaceBox(10.0, 10.0, 10.0, 1.0)
    assert box.overlap(box) == 1.0
    assert box.overlap(FaceBox(15.0, 10.0, 10.0, 1.0)) == pytest.approx(50 / 150)
    assert box.overlap(FaceBox(25.0, 10.0, 10.0, 1.0)) == 0.0


def test_samples_are_spread_from_first_to_last() -> None:
    assert spread(3) == [0, 1, 2]
    assert spread(1000)[0] == 0
    assert spread(1000)[-1] == 999
    assert len(spread(1000)) == 24
