"""The torso's trainer: what it reads of a clip."""

from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.data.clip import Clip
from loquent.fields.torso import ErNerfTorso, ErNerfTorsoConfig
from loquent.media.images import read_image, write_image
from loquent.testing import make_tiny_clip
from loquent.training.presets import QUICK
from loquent.training.torso import TorsoTrainer


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
