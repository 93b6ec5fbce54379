"""The ridge from sound to lips: finds what is there, claims nothing where there is nothing."""

import numpy as np
import pytest
import torch

from loquent.training.lips import _ridge_weights, fit_lip_predictor


def made_up_speech(
    n_frames: int, width: int = 6, steps: int = 24, seed: int = 0
) -> tuple[torch.Tensor, np.random.Generator]:
    generator = np.random.default_rng(seed)
    stream = generator.standard_normal((2 * n_frames + steps, width))
    windows = np.stack([stream[2 * k : 2 * k + steps].T for k in range(n_frames)])
    return torch.from_numpy(windows).float(), generator


def test_a_linear_mouth_is_recovered_out_of_fold() -> None:
    windows, generator = made_up_speech(600)
    truth = windows[:, 2, 12] - 0.7 * windows[:, 4, 9]
    noise = torch.from_numpy(generator.standard_normal(600)).float()
    fit = fit_lip_predictor(windows, torch.stack([truth + 0.3 * noise, noise], dim=1), fps=25.0)
    assert fit.correlation[0] > 0.85
    assert abs(fit.correlation[1]) < 0.2
    predicted = fit.predictor(windows)
    assert np.corrcoef(predicted[:, 0], truth)[0, 1] > 0.9
    # What no sound explains is predicted as the mean rather than guessed.
    assert predicted[:, 1].std() < 0.4


def test_slow_drift_is_not_learned() -> None:
    windows, _ = made_up_speech(500)
    drift = torch.linspace(-2, 2, 500)
    moved = fit_lip_predictor(windows, (windows[:, 0, 12] + drift)[:, None], fps=25.0)
    still = fit_lip_predictor(windows, windows[:, 0, 12][:, None], fps=25.0)
    difference = moved.predictor(windows) - still.predictor(windows)
    assert difference.std() < 0.05


@pytest.mark.parametrize(("rows", "columns"), [(40, 15), (15, 40)])
def test_ridge_weights_solve_the_normal_equations(rows: int, columns: int) -> None:
    generator = np.random.default_rng(2)
    inputs, wanted = generator.standard_normal((rows, columns)), generator.standard_normal((rows, 2))
    inputs -= inputs.mean(axis=0)
    strengths = np.array([3.0, 50.0])
    got = _ridge_weights(inputs, wanted, strengths)
    for k, strength in enumerate(strengths):
        centred = wanted[:, k] - wanted[:, k].mean()
        truth = np.linalg.solve(inputs.T @ inputs + strength * np.eye(columns), inputs.T @ centred)
        assert np.allclose(got[:, k], truth)


@pytest.mark.parametrize("n_frames", [2, 3, 9])
def test_very_short_clips_give_a_finite_predictor(n_frames: int) -> None:
    windows, _ = made_up_speech(n_frames)
    fit = fit_lip_predictor(windows, torch.rand(n_frames, 3), fps=25.0)
    assert torch.isfinite(fit.predictor(windows)).all()


def test_parts_are_fitted_alone_and_averaged() -> None:
    windows, generator = made_up_speech(300)
    truth = (windows[:, 1, 12] + windows[:, 4, 12])[:, None] + torch.from_numpy(
        generator.standard_normal((300, 1))
    ).float()
    whole = fit_lip_predictor(windows, truth, 25.0, (2, 4))
    alone = [fit_lip_predictor(part, truth, 25.0) for part in (windows[:, :2], windows[:, 2:])]
    mean = (alone[0].predictor(windows[:, :2]) + alone[1].predictor(windows[:, 2:])) / 2
    torch.testing.assert_close(whole.predictor(windows), mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole.out_of_fold, (alone[0].out_of_fold + alone[1].out_of_fold) / 2)
    assert whole.correlation[0] > max(one.correlation[0] for one in alone)
