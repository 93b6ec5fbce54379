"""Encoders that hold the tables of a grid or a tri-plane."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from loquent.ops.grid_encode import GridLayout, grid_encode, triplane_encode

_INITIAL_RANGE = 1e-4
"""Tables start uniform in ± this (SPEC 2.1)."""


class PositionEncoder(nn.Module, ABC):
    """What turns positions into features, each point for itself."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Values per point."""


class GridEncoder(PositionEncoder):
    """One multi-resolution grid over [-bound, bound]^dims."""

    def __init__(self, layout: GridLayout, bound: float = 1.0) -> None:
        super().__init__()
        self.layout, self.bound = layout, bound
        self.table = nn.Parameter(
            torch.empty(layout.n_entries, layout.features).uniform_(-_INITIAL_RANGE, _INITIAL_RANGE)
        )

    @property
    def width(self) -> int:
        """Values per point."""
        return self.layout.width

    def forward(self, points: Float[Tensor, "samples dims"]) -> Float[Tensor, "samples width"]:
        """Interpolated features, coarsest level first; zero outside [-bound, bound]^dims."""
        return grid_encode(points, self.table, self.layout, self.bound)


class TriplaneEncoder(PositionEncoder):
    """Three independent 2-D grids over (x, y), (y, z) and (x, z) of [-bound, bound]^3 (SPEC 2.2)."""

    def __init__(self, layout: GridLayout, bound: float = 1.0) -> None:
        super().__init__()
        self.layout, self.bound = layout, bound
        self.tables = nn.Parameter(torch.empty(3, layout.n_entries, 1).uniform_(-_INITIAL_RANGE, _INITIAL_RANGE))

    @property
    def width(self) -> int:
        """Values per point."""
        return 3 * self.layout.width

    def forward(self, points: Float[Tensor, "samples 3"]) -> Float[Tensor, "samples width"]:
        """Interpolated features, plane by plane, coarsest level first; planes of a coordinate outside are zero."""
        return triplane_encode(points, self.tables, self.layout, self.bound)
