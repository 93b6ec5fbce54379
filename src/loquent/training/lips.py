"""Fitting the path from sound to lips on a person's training frames: linear and kernel ridge regressions, and their mean.

All have a closed solution whose strength is chosen by cross-validation over stretches of time. Features that lay several
descriptions of the sound side by side get one regression of either sort for each: every description has its own scale and its
own noise, and errors that they do not share cancel.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist
from torch import Tensor

from loquent.face.expression import detrend
from loquent.face.lips import correlation
from loquent.nn.lip_predictor import LipPredictor, likenesses

FOLDS = 5
GUARD_FRAMES = 12
"""Frames left out on both sides of a fold, so that overlapping windows cannot carry its answers."""
STRENGTHS = tuple(10.0**e for e in np.arange(1.0, 6.01, 0.5))
"""Ridge strengths that the linear regressions may have."""
KERNEL_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Those of the kernel regression."""
MAX_EXAMPLES = 1024
"""Most training frames whose sound is kept to compare with; more are evenly thinned out."""
ALIKE = 0.5
"""Windows nearer to each other than this share of the root mean square distance are the same sound, or the same silence."""
ROUNDING = 1e-3
"""Windows whose distances are a smaller share of their size than this are all the same: half precision hardly tells them
apart."""
LARGEST_GAIN = 2.0
"""Most by which a coefficient's prediction is enlarged."""
CERTAIN = 0.5
"""Out-of-fold correlation from which an opening is brought to all of the real motion."""


@dataclass(frozen=True)
class LipFit:
    """A fitted predictor and what cross-validation says about it."""

    predictor: LipPredictor
    """Its motion is enlarged, see `gain`."""
    out_of_fold: Float[Tensor, "frames coefficients"]
    """Prediction for each training frame by a predictor that never saw its neighbourhood; not enlarged, so that a field
    which learns from it (but for the opening: :meth:`with_tracked_opening`) keeps the lips' true size."""
    correlation: tuple[float, ...]
    """Out-of-fold correlation of each coefficient, drift removed."""
    gain: tuple[float, ...]
    """By how much the prediction of each coefficient is enlarged. The least squared error is reached by moving less than lips
    do, the less the less is known, and people see that."""

    def with_tracked_opening(
        self, expression: Float[Tensor, "frames coefficients"]
    ) -> Float[Tensor, "frames coefficients"]:
        """Training frames with the opening of `expression`, which was tracked, and all else out of fold.

        A field that learns from it makes do with an approximate mouth, but opens it as far as it is told to: where it was told
        of the wrong opening in training, it learned to heed it less, and kept lips shut at a third of an opening.
        """
        return torch.cat([expression[:, :1], self.out_of_fold[:, 1:]], dim=1)


Enlargement = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""The gains of coefficients, from their predictions' share of the real motion (standard deviations) and correlation with it."""


def as_far_as_sure(share: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """To the share s^(1 - r): to all of the motion where the prediction is right, to no more than it has where it is noise."""
    gain: np.ndarray = share ** -correlation.clip(0, 1)
    return gain


def opening_in_full(share: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """The first coefficient, the opening, to all of the real motion unless it is hardly known, and no other.

    Small openings, a head shows as none; and it was trained on the other coefficients as they are predicted, so that it opens
    less surely where they are enlarged (docs/lips.md).
    """
    gain = np.ones_like(share)
    gain[0] = share[0] ** -float((correlation[0] / CERTAIN).clip(0, 1))
    return gain


def fit_lip_predictor(
    windows: Float[Tensor, "frames width steps"],
    expression: Float[Tensor, "frames coefficients"],
    frame_ids: Int[Tensor, "frames"],
    fps: float,
    parts: tuple[int, ...] | None = None,
    enlargement: Enlargement = as_far_as_sure,
) -> LipFit:
    """Fit expression coefficients to the sound around each training frame.

    Slow drift (posture, tracking) is removed from the coefficients first: it sits in the leading ones, where it faked
    correlations of 0.8. Every coefficient gets the ridge strength with the smallest cross-validated error, folds being
    contiguous in time.

    Args:
        windows: speech features around each training frame, as the predictor will hear them.
        expression: what is to be foretold for each; for `opening_in_full` the first is the opening.
        frame_ids: their places on the timeline, ascending; some frames may have been dropped.
        fps: frames per second of the timeline.
        parts: widths of the descriptions that `windows` lays side by side; nothing = one.
        enlargement: how far each coefficient moves (`LipFit.gain`), up to `LARGEST_GAIN`.
    """
    wanted = detrend(expression.double().numpy(), frame_ids.numpy(), fps)
    parts = parts or (windows.shape[1],)
    descriptions = [piece.flatten(1).numpy() for piece in torch.split(windows.double(), list(parts), dim=1)]
    means, weights, held_out = zip(*[_fit_linear(inputs, wanted, STRENGTHS) for inputs in descriptions], strict=True)
    kernels = [_fit_kernel(inputs, wanted) for inputs in descriptions]
    out_of_fold = np.mean([*held_out, *(kernel.out_of_fold for kernel in kernels)], axis=0)
    correlations = tuple(correlation(a, b) for a, b in zip(out_of_fold.T, wanted.T, strict=True))
    share = out_of_fold.std(axis=0) / np.maximum(wanted.std(axis=0), 1e-12)
    gain = enlargement(share.clip(1e-6), np.array(correlations)).clip(1, LARGEST_GAIN)
    rest = wanted.mean(axis=0)
    weight_each = gain / (2 * len(parts))
    predictor = LipPredictor(
        torch.from_numpy(np.concatenate(means)).float(),
        torch.from_numpy(weight_each[:, None] * np.concatenate(weights).T).float(),
        torch.from_numpy(rest + weight_each * sum(kernel.bias - rest for kernel in kernels)).float(),
        torch.cat([torch.full((inputs.shape[1],), k.scale) for inputs, k in zip(descriptions, kernels, strict=True)]),
        torch.cat([kernel.examples for kernel in kernels], dim=1),
        torch.from_numpy(weight_each * np.stack([kernel.answers for kernel in kernels])).float(),
        parts,
    )
    return LipFit(predictor, torch.from_numpy(out_of_fold).float(), correlations, tuple(gain.tolist()))


def folds(count: int) -> Iterator[tuple[Int[np.ndarray, "frames_of_fold"], Int[np.ndarray, "frames_kept"]]]:
    """Stretches of `count` frames, and for each the frames that lie far enough from it to learn from; none where they are
    fewer than two."""
    for fold in np.array_split(np.arange(count), min(FOLDS, count)):
        low, high = fold[0] - GUARD_FRAMES, fold[-1] + GUARD_FRAMES
        kept = np.concatenate([np.arange(0, max(low, 0)), np.arange(min(high + 1, count), count)])
        if kept.size >= 2:
            yield fold, kept


@dataclass(frozen=True)
class _KernelFit:
    """What `LipPredictor` wants of a description's kernel regression, before the mean with the others."""

    scale: float
    examples: Tensor  # [examples, inputs], half precision
    answers: np.ndarray  # [examples, coefficients]
    bias: np.ndarray  # [coefficients]
    out_of_fold: np.ndarray  # [frames, coefficients]


def _fit_kernel(description: np.ndarray, wanted: np.ndarray) -> _KernelFit:
    """Ridge regression on likenesses to examples, made orthonormal (Williams and Seeger 2001, the Nyström method).

    Where every frame is an example, this is kernel ridge regression. The kernel is as wide as :func:`_usual_distance`.
    """
    count = len(wanted)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MAX_EXAMPLES)).round().astype(int))
    scale = 1 / _usual_distance(description[chosen])
    inputs = torch.from_numpy(description * scale)
    examples = inputs[chosen].half()
    values, directions = np.linalg.eigh(likenesses(examples.double(), examples.double()).numpy())
    is_there = values > 1e-8 * values[-1]
    basis = directions[:, is_there] / np.sqrt(values[is_there])
    mean, weights, out_of_fold = _fit_linear(
        likenesses(inputs, examples.double()).numpy() @ basis, wanted, KERNEL_STRENGTHS
    )
    return _KernelFit(scale, examples, basis @ weights, wanted.mean(axis=0) - mean @ weights, out_of_fold)


def _usual_distance(frames: np.ndarray) -> float:
    """Median distance between two frames that do not sound alike; 1 where all are the same.

    Frames of silence are much the same, and may be most of a clip.
    """
    distances = pdist(frames)
    size = np.sqrt(np.square(frames).sum(axis=1).mean())
    spread = np.sqrt(np.square(distances).mean()) if distances.size else 0.0
    if spread <= ROUNDING * size:
        return 1.0
    return float(np.median(distances[distances >= ALIKE * spread]))


def _fit_linear(
    inputs: np.ndarray, wanted: np.ndarray, strengths: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the inputs, weights [inputs, coefficients], and out-of-fold predictions [frames, coefficients]."""
    held_out = np.zeros((len(strengths), *wanted.shape))
    for fold, kept in folds(len(inputs)):
        held_out[:, fold] = _ridge_path(inputs[kept], wanted[kept], inputs[fold], strengths)
    errors = np.square(held_out - wanted).mean(axis=1)
    # Of strengths that do equally well, as all do where a clip is too short for folds, the strongest.
    best = len(strengths) - 1 - errors[::-1].argmin(axis=0)
    mean = inputs.mean(axis=0)
    weights = _ridge_weights(inputs - mean, wanted, np.array(strengths)[best])
    return mean, weights, np.take_along_axis(held_out, best[None, None, :], axis=0)[0]


def _ridge_path(inputs: np.ndarray, wanted: np.ndarray, asked: np.ndarray, strengths: tuple[float, ...]) -> np.ndarray:
    """Predictions for `asked` at every strength, shape [strengths, asked, coefficients], from one decomposition."""
    mean, offset = inputs.mean(axis=0), wanted.mean(axis=0)
    left, values, right = np.linalg.svd(inputs - mean, full_matrices=False)
    across, inner = (asked - mean) @ right.T, left.T @ (wanted - offset)
    shrinkage = [values / (values**2 + strength) for strength in strengths]
    predictions: np.ndarray = np.stack([(across * factor) @ inner + offset for factor in shrinkage])
    return predictions


def _ridge_weights(inputs: np.ndarray, wanted: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Weights [inputs, coefficients] for centred inputs, each coefficient with its own strength."""
    left, values, right = np.linalg.svd(inputs, full_matrices=False)
    shrinkage = values[:, None] / (values[:, None] ** 2 + strengths)
    weights: np.ndarray = right.T @ (shrinkage * (left.T @ (wanted - wanted.mean(axis=0))))
    return weights
