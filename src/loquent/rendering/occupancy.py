"""Which cells of the volume are worth sampling: by the field's density (the papers), or by what pixels ever showed (ours)."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from loquent.geometry.cameras import Camera, project
from loquent.ops.ray_march import Box
from loquent.rendering import cells as grid

CELLS = 128
HEAD_BOX: Box = (-1.0, -0.5, -1.0, 1.0, 0.5, 1.0)
"""Where samples are made: the cube [-1, 1]³, half as deep (SPEC 1.3)."""

DensityFunction = Callable[[Float[Tensor, "points 3"]], Float[Tensor, "points"]]


class OccupancyGrid(nn.Module):
    """The papers' grid: a decaying maximum of the field's density; cells above a threshold are occupied (SPEC 2.5)."""

    density: Tensor
    """[cells, cells, cells], indexed [x, y, z]; -1 where no training camera looks."""
    occupied: Tensor
    """The same shape, boolean; everything until the first update."""

    def __init__(self, box: Box = HEAD_BOX, cells: int = CELLS) -> None:
        super().__init__()
        self.box, self.cells = box, cells
        self.register_buffer("density", torch.zeros(cells, cells, cells))
        self.register_buffer("occupied", torch.ones(cells, cells, cells, dtype=torch.bool))

    @torch.no_grad()
    def mark_unseen(self, world_from_camera: Float[Tensor, "frames 4 4"], camera: Camera) -> None:
        """Rule out, for good, the cells that none of these cameras sees."""
        unseen = ~grid.seen_cells(world_from_camera, camera, self.cells)
        self.density[unseen] = -1
        self.occupied[unseen] = False

    @torch.no_grad()
    def update(
        self,
        density_function: DensityFunction,
        *,
        generator: torch.Generator,
        decay: float = 0.95,
        threshold: float = 10.0,
        chunk: int = 8192,
    ) -> None:
        """Ask the field at a random point of every cell, and mark again which are occupied.

        Args:
            density_function: density at positions, under a condition that the caller draws anew for each update.
            generator: of the random points.
            decay: what is left of the old density.
            threshold: densities above it, or above the grid's mean, are occupied.
            chunk: the function is always called with this many points.
        """
        index = torch.arange(self.cells**3, device=self.density.device)
        fresh = torch.full_like(self.density, -1).view(-1)
        for part in torch.split(index, chunk):
            # Repeats the first cell to fill the last chunk: arrays of one shape are much faster to multiply.
            filled = torch.cat([part, part[:1].expand(chunk - len(part))])
            noise = torch.rand(chunk, 3, generator=generator, device=generator.device).to(index.device)
            positions = grid.cell_centres(filled, self.cells) + (noise * 2 - 1) / self.cells
            fresh[part] = density_function(positions)[: len(part)].to(fresh.dtype)
        fresh = grid.dilate(fresh.view_as(self.density))
        updated = (self.density >= 0) & (fresh >= 0)
        self.density.copy_(torch.where(updated, torch.maximum(self.density * decay, fresh), self.density))
        mean = self.density.clamp(min=0).mean()
        self.occupied.copy_(self.density > mean.clamp(max=threshold))


class VisibilityGrid(nn.Module):
    """A grid of the largest weight that samples of a cell lately had in a pixel; it costs no extra field evaluations.

    Cells start occupied and are given up once rays crossed them often enough without seeing anything there; cells no
    ray has sampled keep their value. One layer of neighbours stays occupied, so that a surface can move back.

    Args:
        box: cells outside are never occupied.
        cells: per axis.
        start: visibility of cells before the first sample; the lower, the sooner empty space is given up.
    """

    visibility: Tensor
    """[cells, cells, cells], indexed [x, y, z]: decaying maximum of weights."""
    sampled: Tensor
    """The same shape, boolean: sampled since the last update."""
    occupied: Tensor
    """The same shape, boolean."""

    def __init__(self, box: Box = HEAD_BOX, cells: int = CELLS, start: float = 0.03) -> None:
        super().__init__()
        self.box, self.cells = box, cells
        inside = grid.cells_in_box(box, cells)
        self.register_buffer("visibility", inside * start)
        self.register_buffer("sampled", torch.zeros_like(inside))
        self.register_buffer("occupied", inside)

    @torch.no_grad()
    def mark_unseen(self, world_from_camera: Float[Tensor, "frames 4 4"], camera: Camera) -> None:
        """Rule out the cells that none of these cameras sees."""
        seen = grid.seen_cells(world_from_camera, camera, self.cells)
        self.visibility.mul_(seen)
        self.occupied.logical_and_(seen)

    @torch.no_grad()
    def carve(
        self,
        world_from_camera: Float[Tensor, "frames 4 4"],
        camera: Camera,
        inside: Bool[Tensor, "frames height width"],
        outvoted: float = 0.25,
    ) -> None:
        """Rule out the cells whose centre projects outside the object in more than a share `outvoted` of these pictures.

        `inside` marks the object's pixels generously. Only pictures that show a cell vote on it; cells that fewer than a
        share `outvoted` show are ruled out, since nothing would ever teach the field what is there.
        """
        index = self.occupied.reshape(-1).nonzero()[:, 0]
        centres = grid.cell_centres(index, self.cells)
        outside, votes = (torch.zeros(len(index), device=index.device) for _ in range(2))
        for matrix, mask in zip(world_from_camera, inside, strict=True):
            u, v = project(centres, matrix, camera).floor().long().unbind(-1)
            shown = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
            outside += shown & ~mask[v.clamp(0, camera.height - 1), u.clamp(0, camera.width - 1)]
            votes += shown
        kept = torch.zeros_like(self.occupied)
        kept.view(-1)[index[(outside <= outvoted * votes) & (votes >= outvoted * len(inside))]] = True
        self.keep_only(kept)

    @torch.no_grad()
    def keep_only(self, cells: Bool[Tensor, "cells cells cells"]) -> None:
        """Rule out all other cells."""
        self.visibility.mul_(cells)
        self.occupied.logical_and_(cells)

    @torch.no_grad()
    def observe(self, positions: Float[Tensor, "samples 3"], weights: Float[Tensor, "samples"]) -> None:
        """Take in the composited samples of a training step, padding left out."""
        index = grid.cell_index(positions, self.cells)
        self.visibility.view(-1).scatter_reduce_(0, index, weights.to(self.visibility.dtype), "amax")
        self.sampled.view(-1)[index] = True

    @torch.no_grad()
    def update(self, *, decay: float = 0.8, threshold: float = 0.01) -> None:
        """Let sampled cells fade, and mark again which are occupied.

        Called every 16 steps, the defaults give up empty space after some 80 steps, and a cell that showed half a pixel
        once after 280.
        """
        self.visibility.mul_(torch.where(self.sampled, decay, 1.0))
        self.sampled.zero_()
        self.occupied.logical_and_(grid.dilate(self.visibility > threshold))


def occupied_box(occupied: Bool[Tensor, "cells cells cells"], box: Box = HEAD_BOX) -> Box:
    """The smallest box around the occupied cells, cut to `box`; `box` itself when nothing is occupied."""
    cells, lows, highs = occupied.shape[0], [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        marked = occupied.any(dim=others[1]).any(dim=others[0]).nonzero()[:, 0]
        if len(marked) == 0:
            return box
        lows.append(max(box[axis], int(marked[0]) * 2 / cells - 1))
        highs.append(min(box[axis + 3], (int(marked[-1]) + 1) * 2 / cells - 1))
    return (lows[0], lows[1], lows[2], highs[0], highs[1], highs[2])
