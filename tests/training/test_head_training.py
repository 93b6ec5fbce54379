"""The head's trainer: where and how strongly the papers' slow terms act."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from loquent.data.clip import Clip
from loquent.data.frame_store import FrameStore
from loquent.data.sampling import RegionMix
from loquent.face.indices import FOREHEAD_TOP, MESH_OF_68
from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.testing import make_tiny_clip
from loquent.training import losses
from loquent.training.head import HeadTrainer, paper_ramp
from loquent.training.presets import PAPER, QUICK, Preset
from loquent.training.rays import RayBatch, RayDrawer


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"))


def new_trainer(clip: Clip, preset: Preset) -> HeadTrainer:
    frames = tuple(clip.train_frames)
    head = ErNerfHead(ErNerfConfig("expression", expression_width_in=2, n_codes=20, levels=4))
    store = FrameStore.load(clip, frames)
    return HeadTrainer(clip, store, head, clip.track.expression[list(frames)], None, preset, torch.device("cpu"), 0)


def test_slow_terms_go_on_where_the_first_stage_left_them() -> None:
    coarse, fine = PAPER.head
    assert [paper_ramp(PAPER, coarse, p) for p in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]
    assert [paper_ramp(PAPER, fine, p) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.8, 0.9, 1.0])
    timed = replace(QUICK, head=(replace(QUICK.head[0], share=0.6), replace(QUICK.head[1], share=0.2)), minutes=3.0)
    assert paper_ramp(timed, timed.head[1], 0.5) == pytest.approx(0.7 / 0.8)


def test_the_fine_stage_begins_with_the_attention_term(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = tuple(replace(stage, rays=512, samples=0, steps=10, patch=min(stage.patch, 16)) for stage in QUICK.head)
    trainer = new_trainer(clip, replace(QUICK, head=stages, minutes=0.0))
    divisors: list[Any] = []
    true_term = losses.ambient_attention

    def seen(*arguments: Any) -> torch.Tensor:
        divisors.append(arguments[3])
        return true_term(*arguments)

    monkeypatch.setattr(losses, "ambient_attention", seen)
    assert trainer.step(stages[0], 0.0)["ambient"] == 0
    assert trainer.step(stages[1], 0.0)["ambient"] > 0
    assert divisors == [QUICK.max_samples] * 2


def test_the_face_is_the_box_of_the_68_points(clip: Clip) -> None:
    """Not that of the whole mesh, which reaches up to the hair."""
    points = clip.track.landmarks_px.clone()
    points[:, :, :2] = torch.tensor([16.0, 20.0])
    points[:, FOREHEAD_TOP, 1] = 6.0
    points[:, MESH_OF_68[0], :2] = torch.tensor([9.5, 12.5])
    points[:, MESH_OF_68[8], :2] = torch.tensor([22.5, 24.5])
    tall = replace(clip, track=replace(clip.track, landmarks_px=points))
    store = FrameStore.load(tall, (0, 1, 2))
    stage = replace(PAPER.head[0], mix=RegionMix(head=0.0, mouth=0.0, eyes=0.0, edge=0.0))
    drawer = RayDrawer(tall, store, torch.device("cpu"))
    batch = drawer.draw(stage, 4000, 0, np.random.default_rng(0))
    rows, columns = pixels_of(batch, tall, 0)
    inside = (rows > 12) & (rows < 26) & (columns > 9) & (columns < 24)
    assert 0 < int(inside.sum()) < len(inside)
    assert torch.equal(batch.in_face, inside)
    assert int(drawer.face[0, 0]) == 6


def blinking(clip: Clip, closed: list[int]) -> Clip:
    blink = torch.zeros(clip.n_frames, 2)
    blink[closed] = 0.9
    return replace(clip, track=replace(clip.track, blink=blink))


def drawn_frames(clip: Clip, closed_eyes: float) -> np.ndarray:
    drawer = RayDrawer(clip, FrameStore.load(clip, tuple(clip.train_frames)), torch.device("cpu"))
    stage = replace(QUICK.head[0], frames=1, closed_eyes=closed_eyes)
    generator = np.random.default_rng(0)
    return np.array([int(drawer.draw(stage, 16, 0, generator).frames[0]) for _ in range(1000)])


def test_blinks_are_drawn_as_often_as_the_stage_says_but_no_frame_all_the_time(clip: Clip) -> None:
    n_train = len(clip.train_frames)
    two = drawn_frames(blinking(clip, [1, 3]), 0.4)
    assert np.isin(two, [1, 3]).mean() == pytest.approx(0.4, abs=0.05)
    assert (two == 1).mean() == pytest.approx((two == 3).mean(), abs=0.05)
    one = drawn_frames(blinking(clip, [1]), 0.9)
    assert (one == 1).mean() == pytest.approx(6 / (6 + n_train - 1), abs=0.05)
    mostly_closed, never = blinking(clip, list(range(n_train - 1))), blinking(clip, [])
    for as_they_are in (
        drawn_frames(blinking(clip, [1]), 0.0),
        drawn_frames(mostly_closed, 0.4),
        drawn_frames(never, 0.4),
    ):
        assert np.bincount(as_they_are, minlength=n_train).max() < 1.5 * 1000 / n_train


def pixels_of(batch: RayBatch, clip: Clip, k: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of the rays of the k-th frame drawn."""
    pose = clip.track.world_from_camera[int(batch.frames[k])]
    along = batch.directions[batch.frame_of_ray == k] @ pose[:3, :3]  # in the camera: x right, y down
    camera = clip.camera
    return along[:, 1] / along[:, 2] * camera.fy + camera.cy, along[:, 0] / along[:, 2] * camera.fx + camera.cx


def test_in_a_blink_rays_leave_the_mouth_for_the_eyes(clip: Clip) -> None:
    blinks = blinking(clip, [0])
    drawer = RayDrawer(blinks, FrameStore.load(blinks, (0, 1)), torch.device("cpu"))
    stage = replace(QUICK.head[0], frames=2, mix=RegionMix(head=0.0, mouth=1.0, eyes=0.0, edge=0.0))
    batch = drawer.draw(stage, 200, 0, np.random.default_rng(0))

    def is_within(boxes: np.ndarray, k: int) -> Tensor:
        rows, columns = pixels_of(batch, blinks, k)
        return torch.stack(
            [
                (rows > top) & (rows < bottom) & (columns > left) & (columns < right)
                for top, bottom, left, right in boxes
            ]
        ).any(dim=0)

    shut, opened = batch.frames.tolist().index(0), batch.frames.tolist().index(1)
    eyes, mouth = drawer.regions.eyes, drawer.regions.mouth
    assert is_within(eyes[0], shut).all()
    assert not is_within(mouth[:1], shut).all()
    assert is_within(mouth[1:], opened).all()
    assert not is_within(eyes[1], opened).all()
