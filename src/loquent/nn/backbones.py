"""Encoders of position that ER-NeRF is compared with (its Table 4): dense planes, and a network on frequencies (SPEC 6.3)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from loquent.nn.grid import PositionEncoder
from loquent.nn.mlp import SkipMlp
from loquent.ops.directions import frequency_encode

_INITIAL_RANGE = 1e-4
_PLANE_AXES = ((0, 1), (1, 2), (0, 2))
_OCTAVES, _HIDDEN, _LAYERS, _SKIP = 10, 256, 8, 4
"""NeRF's own trunk: eight layers of 256, and the input once more after the fourth."""


class DenseTriplane(PositionEncoder):
    """Three planes of features at one resolution over (x, y), (y, z) and (x, z) of [-bound, bound]³, without hashing."""

    def __init__(self, channels: int = 12, resolution: int = 128, bound: float = 1.0) -> None:
        super().__init__()
        self.channels, self.bound = channels, bound
        self.planes = nn.Parameter(
            torch.empty(3, channels, resolution, resolution).uniform_(-_INITIAL_RANGE, _INITIAL_RANGE)
        )

    @property
    def width(self) -> int:
        """Values per point."""
        return 3 * self.channels

    def forward(self, points: Float[Tensor, "samples 3"]) -> Float[Tensor, "samples width"]:
        """Interpolated features, plane by plane; zero outside the cube."""
        scaled = points / self.bound
        # grid_sample wants the last axis of a plane first.
        where = torch.stack([scaled[:, [second, first]] for first, second in _PLANE_AXES])
        features = functional.grid_sample(self.planes, where[:, None], align_corners=True)[:, :, 0]
        is_inside = (scaled.abs() <= 1).all(dim=1, keepdim=True)
        return features.flatten(0, 1).t() * is_inside


class PositionNetwork(PositionEncoder):
    """NeRF's trunk: frequencies of the position through eight layers, to as many values as the planes have."""

    def __init__(self, width: int = 36) -> None:
        super().__init__()
        encoded = 3 * (1 + 2 * _OCTAVES)
        self.layers = SkipMlp(encoded, _HIDDEN, _LAYERS, _SKIP)
        self.out = nn.Linear(_HIDDEN, width)

    @property
    def width(self) -> int:
        """Values per point."""
        return self.out.out_features

    def forward(self, points: Float[Tensor, "samples 3"]) -> Float[Tensor, "samples width"]:
        """Features of points, of any range: there is no cube here that ends."""
        features: Tensor = self.out(self.layers(frequency_encode(points, _OCTAVES)))
        return features
