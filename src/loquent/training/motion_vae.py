"""Fitting the motion auto-encoder on a person's own clip (SPEC 7.5), seeded, in less than a minute on a CPU for 450 frames.

GeneFace trains it on hours of many speakers, with a synchrony network in the loss; here are seconds of one person, so it is
smaller, stops early, and has no synchrony term, which would need a network of its own learned from the same seconds.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loquent.face.expression import detrend
from loquent.nn.landmarks import at_every_moment
from loquent.nn.motion_vae import STRIDE, MotionVae, MotionVaeConfig
from loquent.speech.windows import STEPS_PER_FRAME
from loquent.training.landmark_generator import principal_motions


@dataclass(frozen=True)
class MotionVaeTraining:
    """How it is trained; GeneFace's values in parentheses. Steps and noise were chosen out of fold on training frames."""

    steps: int = 300
    """Optimiser steps (40 000)."""
    batch: int = 8
    """Stretches in a step."""
    frames: int = 64
    """Frames in a stretch, a multiple of four."""
    learning_rate: float = 5e-4
    """Of Adam (5e-4)."""
    continuity: float = 3.0
    """Weight of the error between neighbouring frames' differences (3)."""
    divergence: float = 0.5
    """Weight of the divergence of latents from the prior (0.5)."""
    speech_noise: float = 1.0
    """Standard deviation of noise laid over the standardised speech, against learning seconds of it by heart (none)."""
    largest_gradient: float = 1.0
    """Norm that gradients are clipped to (1)."""


def fit_motion_vae(
    features: Float[Tensor, "steps width"],
    frame_ids: Int[Tensor, "frames"],
    landmarks: Float[Tensor, "frames points 3"],
    fps: float,
    *,
    sizes: MotionVaeConfig | None = None,
    training: MotionVaeTraining | None = None,
    seed: int = 0,
) -> MotionVae:
    """Train on stretches of the training frames; the caller's random numbers are left alone.

    Args:
        features: speech features of the whole sound from time 0, 50 a second.
        frame_ids: place of each training frame on the 25 fps timeline, ascending; dropped frames do not count in the loss.
        landmarks: those of the training frames, head pose taken out. Slow drift is taken out as for the lips.
        fps: frames per second of the timeline.
        sizes: of the network; its `speech_width` and `n_points` are set to those given, `n_motions` to what there is.
        training: how it is trained.
        seed: of first weights, stretches and noise.

    Returns:
        The generator, ready to use; its temperature is that of `sizes`.

    Raises:
        InputError: fewer than two frames, or landmarks that are not finite.
    """
    sizes, training = sizes or MotionVaeConfig(0, 0), training or MotionVaeTraining()
    motions = principal_motions(landmarks, frame_ids, fps, sizes.n_motions)
    sizes = replace(sizes, speech_width=features.shape[1], n_points=landmarks.shape[1], n_motions=motions.low.numel())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = MotionVae(sizes)
        vae.motions = motions
        curves = detrend(motions.coefficients(landmarks).double().numpy(), frame_ids.numpy(), fps)
        coefficients = torch.from_numpy(curves).float()
        vae.motion_scale.fill_(max(float(curves.std()), 1e-9))
        _set_speech_range(vae, features, frame_ids)
        motion, is_known = _on_timeline(coefficients / float(vae.motion_scale), frame_ids)
        n_frames = motion.shape[1]
        speech = vae.condition(features[STEPS_PER_FRAME * int(frame_ids[0]) :], n_frames)[0]
        optimiser = torch.optim.Adam(vae.parameters(), lr=training.learning_rate)
        length = min(training.frames, n_frames)
        for _ in range(training.steps):
            starts = torch.randint(0, n_frames - length + 1, (training.batch,)).tolist()
            heard, moved, known = (
                torch.stack([part[..., start : start + length] for start in starts])
                for part in (speech, motion, is_known)
            )
            heard = heard + training.speech_noise * torch.randn(heard.shape)
            noise = torch.randn(training.batch, sizes.n_latent, length // STRIDE)
            loss = _loss(vae, heard, moved, known, noise, training)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(vae.parameters(), training.largest_gradient)
            optimiser.step()
    return vae.requires_grad_(False).eval()


def _loss(
    vae: MotionVae,
    speech: Float[Tensor, "batch width frames"],
    motion: Float[Tensor, "batch motions frames"],
    is_known: Bool[Tensor, "batch frames"],
    noise: Float[Tensor, "batch channels latents"],
    training: MotionVaeTraining,
) -> Float[Tensor, ""]:
    """SPEC 7.5's loss without its synchrony term."""
    got = vae(speech, motion, noise)
    error = (got.motion - motion) * is_known[:, None]
    both_known = (is_known[:, 1:] & is_known[:, :-1])[:, None]
    all_known = is_known.reshape(len(is_known), -1, STRIDE).all(dim=2)
    loss: Tensor = (
        error.square().mean()
        + training.continuity * (error.diff(dim=2) * both_known).square().mean()
        + training.divergence * (got.divergence * all_known).mean()
    )
    return loss


def _set_speech_range(vae: MotionVae, features: Tensor, frame_ids: Tensor) -> None:
    """Standardise by the sound under the training frames alone."""
    first, last = int(frame_ids[0]), int(frame_ids[-1])
    heard = features[STEPS_PER_FRAME * first : STEPS_PER_FRAME * (last + 1)]
    vae.speech_mean.copy_(heard.mean(dim=0))
    vae.speech_scale.copy_(heard.std(dim=0).clamp(min=1e-3))


def _on_timeline(
    coefficients: Float[Tensor, "frames motions"], frame_ids: Int[Tensor, "frames"]
) -> tuple[Float[Tensor, "motions moments"], Bool[Tensor, "moments"]]:
    """Motion at every moment from the first frame on, a multiple of four of them, and which were seen.

    Gaps are bridged by straight lines; the end is held.
    """
    dense = at_every_moment(coefficients, frame_ids)
    held = dense[-1:].expand(-len(dense) % STRIDE, -1)
    motion = torch.cat([dense, held]).T
    is_known = torch.zeros(motion.shape[1], dtype=torch.bool)
    is_known[frame_ids - frame_ids[0]] = True
    return motion, is_known
