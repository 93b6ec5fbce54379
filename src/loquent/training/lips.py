"""Fitting the path from sound to lips: ridge regression, its strength chosen by cross-validation on the training frames.

Features that lay several descriptions of the sound side by side get one regression each, and their mean is the prediction: each
description has its own scale and its own noise, and errors that they do not share cancel.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from loquent.nn.lip_predictor import LipPredictor

FOLDS = 5
GUARD_FRAMES = 12
"""Frames left out on both sides of a fold, so that overlapping windows cannot carry its answers."""
STRENGTHS = tuple(10.0**e for e in np.arange(1.0, 6.01, 0.5))
DRIFT_S = 1.0
"""Standard deviation of the smoothing whose result counts as posture or tracking drift, which no sound explains."""


@dataclass(frozen=True)
class LipFit:
    """A fitted predictor and what cross-validation says about it."""

    predictor: LipPredictor
    out_of_fold: Float[Tensor, "frames coefficients"]
    """Prediction for each training frame by a predictor that never saw its neighbourhood."""
    correlation: tuple[float, ...]
    """Out-of-fold correlation of each coefficient, drift removed."""


def fit_lip_predictor(
    windows: Float[Tensor, "frames width steps"],
    expression: Float[Tensor, "frames coefficients"],
    fps: float,
    parts: tuple[int, ...] | None = None,
) -> LipFit:
    """Fit expression coefficients to the sound around each training frame.

    `parts` are the widths of the descriptions that `windows` lays side by side; nothing = one. The other arguments hold
    the training frames only, in time order. Slow drift is removed from the coefficients first: it sits in the leading ones
    and fakes correlation (FINDINGS). Every coefficient gets the ridge strength with the smallest cross-validated error,
    folds being contiguous in time.
    """
    wanted = without_drift(expression.double().numpy(), fps)
    pieces = torch.split(windows.double(), list(parts or [windows.shape[1]]), dim=1)
    fits = [_fit_part(piece.flatten(1).numpy(), wanted) for piece in pieces]
    means, weights, held_out = zip(*fits, strict=True)
    out_of_fold = np.mean(held_out, axis=0)
    predictor = LipPredictor(
        torch.from_numpy(np.concatenate(means)).float(),
        torch.from_numpy(np.concatenate(weights).T / len(fits)).float(),
        torch.from_numpy(wanted.mean(axis=0)).float(),
    )
    correlation = tuple(_correlation(a, b) for a, b in zip(out_of_fold.T, wanted.T, strict=True))
    return LipFit(predictor, torch.from_numpy(out_of_fold).float(), correlation)


def without_drift(signal: Float[np.ndarray, "frames *values"], fps: float) -> Float[np.ndarray, "frames *values"]:
    """A signal of consecutive frames less its smoothed self: what is left is too fast for posture."""
    return np.asarray(signal - gaussian_filter1d(signal, DRIFT_S * fps, axis=0, mode="nearest"))


def _fit_part(inputs: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the inputs, weights [inputs, coefficients], and out-of-fold predictions [frames, coefficients]."""
    count = len(inputs)
    folds = np.array_split(np.arange(count), min(FOLDS, count))
    held_out = np.zeros((len(STRENGTHS), *wanted.shape))
    for fold in folds:
        low, high = fold[0] - GUARD_FRAMES, fold[-1] + GUARD_FRAMES
        kept = np.concatenate([np.arange(0, max(low, 0)), np.arange(min(high + 1, count), count)])
        if kept.size >= 2:
            held_out[:, fold] = _ridge_path(inputs[kept], wanted[kept], inputs[fold])
    best = np.square(held_out - wanted).mean(axis=1).argmin(axis=0)
    mean = inputs.mean(axis=0)
    weights = _ridge_weights(inputs - mean, wanted, np.array(STRENGTHS)[best])
    return mean, weights, np.take_along_axis(held_out, best[None, None, :], axis=0)[0]


def _ridge_path(inputs: np.ndarray, wanted: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predictions for `asked` at every strength, shape [strengths, asked, coefficients], from one decomposition."""
    mean, offset = inputs.mean(axis=0), wanted.mean(axis=0)
    left, values, right = np.linalg.svd(inputs - mean, full_matrices=False)
    across, inner = (asked - mean) @ right.T, left.T @ (wanted - offset)
    shrinkage = [values / (values**2 + strength) for strength in STRENGTHS]
    predictions: np.ndarray = np.stack([(across * factor) @ inner + offset for factor in shrinkage])
    return predictions


def _ridge_weights(inputs: np.ndarray, wanted: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Weights [inputs, coefficients] for centred inputs, each coefficient with its own strength."""
    left, values, right = np.linalg.svd(inputs, full_matrices=False)
    shrinkage = values[:, None] / (values[:, None] ** 2 + strengths)
    weights: np.ndarray = right.T @ (shrinkage * (left.T @ (wanted - wanted.mean(axis=0))))
    return weights


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 0 else 0.0
