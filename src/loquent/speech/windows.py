"""Windows of speech features around video frames, and of frames around a frame (SPEC 1.6)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.errors import InputError

STEPS_PER_FRAME = 2
"""Speech features at 50 Hz, video at 25 frames per second."""
WINDOW_LENGTH = 16
"""Steps in one frame's window."""
CONTEXT_SIZE = 8
"""Windows in one frame's context."""


def frame_windows(
    features: Float[Tensor, "steps width"],
    frame_ids: Int[Tensor, "frames"],
    *,
    length: int = WINDOW_LENGTH,
    n_before: int | None = None,
    held: bool = False,
) -> Float[Tensor, "frames width {length}"]:
    """Cut the window of each frame out of the features of the whole sound.

    Frame k of the 25 fps timeline covers steps 2k - length/2 to 2k + length/2 - 1 (SPEC 1.6: 2k - 8 to 2k + 7), or as many
    before 2k as `n_before` says. Before the beginning and after the end of the sound lie zeros, as in the papers; or, `held`,
    its first and last steps again, which come somewhat nearer to what an uncut sound would hold (docs/lips.md).

    Raises:
        InputError: `length` is not a positive even number.
    """
    if length < 2 or length % 2:
        raise InputError(f"A window must hold a positive even number of steps; {length} was asked for.")
    n_steps = features.shape[0]
    n_before = length // 2 if n_before is None else n_before
    offsets = torch.arange(-n_before, length - n_before, device=frame_ids.device)
    steps = STEPS_PER_FRAME * frame_ids.long()[:, None] + offsets
    if n_steps == 0:
        return features.new_zeros(frame_ids.numel(), features.shape[1], length)
    cut = features[steps.clamp(0, n_steps - 1)]
    if not held:
        cut = cut * ((steps >= 0) & (steps < n_steps))[..., None]
    return cut.transpose(1, 2).contiguous()


def frame_contexts(
    features: Float[Tensor, "steps width"], frame_ids: Int[Tensor, "frames"], *, length: int = WINDOW_LENGTH
) -> Float[Tensor, "frames context width {length}"]:
    """The context of each frame of the 25 fps timeline: windows of the frames four before to three after it.

    A window of two steps holds the frame's own, 2k and 2k + 1, as the originals' HuBERT features do (SPEC 1.6).
    Unlike the originals', neighbours come from the sound itself, so they exist at the border of a split and where frames were
    dropped (SPEC 8.1.13).
    """
    around = torch.arange(-(CONTEXT_SIZE // 2), CONTEXT_SIZE - CONTEXT_SIZE // 2, device=frame_ids.device)
    ids = frame_ids.long()[:, None] + around
    n_before = 0 if length == STEPS_PER_FRAME else None
    windows = frame_windows(features, ids.reshape(-1), length=length, n_before=n_before)
    return windows.reshape(frame_ids.numel(), CONTEXT_SIZE, features.shape[1], length)
