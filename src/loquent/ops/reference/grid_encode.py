"""Multi-resolution grids in plain PyTorch (SPEC 2.1, 2.2, 8.2)."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from loquent.ops.grid_encode import HASH_PRIMES, GridLayout

PLANE_AXES = ((0, 1), (1, 2), (0, 2))


def grid_encode(
    points: Float[Tensor, "samples dims"], table: Float[Tensor, "entries features"], layout: GridLayout, bound: float
) -> Float[Tensor, "samples width"]:
    """See :func:`loquent.ops.grid_encode.grid_encode`."""
    unit = (points + bound) / (2 * bound)
    is_inside = ((unit >= 0) & (unit <= 1)).all(dim=-1, keepdim=True)
    unit = torch.where(is_inside, unit, torch.zeros_like(unit))
    encoded = [_encode_level(unit, table, layout, level) for level in range(layout.levels)]
    return torch.cat(encoded, dim=-1) * is_inside


def triplane_encode(
    points: Float[Tensor, "samples 3"], tables: Float[Tensor, "3 entries 1"], layout: GridLayout, bound: float
) -> Float[Tensor, "samples width"]:
    """See :func:`loquent.ops.grid_encode.triplane_encode`."""
    planes = [
        grid_encode(points[:, list(axes)], table, layout, bound) for axes, table in zip(PLANE_AXES, tables, strict=True)
    ]
    return torch.cat(planes, dim=-1)


def _encode_level(
    unit: Float[Tensor, "samples dims"], table: Float[Tensor, "entries features"], layout: GridLayout, level: int
) -> Float[Tensor, "samples features"]:
    position = unit * layout.scales[level] + 0.5
    corner = position.detach().floor()
    fraction = position - corner
    first, last = layout.offsets[level : level + 2]
    level_table = table[first:last]
    encoded = torch.zeros_like(unit[:, :1])
    for steps in itertools.product((0, 1), repeat=layout.dims):
        step = torch.tensor(steps, device=unit.device)
        weight = torch.where(step == 1, fraction, 1 - fraction).prod(dim=-1, keepdim=True)
        encoded = encoded + weight * level_table[_entry(corner.long() + step, layout, level)]
    return encoded


def _entry(corner: Tensor, layout: GridLayout, level: int) -> Tensor:
    """Table entry of integer corners [samples, dims]; 64-bit products hold the low 32 bits exactly."""
    index = torch.zeros_like(corner[:, 0])
    for d in range(layout.dims):
        if layout.is_hashed[level]:
            index = index ^ (corner[:, d] * HASH_PRIMES[d])
        else:
            index = index + corner[:, d] * layout.strides[level][d]
    return index & layout.masks[level]
