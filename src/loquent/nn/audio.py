"""From windows of speech features to the audio condition of a frame (SPEC 2.3)."""

import itertools

from jaxtyping import Float
from torch import Tensor, nn

CONTEXT_FRAMES = 8
"""Windows the attention looks at: four before the frame, the frame, three after (SPEC 1.6)."""

_SLOPE = 0.02
"""Of the leaky ReLU below zero."""


class AudioNet(nn.Module):
    """One window of speech features to one vector: four strided convolutions, then two linear layers."""

    def __init__(self, width_in: int, width_out: int = 32) -> None:
        super().__init__()
        widths = (width_in, 32, 32, 64, 64)
        self.convolutions = nn.Sequential()
        for before, after in itertools.pairwise(widths):
            self.convolutions.append(nn.Conv1d(before, after, kernel_size=3, stride=2, padding=1))
            self.convolutions.append(nn.LeakyReLU(_SLOPE))
        self.head = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(_SLOPE), nn.Linear(64, width_out))

    def forward(self, windows: Float[Tensor, "windows width_in steps"]) -> Float[Tensor, "windows width_out"]:
        """`steps` is at most 16, so that the convolutions end with one step."""
        pooled = self.convolutions(windows).squeeze(-1)
        encoded: Tensor = self.head(pooled)
        return encoded


class AudioAttention(nn.Module):
    """Weighted mean of the vectors around a frame, with weights computed from the vectors."""

    def __init__(self, width: int = 32, n_frames: int = CONTEXT_FRAMES) -> None:
        super().__init__()
        widths = (width, 16, 8, 4, 2, 1)
        self.convolutions = nn.Sequential()
        for before, after in itertools.pairwise(widths):
            self.convolutions.append(nn.Conv1d(before, after, kernel_size=3, padding=1))
            self.convolutions.append(nn.LeakyReLU(_SLOPE))
        self.head = nn.Linear(n_frames, n_frames)

    def forward(self, vectors: Float[Tensor, "frames context width"]) -> Float[Tensor, "frames width"]:
        """One vector a frame, of the `n_frames` around it, which are in the order of time."""
        scores = self.head(self.convolutions(vectors.transpose(1, 2)).squeeze(1))
        weights: Tensor = scores.softmax(dim=-1)
        return (weights[..., None] * vectors).sum(dim=1)


class AudioEncoder(nn.Module):
    """Speech features around a frame to its audio condition."""

    def __init__(self, width_in: int, width_out: int = 32, n_frames: int = CONTEXT_FRAMES) -> None:
        super().__init__()
        self.net = AudioNet(width_in, width_out)
        self.attention = AudioAttention(width_out, n_frames)

    def forward(self, windows: Float[Tensor, "frames context width_in steps"]) -> Float[Tensor, "frames width_out"]:
        """`windows[i]` are the windows around frame i: of frames i-4 … i+3 where there are eight (SPEC 1.6), zero outside."""
        vectors = self.net(windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
        attended: Tensor = self.attention(vectors)
        return attended
