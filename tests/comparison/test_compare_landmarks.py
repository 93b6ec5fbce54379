"""`loquent compare --landmarks`: every generator is scored on both sets of frames, and only on frames it did not learn from."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from loquent import cli
from loquent.comparison import landmarks as comparison
from loquent.comparison.landmarks import LEARNERS, compare_landmarks
from loquent.data.clip import Clip, write_track
from loquent.errors import InputError
from loquent.face import indices
from loquent.testing import make_tiny_clip
from loquent.training.motion_vae import MotionVaeTraining, fit_motion_vae


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clip:
    """A face whose lower lip follows the sound's third value."""
    monkeypatch.setattr(comparison, "fit_motion_vae", partial(fit_motion_vae, training=MotionVaeTraining(steps=2)))
    clip = make_tiny_clip(tmp_path / "clip", n_frames=120, size=16)
    random = np.random.default_rng(0)
    points = np.repeat(random.uniform(2, 14, (1, 478, 3)), 120, axis=0)
    opening = clip.speech_features()[2 * clip.track.frame_ids, 3].numpy()
    points[:, [*indices.INNER_LIPS[11:], 17, 84, 314], 1] += 2 + opening[:, None]
    points += 0.01 * random.standard_normal(points.shape)
    write_track(clip.folder, replace(clip.track, landmarks_px=torch.from_numpy(points).float()))
    return Clip.open(clip.folder)


def test_generators_are_scored_and_the_regressions_beat_the_mean(clip: Clip, tmp_path: Path) -> None:
    scores = compare_landmarks(clip, tmp_path / "out")
    assert [row.n_frames for row in scores["held out"]] == [11] * (len(LEARNERS) + 1)
    assert [row.n_frames for row in scores["folds"]] == [109] * (len(LEARNERS) + 1)
    mean, nearest, regressed, causal, *_ = scores["folds"]
    assert regressed.mouth_error < 0.5 * mean.mouth_error
    assert causal.mouth_error == pytest.approx(mean.mouth_error, rel=0.1), "it hears sound.wav, which is noise"
    assert mean.speed < 0.05, "only from one fold to the next"
    assert regressed.lips is not None
    assert regressed.lips.correlation > 0.9
    assert len({row.name for row in scores["folds"]}) == len(scores["folds"])
    assert nearest.speed > 0.5
    told = json.loads((tmp_path / "out" / "landmarks.json").read_text())
    assert told["scores"]["folds"][2]["error"] == regressed.error
    report = (tmp_path / "out" / "landmarks.md").read_text()
    assert f"| regressions | {100 * regressed.error:.2f} | {100 * regressed.mouth_error:.2f} |" in report
    assert "## 11 held-out frames" in report


def test_no_generator_sees_what_it_is_asked_for(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = []

    def spy(known: comparison.Known, sounds: object, asked: torch.Tensor, seed: int) -> dict[str, torch.Tensor]:
        apart.append(int((known.frame_ids[:, None] - asked[None]).abs().min()))
        return {"spy": known.landmarks[:1].expand(len(asked), -1, -1)}

    monkeypatch.setattr(comparison, "LEARNERS", (spy,))
    compare_landmarks(clip, tmp_path / "out")
    held_out, *folds = apart
    assert held_out >= 1
    assert len(folds) == comparison.N_FOLDS
    assert min(folds) > comparison.GUARD_FRAMES


def test_the_command_writes_the_report(clip: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(clip.folder), "--out", str(tmp_path / "out"), "--landmarks"]) == 0
    assert (tmp_path / "out" / "landmarks.md").is_file()
    assert "landmarks.md" in capsys.readouterr().out


def test_a_short_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Prepare a longer video"):
        compare_landmarks(make_tiny_clip(tmp_path), tmp_path / "out")
