"""The torso layer: a field asked only for pixels where its 2-D occupancy says there is something (SPEC 3.1)."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

CELLS = 128

TorsoFunction = Callable[[Float[Tensor, "pixels 2"]], tuple[Float[Tensor, "pixels"], Float[Tensor, "pixels 3"]]]
"""From picture-plane coordinates (row, column) in [-1, 1] to alpha and colour, under one head pose."""


class TorsoOccupancy(nn.Module):
    """A decaying maximum of the torso's alpha over the picture plane (SPEC 3.1)."""

    alpha: Tensor
    """[cells, cells], indexed [row, column]."""

    def __init__(self, cells: int = CELLS) -> None:
        super().__init__()
        self.cells = cells
        self.register_buffer("alpha", torch.ones(cells, cells))

    @torch.no_grad()
    def update(self, torso: TorsoFunction, *, generator: torch.Generator, decay: float = 0.95) -> None:
        """Ask the field once in every cell, under a pose and code that the caller draws anew for each update."""
        axis = (torch.arange(self.cells, device=self.alpha.device) * 2 + 1 - self.cells) / self.cells
        centres = torch.cartesian_prod(axis, axis)
        noise = torch.rand(len(centres), 2, generator=generator, device=generator.device).to(centres.device)
        fresh = torso(centres + (noise * 2 - 1) / self.cells)[0].view(1, self.cells, self.cells)
        fresh = functional.max_pool2d(fresh, kernel_size=5, stride=1, padding=2)[0]
        self.alpha.copy_(torch.maximum(self.alpha * decay, fresh))

    @torch.no_grad()
    def clear(self) -> None:
        """Nothing shows the torso, until :meth:`mark` says where."""
        self.alpha.zero_()

    @torch.no_grad()
    def mark(self, coordinates: Float[Tensor, "pixels 2"]) -> None:
        """The torso was seen at these (row, column), so it may show there and close by."""
        cells = ((coordinates.clamp(-1, 1) + 1) * ((self.cells - 1) / 2)).round().long()
        seen = torch.zeros_like(self.alpha)
        seen[cells[:, 0], cells[:, 1]] = 1
        near = functional.max_pool2d(seen[None], kernel_size=5, stride=1, padding=2)[0]
        self.alpha.copy_(torch.maximum(self.alpha, near))

    @torch.no_grad()
    def is_occupied(self, coordinates: Float[Tensor, "pixels 2"], threshold: float = 0.01) -> Bool[Tensor, "pixels"]:
        """Whether pixels may show the torso; `coordinates` are (row, column), those beyond [-1, 1] as at the border."""
        where = coordinates.clamp(-1, 1).flip(-1)[None, None]  # grid_sample wants the last axis first
        value = functional.grid_sample(self.alpha[None, None], where, align_corners=True)[0, 0, 0]
        return value > self.alpha.mean().clamp(max=threshold)


def render_torso(
    torso: TorsoFunction, coordinates: Float[Tensor, "pixels 2"], occupancy: TorsoOccupancy | None = None
) -> tuple[Float[Tensor, "pixels"], Float[Tensor, "pixels 3"]]:
    """Alpha and colour of pixels; both 0 where nothing is occupied. Differentiable."""
    if occupancy is None:
        return torso(coordinates)
    index = occupancy.is_occupied(coordinates).nonzero()[:, 0]
    some_alpha, some_colour = torso(coordinates[index])
    alpha = some_alpha.new_zeros(len(coordinates)).index_put((index,), some_alpha)
    return alpha, some_colour.new_zeros(len(coordinates), 3).index_put((index,), some_colour)
