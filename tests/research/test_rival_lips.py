"""The rivals of a portrait's lips: what they learn, and that they move the same head."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.nn.lip_predictor import heard_windows
from loquent.portrait import Portrait
from loquent.testing import make_random_portrait, make_tiny_clip
from research.phonetic import rival_lips


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    made = make_tiny_clip(tmp_path, size=16, n_frames=20)
    return replace(made, info=replace(made.info, n_train=16))


@pytest.fixture
def portrait(clip: Clip) -> Portrait:
    return replace(make_random_portrait(clip), rest=torch.full((clip.track.expression.shape[1],), -50.0))


def test_what_the_sound_says_is_foretold_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rival_lips, "N_NETWORKS", 2)
    monkeypatch.setattr(rival_lips, "CHECKPOINTS", (20, 60))
    n_frames, generator = 300, np.random.default_rng(0)
    loudness = np.convolve(generator.standard_normal(2 * n_frames), np.ones(6), "same")
    log_mel = torch.from_numpy(loudness[:, None] + generator.standard_normal((2 * n_frames, 40))).float()
    windows = heard_windows(log_mel, torch.arange(n_frames))
    later = np.minimum(2 * np.arange(n_frames) + 4, 2 * n_frames - 1)
    wanted = np.column_stack([loudness[later] / loudness.std(), generator.standard_normal(n_frames)])
    calls: list[int] = []
    foretold = rival_lips.foretell(windows[:220], wanted[:220], windows[240:], lambda: calls.append(1)).numpy()
    correlations = [np.corrcoef(foretold[:, k], wanted[240:, k])[0, 1] for k in range(2)]
    assert correlations[0] > 0.6
    assert abs(correlations[1]) < 0.35
    assert len(calls) == 5 + 2, "a network for each fold, and those that are asked"


def test_rivals_move_the_same_head_and_are_shut_by_the_same_rules(
    clip: Clip, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rival_lips, "CHECKPOINTS", (1,))
    monkeypatch.setattr(rival_lips, "KIND", "log_mel")  # the tiny clip's
    monkeypatch.setattr(rival_lips, "PARTS", {"log_mel": (40,)})
    monkeypatch.setattr(
        "loquent.portrait.resting", lambda kind, features, steps: torch.tensor([1.0, *[0.0] * (len(steps) - 1)])
    )
    monkeypatch.setattr("loquent.portrait.meeting", lambda kind, features, steps: torch.zeros(len(steps)))
    moved = rival_lips.movers(portrait, clip)
    assert list(moved) == ["ours, shut", "log-mel, shut by our rules", "ours, not shut", "log-mel, not shut"]
    assert portrait.rest is not None
    closed = portrait.expression_conditions(portrait.rest[None])[0]
    for whose in ("ours", "log-mel"):
        shut = moved["ours, shut" if whose == "ours" else "log-mel, shut by our rules"]
        free = moved[f"{whose}, not shut"]
        torch.testing.assert_close(shut[0], closed)
        assert not torch.allclose(free[0], closed)
        torch.testing.assert_close(shut[1:], free[1:])
    assert not torch.allclose(moved["ours, not shut"], moved["log-mel, not shut"])


def test_a_portrait_whose_head_hears_the_sound_is_refused(clip: Clip) -> None:
    with pytest.raises(InputError, match="--preset quick"):
        rival_lips.movers(make_random_portrait(clip, condition="audio"), clip)
