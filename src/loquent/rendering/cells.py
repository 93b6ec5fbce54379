"""The cells of a cubic grid over [-1, 1]³, indexed [x, y, z]: centres, neighbours, cameras that see them, Morton order."""

import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
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


def dilate(values: Shaped[Tensor, "cells cells cells"]) -> Shaped[Tensor, "cells cells cells"]:
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
    """Cells whose centre at least one camera sees, with a margin of one cell's width around the picture (SPEC 2.5)."""
    # A camera sees a centre when the centre lies inside five planes, so along z it sees one run of cells in each column
    # (x, y). Runs are added up as +1 where they start and -1 where they end.
    device, margin = world_from_camera.device, 2 / cells
    planes = torch.tensor(  # in the camera's frame: normal and offset, positive inside
        [
            [0, 0, 1, 0],
            [1, 0, camera.cx / camera.fx, margin],
            [-1, 0, (camera.width - camera.cx) / camera.fx, margin],
            [0, 1, camera.cy / camera.fy, margin],
            [0, -1, (camera.height - camera.cy) / camera.fy, margin],
        ],
        dtype=torch.float64,
        device=device,
    )
    axis = (torch.arange(cells, device=device, dtype=torch.float64) * 2 + 1 - cells) / cells
    changes = torch.zeros(cells, cells, cells + 1, dtype=torch.int32, device=device)
    for matrix in world_from_camera.double():
        normals = planes[:, :3] @ matrix[:3, :3].T
        offsets = planes[:, 3] - normals @ matrix[:3, 3]
        slope = normals[:, 2, None, None]
        base = normals[:, 0, None, None] * axis[:, None] + normals[:, 1, None, None] * axis + offsets[:, None, None]
        crossing = ((-base / slope) * cells + cells - 1) / 2  # in cells along z
        first = torch.where(slope > 0, crossing.floor() + 1, torch.where((slope == 0) & (base <= 0), cells, 0))
        end = torch.where(slope < 0, crossing.ceil(), cells)
        start = first.amax(0).clamp(0, cells).long()[..., None]
        stop = torch.maximum(end.amin(0).clamp(0, cells).long()[..., None], start)
        changes.scatter_add_(2, start, torch.ones_like(start, dtype=torch.int32))
        changes.scatter_add_(2, stop, torch.full_like(stop, -1, dtype=torch.int32))
    return changes.cumsum(2)[..., :cells] > 0


def from_morton(values: Shaped[Tensor, "n"], cells: int) -> Shaped[Tensor, "cells cells cells"]:
    """Values of all cells in Morton order, as RAD-NeRF and ER-NeRF store them, indexed [x, y, z]."""
    return values[_morton_codes(cells)]


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
