"""Fitting the path from sound to 3-D landmarks on a person's own clip."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.errors import InputError
from loquent.face.expression import detrend
from loquent.nn.landmark_generator import (
    BOTH_SIDES,
    LandmarkMotions,
    Listening,
    RegressedLandmarks,
    RegressedLandmarksConfig,
)
from loquent.training.lips import fit_lip_predictor

N_MOTIONS = 16
"""Principal motions: out of fold the error falls up to about eight and rises nowhere after (three clips)."""
RANGE = (0.01, 0.99)
"""Quantiles of a motion's coefficient over the training frames that bound it."""


@dataclass(frozen=True)
class LandmarkFit:
    """A fitted generator and what cross-validation says about it."""

    generator: RegressedLandmarks
    out_of_fold: Float[Tensor, "frames points 3"]
    """Landmarks of each training frame by a generator that never saw its neighbourhood."""
    correlation: tuple[float, ...]
    """Out-of-fold correlation of each principal motion's coefficient, drift removed."""


def fit_landmark_generator(
    features: Float[Tensor, "steps width"],
    frame_ids: Int[Tensor, "frames"],
    landmarks: Float[Tensor, "frames points 3"],
    fps: float,
    *,
    listening: Listening = BOTH_SIDES,
    parts: tuple[int, ...] | None = None,
    n_motions: int = N_MOTIONS,
) -> LandmarkFit:
    """Fit landmarks to the sound around each training frame: principal motions, and the lips' regressions to each.

    Slow drift is taken out as for the lips: no sound explains posture, and the generator holds its mean.

    Args:
        features: speech features of the whole sound from time 0, 50 a second.
        frame_ids: place of each training frame on the 25 fps timeline, ascending.
        landmarks: those of the training frames, head pose taken out.
        fps: frames per second of the timeline.
        listening: which steps a frame hears; `CAUSAL` for streams.
        parts: widths of the descriptions that `features` lays side by side, see `fit_lip_predictor`; nothing = one.
        n_motions: principal motions; fewer where the clip has fewer frames.

    Raises:
        InputError: fewer than two frames, or landmarks that are not finite.
    """
    motions = principal_motions(landmarks, frame_ids, fps, n_motions)
    windows = listening.windows(features, frame_ids)
    fit = fit_lip_predictor(windows, motions.coefficients(landmarks), frame_ids, fps, parts)
    config = RegressedLandmarksConfig(
        features.shape[1],
        landmarks.shape[1],
        len(motions.low),
        listening.steps,
        listening.steps_before,
        len(fit.predictor.examples),
        parts,
    )
    generator = RegressedLandmarks(config)
    generator.motions, generator.predictor = motions, fit.predictor
    return LandmarkFit(generator, motions(fit.out_of_fold), fit.correlation)


def principal_motions(
    landmarks: Float[Tensor, "frames points 3"],
    frame_ids: Int[Tensor, "frames"],
    fps: float,
    n_motions: int = N_MOTIONS,
) -> LandmarkMotions:
    """The directions in which landmarks move most once drift is taken out, and the range of each.

    `frame_ids` are the frames' places on the timeline of `fps` frames a second, ascending.

    Raises:
        InputError: fewer than two frames, or landmarks that are not finite.
    """
    if len(landmarks) < 2 or not torch.isfinite(landmarks).all():
        raise InputError(
            f"A generator of landmarks needs two training frames or more, and landmarks that are numbers; "
            f"it got {len(landmarks)} frames. Leave frames without a face out, or use a longer video."
        )
    shapes = landmarks.double().flatten(1).numpy()
    moved = detrend(shapes - shapes.mean(axis=0), frame_ids.numpy(), fps)
    _, _, directions = np.linalg.svd(moved, full_matrices=False)
    directions = directions[:n_motions]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1, keepdims=True), axis=1)
    directions = directions * np.sign(largest)  # else a sign would depend on the linear algebra library
    low, high = np.quantile(moved @ directions.T, RANGE, axis=0)
    mean = torch.from_numpy(shapes.mean(axis=0)).float().reshape(-1, 3)
    return LandmarkMotions(mean, *(torch.from_numpy(part).float() for part in (directions, low, high)))
