"""The regressions from sound to lips: they find what is there, and claim nothing where there is nothing."""

import numpy as np
import pytest
import torch

from loquent.face.expression import detrend
from loquent.nn.lip_predictor import LipPredictor
from loquent.training import lips
from loquent.training.lips import (
    _fit_kernel,
    _fit_linear,
    _ridge_weights,
    as_far_as_sure,
    fit_lip_predictor,
    opening_in_full,
)


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
    fit = fit_lip_predictor(windows, torch.stack([truth + 0.3 * noise, noise], dim=1), torch.arange(len(windows)), 25.0)
    assert fit.correlation[0] > 0.85
    assert abs(fit.correlation[1]) < 0.2
    predicted = fit.predictor(windows)
    assert np.corrcoef(predicted[:, 0], truth)[0, 1] > 0.9
    # What no sound explains is predicted as the mean rather than guessed.
    assert predicted[:, 1].std() < 0.4


def test_what_is_heard_moves_in_full_and_noise_is_not_enlarged() -> None:
    windows, generator = made_up_speech(900)
    heard = windows[:, 2, 12]
    noise = torch.from_numpy(generator.standard_normal((900, 2))).float()
    truth = torch.stack([heard + noise[:, 0], noise[:, 1]], dim=1)
    fit = fit_lip_predictor(windows, truth, torch.arange(len(windows)), 25.0)
    share = (fit.out_of_fold.std(dim=0) / truth.std(dim=0)).tolist()
    r = fit.correlation[0]
    assert 0.4 < share[0] < 0.8
    assert fit.gain[0] == pytest.approx(share[0] ** -r, rel=0.02)
    assert fit.gain[0] > 1.2
    assert fit.gain[1] < 1.2
    rest = torch.from_numpy(detrend(truth.double().numpy(), np.arange(900), 25.0).mean(axis=0)).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lips, "LARGEST_GAIN", 1.0)
        plain = fit_lip_predictor(windows, truth, torch.arange(len(windows)), 25.0)
    torch.testing.assert_close(plain.out_of_fold, fit.out_of_fold)
    enlarged = torch.tensor(fit.gain) * (plain.predictor(windows) - rest)
    torch.testing.assert_close(fit.predictor(windows) - rest, enlarged, atol=1e-3, rtol=1e-3)


def test_the_opening_moves_in_full_and_nothing_else_is_enlarged() -> None:
    windows, generator = made_up_speech(900)
    noise = torch.from_numpy(generator.standard_normal((900, 2))).float()
    truth = windows[:, 2, 12:13] + noise
    plain, full = (
        fit_lip_predictor(windows, truth, torch.arange(len(windows)), 25.0, enlargement=enlargement)
        for enlargement in (as_far_as_sure, opening_in_full)
    )
    assert full.correlation[0] > lips.CERTAIN
    assert min(plain.gain) > 1.2
    assert full.gain[1] == 1.0
    moved = full.gain[0] * full.out_of_fold[:, 0].std()
    wanted = detrend(truth.double().numpy(), np.arange(900), 25.0)
    assert float(moved) == pytest.approx(wanted[:, 0].std(), rel=0.02)
    rest = torch.from_numpy(wanted.mean(axis=0)).float()
    ratio = torch.tensor(full.gain) / torch.tensor(plain.gain)
    torch.testing.assert_close(
        full.predictor(windows) - rest, ratio * (plain.predictor(windows) - rest), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize(("correlation", "gain"), [(-0.2, 1.0), (0.0, 1.0), (0.25, 2.0), (0.5, 4.0), (0.9, 4.0)])
def test_an_opening_is_enlarged_as_far_as_it_is_known(correlation: float, gain: float) -> None:
    found = opening_in_full(np.array([0.25, 0.25]), np.array([correlation, 0.9]))
    np.testing.assert_allclose(found, [gain, 1.0])


def test_a_shape_that_was_heard_keeps_the_tracked_opening() -> None:
    windows, generator = made_up_speech(200)
    tracked = torch.from_numpy(generator.standard_normal((200, 3))).float()
    fit = fit_lip_predictor(windows, tracked, torch.arange(200), 25.0)
    heard = fit.with_tracked_opening(tracked)
    assert torch.equal(heard[:, 0], tracked[:, 0])
    assert torch.equal(heard[:, 1:], fit.out_of_fold[:, 1:])
    assert (heard[:, 1:] - tracked[:, 1:]).abs().max() > 0.5, "no sound tells this noise"


def test_slow_drift_is_not_learned() -> None:
    windows, _ = made_up_speech(500)
    drift = torch.linspace(-2, 2, 500)
    moved = fit_lip_predictor(windows, (windows[:, 0, 12] + drift)[:, None], torch.arange(len(windows)), 25.0)
    still = fit_lip_predictor(windows, windows[:, 0, 12][:, None], torch.arange(len(windows)), 25.0)
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
    fit = fit_lip_predictor(windows, torch.rand(n_frames, 3), torch.arange(len(windows)), 25.0)
    assert torch.isfinite(fit.predictor(windows)).all()


def test_where_no_fold_can_tell_the_strongest_ridge_is_taken() -> None:
    windows, generator = made_up_speech(lips.GUARD_FRAMES)
    wanted = generator.standard_normal((len(windows), 2))
    inputs = windows.flatten(1).double().numpy()
    _, weights, _ = _fit_linear(inputs, wanted, (1.0, 100.0))
    strongest = _ridge_weights(inputs - inputs.mean(axis=0), wanted, np.array([100.0, 100.0]))
    np.testing.assert_allclose(weights, strongest)


def halves(predictor: LipPredictor, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the linear regressions and the kernel regressions contribute, constants apart."""
    linear = (windows.flatten(1) - predictor.mean) @ predictor.weight.T
    return linear, predictor(windows) - linear - predictor.bias


def test_parts_get_regressions_of_their_own() -> None:
    windows, generator = made_up_speech(300)
    truth = (windows[:, 1, 12] + windows[:, 4, 12])[:, None] + torch.from_numpy(
        generator.standard_normal((300, 1))
    ).float()
    whole = fit_lip_predictor(windows, truth, torch.arange(300), 25.0, (2, 4))
    alone = [fit_lip_predictor(part, truth, torch.arange(300), 25.0) for part in (windows[:, :2], windows[:, 2:])]
    parts = [
        torch.stack(halves(one.predictor, part)) / one.gain[0]
        for one, part in zip(alone, (windows[:, :2], windows[:, 2:]), strict=True)
    ]
    torch.testing.assert_close(
        torch.stack(halves(whole.predictor, windows)), whole.gain[0] * (parts[0] + parts[1]) / 2, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(whole.out_of_fold, (alone[0].out_of_fold + alone[1].out_of_fold) / 2)
    assert whole.correlation[0] > max(one.correlation[0] for one in alone)


def test_the_other_half_is_kernel_ridge_regression() -> None:
    """Against its textbook solution in float64, with the width taken from the definition and one strength on offer; a quarter
    of the frames sound alike, so that pairs are left out of it."""
    windows, generator = made_up_speech(120)
    windows[:30] = windows[0] + 0.1 * windows[:30]
    wanted = generator.standard_normal((120, 2))
    inputs = windows.flatten(1).double().numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lips, "KERNEL_STRENGTHS", (0.5,))
        fit = _fit_kernel(inputs, wanted)
    predictor = LipPredictor(
        *(torch.zeros(shape) for shape in [(inputs.shape[1],), (2, inputs.shape[1])]),
        torch.from_numpy(fit.bias).float(),
        torch.full((inputs.shape[1],), fit.scale),
        fit.examples,
        torch.from_numpy(fit.answers).float()[None],
    )
    squared = np.square(inputs[:, None] - inputs[None]).sum(axis=2)
    pairs = squared[np.triu_indices(120, 1)]
    unlike = pairs[np.sqrt(pairs) >= 0.5 * np.sqrt(pairs.mean())]
    assert len(unlike) < len(pairs)
    likeness = np.exp(-squared / np.median(np.sqrt(unlike)) ** 2)
    centring = np.eye(120) - 1 / 120  # ridge regression leaves the constant free
    dual = np.linalg.solve(centring @ likeness @ centring + 0.5 * np.eye(120), wanted - wanted.mean(axis=0))
    truth = centring @ likeness @ centring @ dual + wanted.mean(axis=0)
    np.testing.assert_allclose(predictor(windows).numpy(), truth, atol=0.01)


def test_a_mouth_that_no_line_describes_is_followed_better_than_by_lines_alone() -> None:
    windows, _ = made_up_speech(900, width=2, steps=4)
    truth = windows[:, :1, 1].abs()
    fit = fit_lip_predictor(windows, truth, torch.arange(len(windows)), 25.0)
    wanted = detrend(truth.double().numpy(), np.arange(900), 25.0)
    linear = halves(fit.predictor, windows)[0].numpy()[:, 0]
    assert abs(np.corrcoef(linear, wanted[:, 0])[0, 1]) < 0.3
    assert fit.correlation[0] > 0.7


def test_sound_unlike_the_clip_is_left_to_the_lines() -> None:
    windows, _ = made_up_speech(200)
    predictor = fit_lip_predictor(windows, windows[:, 0, :1], torch.arange(len(windows)), 25.0).predictor
    linear, kernel = halves(predictor, windows[:3] + 100.0)
    assert linear.abs().max() > 1.0
    torch.testing.assert_close(kernel, torch.zeros_like(kernel), atol=1e-4, rtol=0)


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-4, 0.02])
@pytest.mark.parametrize("silent", [0.8, 1.0])
def test_a_clip_that_is_mostly_silence_gives_a_finite_predictor(silent: float, noise: float) -> None:
    """Silent frames sound much the same; what is left of the clip sets the kernel's width."""
    windows, generator = made_up_speech(300)
    truth = torch.from_numpy(generator.standard_normal((300, 2))).float()
    n_silent = round(silent * 300)
    windows[:n_silent] = (
        windows[0] + noise * torch.from_numpy(generator.standard_normal(windows[:n_silent].shape)).float()
    )
    predictor = fit_lip_predictor(windows, truth, torch.arange(300), 25.0, (2, 4)).predictor
    assert torch.isfinite(predictor.examples.float()).all()
    assert torch.isfinite(predictor(windows)).all()
    if silent < 1:
        spoken = windows[n_silent:]
        narrower = fit_lip_predictor(spoken, truth[n_silent:], torch.arange(len(spoken)), 25.0, (2, 4)).predictor
        torch.testing.assert_close(predictor.scale, narrower.scale, rtol=0.3, atol=0)


def test_the_largest_gain_is_a_bound() -> None:
    windows, generator = made_up_speech(300)
    truth = windows[:, 0, 12:13] + torch.from_numpy(generator.standard_normal((300, 1))).float()
    fit = fit_lip_predictor(windows, truth, torch.arange(300), 25.0, enlargement=lambda share, r: share * 0 + 9.0)
    assert fit.gain == (lips.LARGEST_GAIN,)


def test_long_clips_keep_a_bounded_number_of_examples() -> None:
    windows, _ = made_up_speech(300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lips, "MAX_EXAMPLES", 50)
        fit = fit_lip_predictor(windows, windows[:, 2, 12:13], torch.arange(len(windows)), 25.0)
    assert fit.predictor.examples.shape == (50, windows[0].numel())
    assert fit.correlation[0] > 0.85
