"""The cells of a cubic grid over [-1, 1]³, indexed [x, y, z]: centres, neighbours, cameras that see them, Morton order."""

import torch
from jaxtyping import Bool, Float, Int, Num, UInt8
from torch import Tensor

from loquent.geometry.cameras import Camera
from loquent.ops.ray_march import Box


def cell_centres(index: Int[Tensor, "points"], cells: int) -> Float[Tensor, "points 3"]:
    """Centres of cells given by flat index ``(x * cells + y) * cells + z``."""
    x, y, z = index // (cells * cells), index // cells % cells, index % cells
    return (torch.stack([x, y, z], dim=1) * 2 + (1 - cells)) / cells


def cell_index(positions: Float[Tensor, "points 3"], cells: int) -> Int[Tensor, "points"]:
    """Flat index of the cells that hold these positions; the nearest cell for positions outside the cube."""
    x, y, z = ((positions + 1) * (cells / 2)).long().clamp_(0, cells - 1).unbind(1)
    return (x * cells + y) * cells + z


def cells_in_box(box: Box, cells: int) -> Bool[Tensor, "cells cells cells"]:
    """Cells that share some volume with the box."""
    edges = torch.linspace(-1, 1, cells + 1)
    x, y, z = ((edges[1:] > low) & (edges[:-1] < high) for low, high in zip(box[:3], box[3:], strict=True))
    return x[:, None, None] & y[:, None] & z


def dilate(values: Num[Tensor, "cells cells cells"]) -> Num[Tensor, "cells cells cells"]:
    """The largest value among each cell and its six neighbours; for booleans, whether any is set (SPEC 2.5)."""
    largest = values.clone()
    for axis in range(3):
        n = values.shape[axis]
        lower, upper = largest.narrow(axis, 0, n - 1), largest.narrow(axis, 1, n - 1)
        torch.maximum(lower, values.narrow(axis, 1, n - 1), out=lower)
        torch.maximum(upper, values.narrow(axis, 0, n - 1), out=upper)
    return largest


def seen_cells(
    world_from_camera: Float[Tensor, "frames 4 4"], camera: Camera, cells: int
) -> Bool[Tensor, "cells cells cells"]:
    """Cells whose centre at least one camera sees, with a margin of one cell's width (SPEC 2.5)."""
    device = world_from_camera.device
    unseen = torch.arange(cells**3, device=device)
    margin = 2 / cells
    left, right = camera.cx / camera.fx, (camera.width - camera.cx) / camera.fx
    above, below = camera.cy / camera.fy, (camera.height - camera.cy) / camera.fy
    for matrix in world_from_camera:
        x, y, z = ((cell_centres(unseen, cells) - matrix[:3, 3]) @ matrix[:3, :3]).unbind(1)
        across = (x > -left * z - margin) & (x < right * z + margin)
        down = (y > -above * z - margin) & (y < below * z + margin)
        unseen = unseen[~((z > 0) & across & down)]
    seen = torch.ones(cells**3, dtype=torch.bool, device=device)
    seen[unseen] = False
    return seen.view(cells, cells, cells)


def from_morton(values: Num[Tensor, "n"], cells: int) -> Num[Tensor, "cells cells cells"]:
    """Values of all cells in Morton order, as RAD-NeRF and ER-NeRF store them, indexed [x, y, z]."""
    return values[_morton_codes(cells)]


def to_morton(values: Num[Tensor, "cells cells cells"]) -> Num[Tensor, "n"]:
    """The inverse of :func:`from_morton`."""
    ordered = torch.empty_like(values.reshape(-1))
    ordered[_morton_codes(values.shape[0])] = values
    return ordered


def unpack_bits(bits: UInt8[Tensor, "bytes"]) -> Bool[Tensor, "n"]:
    """Eight cells a byte, the lowest bit first, as `density_bitfield` of the original checkpoints."""
    return ((bits[:, None] >> torch.arange(8, device=bits.device)) & 1).bool().reshape(-1)


def pack_bits(flags: Bool[Tensor, "n"]) -> UInt8[Tensor, "bytes"]:
    """The inverse of :func:`unpack_bits`; the number of flags is a multiple of eight."""
    values = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=flags.device)
    return (flags.view(-1, 8) * values).sum(1, dtype=torch.uint8)


def _morton_codes(cells: int) -> Int[Tensor, "cells cells cells"]:
    """Bit b of x, y, z goes to bit 3b, 3b + 1, 3b + 2."""
    axis = torch.arange(cells)
    spread = torch.zeros_like(axis)
    for bit in range((cells - 1).bit_length()):
        spread |= ((axis >> bit) & 1) << (3 * bit)
    return spread[:, None, None] | (spread[:, None] << 1) | (spread << 2)
