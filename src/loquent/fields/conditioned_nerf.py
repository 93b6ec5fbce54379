"""The deep networks of AD-NeRF's head and torso, and where along a ray they are asked (SPEC 6.2; NeRF, section 5.2).

For a point x (in metres) seen along direction d in a frame whose condition is a:

    h = trunk(frequencies(x), a)                         8 layers of 256, the input once more at the sixth
    density = relu(density_layer(h))                     per metre
    colour = sigmoid(view_net(h, frequencies(d)))        3 layers of 128 before the last

There are two such networks. The coarse one is asked at places spread evenly along a ray; more places are drawn where its
samples had weight, and at all of them the fine one is asked, whose samples make the picture.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from loquent.fields.head import PlacedSamples
from loquent.geometry.cameras import VOLUME_UNITS_PER_METRE
from loquent.nn.mlp import SkipMlp
from loquent.ops.composite import composite
from loquent.ops.directions import frequency_encode
from loquent.ops.ray_march import Box, RaySamples

BLOCK = 1024
"""Samples that go through a network at once: their inner values stay in the cache. Training keeps some 14 kB of each."""
_POSITION_OCTAVES, _DIRECTION_OCTAVES = 10, 4
_VIEW_LAYERS = 3
_LEAST_WEIGHT = 1e-5
"""Added to every coarse weight, so that some places are drawn where nothing was seen (NeRF's code)."""
_MIN_NEAR = 0.05

Ask = Callable[[RaySamples], tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]]
"""From samples to a network's density and colour."""


@dataclass(frozen=True)
class NerfSizes:
    """Sizes of the networks and their rays; the defaults are the original's (SPEC 6.2)."""

    layers: int = 8
    """Layers of a trunk."""
    hidden: int = 256
    """Values of its layers; those of the view network have half as many."""
    n_coarse: int = dataclasses.field(default=64, metadata={"least": 3})
    """Places of a ray at which the coarse network is asked."""
    n_fine: int = 128
    """Further places, drawn where the coarse network saw something."""
    near_m: float = 0.2
    """How far before the head's centre rays begin, in metres."""
    far_m: float = 0.4
    """How far behind it they end."""


class ConditionedNerf(nn.Module):
    """One of the two networks; see the head of this file."""

    def __init__(self, sizes: NerfSizes, condition_width: int, code_width: int) -> None:
        super().__init__()
        positions, directions = (3 * (1 + 2 * octaves) for octaves in (_POSITION_OCTAVES, _DIRECTION_OCTAVES))
        half = max(sizes.hidden // 2, 1)
        self.trunk = SkipMlp(positions + condition_width, sizes.hidden, sizes.layers)
        self.density_layer = nn.Linear(sizes.hidden, 1)
        self.view_net = SkipMlp(sizes.hidden + directions + code_width, half, _VIEW_LAYERS)
        self.colour_layer = nn.Linear(half, 3)

    def forward(
        self,
        positions: Float[Tensor, "samples 3"],
        directions: Float[Tensor, "samples 3"],
        condition: Float[Tensor, "samples condition_width"],
        code: Float[Tensor, "samples code_width"],
    ) -> tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]:
        """Density per volume unit and colour of samples, block after block."""
        blocks = zip(*(torch.split(values, BLOCK) for values in (positions, directions, condition, code)), strict=True)
        density, colour = zip(*(self._block(*block) for block in blocks), strict=True)
        return torch.cat(density), torch.cat(colour)

    def density(
        self, positions: Float[Tensor, "samples 3"], condition: Float[Tensor, "samples condition_width"]
    ) -> Float[Tensor, "samples"]:
        """Density per volume unit."""
        return self._density(self._hidden(positions, condition))

    def _block(
        self, positions: Tensor, directions: Tensor, condition: Tensor, code: Tensor
    ) -> tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]:
        hidden = self._hidden(positions, condition)
        seen_from = frequency_encode(directions, _DIRECTION_OCTAVES)
        shade = self.colour_layer(self.view_net(torch.cat([hidden, seen_from, code], dim=-1)))
        return self._density(hidden), shade.sigmoid()

    def _hidden(self, positions: Tensor, condition: Tensor) -> Tensor:
        encoded = frequency_encode(positions / VOLUME_UNITS_PER_METRE, _POSITION_OCTAVES)
        hidden: Tensor = self.trunk(torch.cat([encoded, condition], dim=-1))
        return hidden

    def _density(self, hidden: Tensor) -> Tensor:
        per_metre: Tensor = self.density_layer(hidden)[:, 0].relu()
        return per_metre / VOLUME_UNITS_PER_METRE


def place_hierarchically(
    sizes: NerfSizes,
    ask: Ask,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    box: Box | None = None,
    noise: torch.Generator | None = None,
) -> PlacedSamples:
    """Where the fine network is to be asked: at even places of each ray, and at those drawn where the coarse one saw something.

    Args:
        sizes: how many places there are, and from where to where.
        ask: the coarse network.
        origins: camera centres, volume frame.
        directions: unit vectors.
        box: outside it nothing is asked; None = everywhere.
        noise: of the places, while training; None = evenly, as for pictures.
    """
    centre = origins.norm(dim=-1)
    near = (centre - sizes.near_m * VOLUME_UNITS_PER_METRE).clamp(min=_MIN_NEAR)
    far = centre + sizes.far_m * VOLUME_UNITS_PER_METRE
    even = near[:, None] + (far - near)[:, None] * stratified_depths(len(origins), sizes.n_coarse, near, noise)
    samples, asked = _samples_at(origins, directions, even, box)
    density, colour = ask(samples)
    seen = composite(density, colour, samples.steps, samples.ray_starts)
    with torch.no_grad():
        weights = torch.zeros_like(even[:, :-1]).masked_scatter_(asked, seen.weights)
        middles = (even[:, 1:] + even[:, :-1]) / 2
        drawn = importance_depths(middles, weights[:, 1:] + _LEAST_WEIGHT, sizes.n_fine, noise)
        every = torch.cat([even, drawn], dim=1).sort(dim=1).values
    return PlacedSamples(_samples_at(origins, directions, every, box)[0], seen.pixels, seen.opacity)


def stratified_depths(
    n_rays: int, n_places: int, like: Tensor, noise: torch.Generator | None = None
) -> Float[Tensor, "rays places"]:
    """Places from 0 to 1 at equal distances; with `noise`, each anywhere halfway to its neighbours (NeRF, eq. 2)."""
    even = torch.linspace(0, 1, n_places, dtype=like.dtype, device=like.device).expand(n_rays, -1)
    if noise is None:
        return even
    middles = (even[:, 1:] + even[:, :-1]) / 2
    low, high = torch.cat([even[:, :1], middles], dim=1), torch.cat([middles, even[:, -1:]], dim=1)
    return low + (high - low) * torch.rand(even.shape, generator=noise, dtype=like.dtype, device=like.device)


def importance_depths(
    edges: Float[Tensor, "rays edges"],
    weights: Float[Tensor, "rays bins"],
    n_places: int,
    noise: torch.Generator | None = None,
) -> Float[Tensor, "rays places"]:
    """Places drawn from a density that is constant between edges (NeRF, section 5.2).

    Args:
        edges: ascending, one more than there are bins.
        weights: positive; a bin's share of them is its share of the places.
        n_places: how many a ray gets.
        noise: draws them at random; None = at equal steps of the distribution, in ascending order.
    """
    share = weights / weights.sum(dim=1, keepdim=True)
    reached = functional.pad(share.cumsum(dim=1), (1, 0))
    if noise is None:
        levels = torch.linspace(0, 1, n_places, dtype=edges.dtype, device=edges.device).expand(len(edges), -1)
    else:
        levels = torch.rand(len(edges), n_places, generator=noise, dtype=edges.dtype, device=edges.device)
    bins = torch.searchsorted(reached[:, 1:-1].contiguous(), levels.contiguous(), right=True)
    within = ((levels - reached.gather(1, bins)) / share.gather(1, bins)).clamp(0, 1)
    low = edges.gather(1, bins)
    return low + within * (edges.gather(1, bins + 1) - low)


@torch.no_grad()
def _samples_at(origins: Tensor, directions: Tensor, t: Tensor, box: Box | None) -> tuple[RaySamples, Tensor]:
    """Samples at distances `t` [rays, places] that lie in the box, each up to the next distance; and which do.

    The last place only ends the last sample: what light is left there goes to whatever is behind.
    """
    positions = origins[:, None] + t[:, :-1, None] * directions[:, None]
    inside = torch.ones_like(positions[..., 0], dtype=torch.bool)
    if box is not None:
        low, high = t.new_tensor(box[:3]), t.new_tensor(box[3:])
        inside = ((positions >= low) & (positions <= high)).all(dim=-1)
    samples = RaySamples(
        positions=positions[inside],
        t=t[:, 1:][inside],
        steps=t.diff(dim=1)[inside],
        ray_ids=inside.nonzero()[:, 0],
        ray_starts=functional.pad(inside.sum(dim=1).cumsum(0), (1, 0)),
        near=t[:, 0].contiguous(),
        far=t[:, -1].contiguous(),
    )
    return samples, inside
