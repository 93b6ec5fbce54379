"""3-D facial landmarks around a frame: their windows, and the condition that R2-Talker makes of them (SPEC 7.2, 7.3)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.nn.grid import GridEncoder
from loquent.ops.grid_encode import GridLayout

LANDMARK_WINDOW = 5
"""Frames of landmarks that R2-Talker looks at: two before, the frame, two after."""


def landmark_windows(landmarks: Float[Tensor, "frames points axes"]) -> Float[Tensor, "frames window points axes"]:
    """The landmarks of the frames around each of consecutive frames, zero outside the track (SPEC 7.2)."""
    half = LANDMARK_WINDOW // 2
    padded = torch.cat(
        [torch.zeros_like(landmarks[:1])] * half + [landmarks] + [torch.zeros_like(landmarks[:1])] * half
    )
    return torch.stack([padded[k : k + len(landmarks)] for k in range(LANDMARK_WINDOW)], dim=1)


def track_windows(
    landmarks: Float[Tensor, "frames points axes"], frame_ids: Int[Tensor, "frames"]
) -> Float[Tensor, "frames window points axes"]:
    """As :func:`landmark_windows`, for frames at these places of the timeline, ascending: what lies between two of them is
    interpolated, so that a window is always five consecutive moments."""
    return landmark_windows(at_every_moment(landmarks, frame_ids))[frame_ids - frame_ids[0]]


def at_every_moment(
    values: Float[Tensor, "frames *axes"], frame_ids: Int[Tensor, "frames"]
) -> Float[Tensor, "moments *axes"]:
    """Values of frames at these places of the timeline, ascending, for every moment from the first to the last: gaps are
    bridged by straight lines."""
    moments = torch.arange(int(frame_ids[0]), int(frame_ids[-1]) + 1, device=frame_ids.device)
    after = torch.searchsorted(frame_ids, moments)
    before = torch.where(frame_ids[after] == moments, after, after - 1)
    span = (frame_ids[after] - frame_ids[before]).clamp(min=1)
    share = ((moments - frame_ids[before]) / span).to(values)
    return torch.lerp(values[before], values[after], share.reshape(-1, *[1] * (values.ndim - 1)))


class LandmarkEncoder(nn.Module):
    """Each landmark looked up in one hash grid over [-1, 1]³; a landmark outside encodes to zeros."""

    def __init__(self, layout: GridLayout) -> None:
        super().__init__()
        self.grid = GridEncoder(layout)

    def forward(self, landmarks: Float[Tensor, "frames window points 3"]) -> Float[Tensor, "frames width"]:
        """`landmarks[i]` are those of the frames around frame i; the window's frames come first, then points, then values."""
        features: Tensor = self.grid(landmarks.reshape(-1, 3))
        return features.reshape(len(landmarks), -1)
