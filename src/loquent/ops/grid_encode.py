"""Multi-resolution grids of features, hashed or tiled, and three of them as a tri-plane (SPEC 2.1, 2.2, 8.2)."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from loquent.errors import InputError
from loquent.ops.dispatch import Operation

HASH_PRIMES = (1, 2654435761, 805459861)
"""One factor per coordinate, multiplied and XORed as 32-bit integers (Instant-NGP, equation 4)."""


@dataclass(frozen=True)
class GridLayout:
    """Shape of a multi-resolution grid; the level rules are SPEC 2.1."""

    dims: int
    """Coordinates of a point: 2 or 3."""
    levels: int
    """Number of resolutions."""
    features: int
    """Values stored per entry."""
    base: int
    """Resolution of the coarsest level."""
    finest: int
    """Resolution of the finest level."""
    log2_entries: int
    """Largest table of a level, as a power of two."""
    kind: Literal["hash", "tiled"] = "hash"
    """What a level too large for its table does: hash the corner, or wrap around (and skip dimensions, SPEC 8.2)."""

    def __post_init__(self) -> None:
        if self.dims not in (2, 3) or self.levels < 1 or self.features < 1 or not 3 <= self.log2_entries <= 24:
            raise InputError(
                "A grid needs dims 2 or 3, at least one level and feature, and log2_entries from 3 to 24; "
                f"got dims={self.dims}, levels={self.levels}, features={self.features}, log2_entries={self.log2_entries}."
            )
        if not 2 <= self.base <= self.finest <= 2**15:
            raise InputError(f"A grid needs 2 <= base <= finest <= 32768; got base={self.base}, finest={self.finest}.")

    @cached_property
    def scales(self) -> tuple[float, ...]:
        """Cells across the unit interval per level: position = u · scale + 0.5."""
        growth = self._log2_growth
        return tuple(self.base * 2.0 ** (level * growth) - 1.0 for level in range(self.levels))

    @cached_property
    def resolutions(self) -> tuple[int, ...]:
        """Grid lines per axis minus one, per level."""
        growth = 2.0**self._log2_growth
        return tuple(math.ceil(self.base * growth**level) for level in range(self.levels))

    @cached_property
    def entries(self) -> tuple[int, ...]:
        """Table entries per level, a multiple of 8."""
        full = ((resolution + 1) ** self.dims for resolution in self.resolutions)
        return tuple(-(-min(2**self.log2_entries, corners) // 8) * 8 for corners in full)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First entry of each level, and one number more: the total."""
        total = [0]
        for count in self.entries:
            total.append(total[-1] + count)
        return tuple(total)

    @property
    def n_entries(self) -> int:
        """Entries of all levels together."""
        return self.offsets[-1]

    @property
    def width(self) -> int:
        """Encoded values per point."""
        return self.levels * self.features

    @cached_property
    def strides(self) -> tuple[tuple[int, ...], ...]:
        """Per level, what each coordinate is multiplied by where the level is not hashed; 0 for a skipped dimension."""
        return tuple(
            tuple(stride if stride <= entries else 0 for stride in ((resolution + 1) ** d for d in range(self.dims)))
            for resolution, entries in zip(self.resolutions, self.entries, strict=True)
        )

    @cached_property
    def is_hashed(self) -> tuple[bool, ...]:
        """Per level, whether corners are hashed: hash grids whose corners outnumber the table."""
        return tuple(self.kind == "hash" and overflows for overflows in self._overflows)

    @cached_property
    def masks(self) -> tuple[int, ...]:
        """Per level, the bits an index keeps: wraps at the table's power of two, or nothing where all corners fit."""
        return tuple(2**self.log2_entries - 1 if overflows else 2**32 - 1 for overflows in self._overflows)

    @cached_property
    def _overflows(self) -> tuple[bool, ...]:
        return tuple((resolution + 1) ** self.dims > 2**self.log2_entries for resolution in self.resolutions)

    @property
    def _log2_growth(self) -> float:
        return math.log2(self.finest / self.base) / (self.levels - 1) if self.levels > 1 else 0.0


def grid_encode(
    points: Float[Tensor, "samples dims"],
    table: Float[Tensor, "entries features"],
    layout: GridLayout,
    bound: float = 1.0,
) -> Float[Tensor, "samples width"]:
    """Interpolated features of every level at each point (SPEC 2.1).

    Args:
        points: coordinates in [-bound, bound]; a point with any coordinate outside (or not a number) encodes to zeros
            and passes no gradient.
        table: features of all levels, one after the other, at `layout.offsets`.
        layout: the grid's shape.
        bound: half the width of the box.

    Returns:
        `layout.levels * layout.features` values per point, level by level; differentiable in the table and the points.

    Raises:
        InputError: shapes, types or devices that do not fit the layout.
    """
    _check(points, layout.dims, table, (layout.n_entries, layout.features), bound)
    return _GRID_ENCODE.body(points.device)(points, table, layout, bound)


def triplane_encode(
    points: Float[Tensor, "samples 3"],
    tables: Float[Tensor, "3 entries 1"],
    layout: GridLayout,
    bound: float = 1.0,
) -> Float[Tensor, "samples width"]:
    """Features of three 2-D grids on (x, y), (y, z) and (x, z), concatenated in this order (SPEC 2.2).

    Args:
        points: coordinates in [-bound, bound]; a coordinate outside (or not a number) zeroes the planes that contain it.
        tables: one table per plane, each as :func:`grid_encode` takes it.
        layout: shape of each plane: 2-D, one feature.
        bound: half the width of the box.

    Returns:
        `3 * layout.levels` values per point, plane by plane; differentiable in the tables and the points.

    Raises:
        InputError: shapes, types or devices that do not fit the layout.
    """
    if layout.dims != 2 or layout.features != 1:
        raise InputError(
            f"A tri-plane needs 2-D planes of one feature; got dims={layout.dims}, features={layout.features}."
        )
    _check(points, 3, tables, (3, layout.n_entries, 1), bound)
    return _TRIPLANE_ENCODE.body(points.device)(points, tables, layout, bound)


def _check(points: Tensor, dims: int, table: Tensor, table_shape: tuple[int, ...], bound: float) -> None:
    if points.ndim != 2 or points.shape[1] != dims or tuple(table.shape) != table_shape:
        raise InputError(
            f"This grid takes points of shape [samples, {dims}] and a table of shape {list(table_shape)}; "
            f"got {list(points.shape)} and {list(table.shape)}."
        )
    if points.device != table.device or points.dtype != table.dtype or not points.is_floating_point():
        raise InputError(
            "Points and table must be floating point numbers of one type on one device; "
            f"got {points.dtype} on {points.device} and {table.dtype} on {table.device}."
        )
    if not bound > 0:
        raise InputError(f"The half width of the box must be positive; got bound={bound}.")


def _grid_example() -> dict[str, Any]:
    layout = GridLayout(dims=3, levels=3, features=2, base=4, finest=23, log2_entries=9)
    table = torch.randn(layout.n_entries, layout.features, generator=torch.Generator().manual_seed(2))
    return {"points": _example_points(), "table": table.requires_grad_(), "layout": layout, "bound": 1.0}


def _triplane_example() -> dict[str, Any]:
    layout = GridLayout(dims=2, levels=3, features=1, base=5, finest=40, log2_entries=9)
    tables = torch.randn(3, layout.n_entries, 1, generator=torch.Generator().manual_seed(2))
    return {"points": _example_points(), "tables": tables.requires_grad_(), "layout": layout, "bound": 1.0}


def _example_points() -> Tensor:
    """Points in and around the box."""
    return (torch.rand(67, 3, generator=torch.Generator().manual_seed(1)) * 2.2 - 1.1).requires_grad_()


_GRID_ENCODE: Operation[[Tensor, Tensor, GridLayout, float], Tensor] = Operation(
    "grid_encode",
    {
        "reference": "loquent.ops.reference.grid_encode:grid_encode",
        "cpu": "loquent.ops.cpu.grid_encode:grid_encode",
    },
    _grid_example,
)
_TRIPLANE_ENCODE: Operation[[Tensor, Tensor, GridLayout, float], Tensor] = Operation(
    "triplane_encode",
    {
        "reference": "loquent.ops.reference.grid_encode:triplane_encode",
        "cpu": "loquent.ops.cpu.triplane_encode:triplane_encode",
    },
    _triplane_example,
)
