"""The torso's trainer: what it reads of a clip, and that other methods' torsos train like ER-NeRF's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.data.clip import Clip
from loquent.fields.rad_torso import RadNerfTorso
from loquent.fields.torso import ErNerfTorso, ErNerfTorsoConfig
from loquent.fields.torso_field import TorsoPixels
from loquent.media.images import read_image, write_image
from loquent.portrait import Portrait
from loquent.testing import make_tiny_clip
from loquent.training import train as training
from loquent.training.presets import QUICK, RAD_NERF
from loquent.training.torso import TorsoTrainer
from loquent.training.train import train


def test_every_torso_layer_is_decoded_once_and_all_its_pixels_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_tiny_clip(tmp_path)
    for i in clip.train_frames:  # a spot that this frame alone shows, and one too faint to count
        path = clip.folder / "torso" / f"{int(clip.track.frame_ids[i]):06d}.png"
        layer = read_image(path)
        layer[2, 2 + i] = (200, 10, 10, 255)
        layer[5, 2 + i] = (200, 10, 10, 8)
        write_image(path, layer)

    decoded: list[int] = []
    true_torso = Clip.torso

    def torso(self: Clip, i: int) -> np.ndarray:
        decoded.append(i)
        return true_torso(self, i)

    monkeypatch.setattr(Clip, "torso", torso)
    frames = tuple(clip.train_frames)
    field = ErNerfTorso(ErNerfTorsoConfig(n_codes=12, levels=2))
    trainer = TorsoTrainer(clip, frames, field, QUICK.torso, QUICK, torch.device("cpu"), 0)
    assert sorted(decoded) == list(frames)

    shown = set()
    for k, i in enumerate(frames):
        alpha = true_torso(clip, i)[..., 3]
        shown |= {row * 32 + column for row, column in zip(*np.nonzero(alpha > 8), strict=True)}
        assert np.array_equal(trainer.alpha[k].reshape(32, 32), alpha)
        truth = clip.torso_over_background(i)
        assert np.abs(trainer.target[k].reshape(32, 32, 3) / 255 - truth).max() <= 0.5 / 255 + 1e-6
    assert {2 * 32 + 2 + i for i in frames} <= shown
    assert trainer.torso_pixels.tolist() == sorted(shown)


def test_rad_nerf_trains_its_own_head_and_torso(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "N_CODES", 16)
    clip = make_tiny_clip(tmp_path)
    assert RAD_NERF.torso is not None
    head = replace(RAD_NERF.head[0], steps=2, rays=50, samples=0)
    torso = replace(RAD_NERF.torso, steps=3, pixels=96)
    made = train(clip, tmp_path / "a.portrait", replace(RAD_NERF, head=(head,), torso=torso, minutes=0.0), device="cpu")
    loaded = Portrait.load(tmp_path / "a.portrait")
    assert made.head.kind == loaded.head.kind == "rad_nerf"
    assert isinstance(loaded.torso, RadNerfTorso)
    weight, p = 1e-4, np.array([0.5, 0.25])  # SPEC 3.2
    wanted = weight * -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean()
    shown = TorsoPixels(torch.from_numpy(p).float(), torch.zeros(2, 3))
    assert loaded.torso.regulariser(shown).item() == pytest.approx(wanted)
