"""The head of AD-NeRF (Guo et al., ICCV 2021): NeRF's deep networks, told the sound, asked where a coarse one saw something.

For a point x (in metres) seen along direction d in a frame with audio a (SPEC 6.2):

    h = trunk(frequencies(x), a)                         8 layers of 256, the input once more at the sixth
    density = relu(density_layer(h))                     per metre
    colour = sigmoid(view_net(h, frequencies(d)))        3 layers of 128 before the last

There are two such networks. The coarse one is asked at places spread evenly along a ray; more places are drawn where its
samples had weight, and at all of them the fine one is asked, whose samples make the picture. Light that passes the last
sample shows what is behind the head. Both networks are trained by the picture they make.

What we leave out: a linear layer that the original allocates and never uses, and its attention over time looking at half of the
channels only. Places are measured from each ray's own origin, not from the mean distance of all cameras, and where a place lies
outside the head's box there is nothing, unasked.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from loquent.fields.head import (
    HeadCondition,
    HeadSamples,
    PlacedSamples,
    PlacingHead,
    SpeechHead,
    SpeechHeadConfig,
    per_sample,
)
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


@dataclass(frozen=True)
class AdNerfConfig(SpeechHeadConfig):
    """Sizes of the field; the defaults are the original's (SPEC 6.2)."""

    condition_width: int = 64
    """Values of the encoded condition of a frame."""
    code_width: int = dataclasses.field(default=0, metadata={"least": 0})
    """Values of an appearance code; the original has none."""
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

    def __init__(self, config: AdNerfConfig) -> None:
        super().__init__()
        positions, directions = (3 * (1 + 2 * octaves) for octaves in (_POSITION_OCTAVES, _DIRECTION_OCTAVES))
        half = max(config.hidden // 2, 1)
        self.trunk = SkipMlp(positions + config.condition_width, config.hidden, config.layers)
        self.density_layer = nn.Linear(config.hidden, 1)
        self.view_net = SkipMlp(config.hidden + directions + config.code_width, half, _VIEW_LAYERS)
        self.colour_layer = nn.Linear(half, 3)

    def forward(
        self,
        positions: Float[Tensor, "samples 3"],
        directions: Float[Tensor, "samples 3"],
        audio: Float[Tensor, "samples condition_width"],
        code: Float[Tensor, "samples code_width"],
    ) -> tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]:
        """Density per volume unit and colour of samples, block after block."""
        blocks = zip(*(torch.split(values, BLOCK) for values in (positions, directions, audio, code)), strict=True)
        density, colour = zip(*(self._block(*block) for block in blocks), strict=True)
        return torch.cat(density), torch.cat(colour)

    def density(
        self, positions: Float[Tensor, "samples 3"], audio: Float[Tensor, "samples condition_width"]
    ) -> Float[Tensor, "samples"]:
        """Density per volume unit."""
        return self._density(self._hidden(positions, audio))

    def _block(
        self, positions: Tensor, directions: Tensor, audio: Tensor, code: Tensor
    ) -> tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]:
        hidden = self._hidden(positions, audio)
        seen_from = frequency_encode(directions, _DIRECTION_OCTAVES)
        shade = self.colour_layer(self.view_net(torch.cat([hidden, seen_from, code], dim=-1)))
        return self._density(hidden), shade.sigmoid()

    def _hidden(self, positions: Tensor, audio: Tensor) -> Tensor:
        encoded = frequency_encode(positions / VOLUME_UNITS_PER_METRE, _POSITION_OCTAVES)
        hidden: Tensor = self.trunk(torch.cat([encoded, audio], dim=-1))
        return hidden

    def _density(self, hidden: Tensor) -> Tensor:
        per_metre: Tensor = self.density_layer(hidden)[:, 0].relu()
        return per_metre / VOLUME_UNITS_PER_METRE


class AdNerfHead(SpeechHead, PlacingHead):
    """The field of a head; see the head of this file. It is not told of eyes."""

    kind: ClassVar[str] = "ad_nerf"
    config: AdNerfConfig

    def __init__(self, config: AdNerfConfig) -> None:
        super().__init__()
        self.config = config
        self.condition_encoder = config.encoder()
        self.coarse = ConditionedNerf(config)
        self.fine = ConditionedNerf(config)
        self.codes = nn.Parameter(torch.randn(config.n_codes, config.code_width) * 0.1)

    def forward(
        self,
        positions: Float[Tensor, "samples 3"],
        directions: Float[Tensor, "samples 3"],
        condition: HeadCondition,
        frame_of_sample: Int[Tensor, "samples"] | None = None,
        *,
        with_uncertainty: bool = True,
    ) -> HeadSamples:
        """See :meth:`HeadField.forward`: what the fine network says; it estimates no uncertainty and has no attention."""
        density, colour = self._ask(self.fine, positions, directions, condition, frame_of_sample)
        nothing = torch.zeros_like(density)
        return HeadSamples(density, colour, nothing, nothing, uncertainty=None)

    def density(
        self,
        positions: Float[Tensor, "samples 3"],
        condition: HeadCondition,
        frame_of_sample: Int[Tensor, "samples"] | None = None,
    ) -> Float[Tensor, "samples"]:
        """See :meth:`HeadField.density`: the fine network's."""
        return self.fine.density(positions, per_sample(condition.audio, frame_of_sample, len(positions)))

    def place(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        condition: HeadCondition,
        box: Box,
        frame_of_ray: Int[Tensor, "rays"] | None = None,
        noise: torch.Generator | None = None,
    ) -> PlacedSamples:
        """See :meth:`PlacingHead.place`: even places, and those drawn where the coarse network saw something."""
        config = self.config
        centre = origins.norm(dim=-1)
        near = (centre - config.near_m * VOLUME_UNITS_PER_METRE).clamp(min=_MIN_NEAR)
        far = centre + config.far_m * VOLUME_UNITS_PER_METRE
        even = near[:, None] + (far - near)[:, None] * even_places(len(origins), config.n_coarse, near, noise)
        samples, asked = _samples_at(origins, directions, even, box)
        frames = None if frame_of_ray is None else frame_of_ray[samples.ray_ids]
        density, colour = self._ask(self.coarse, samples.positions, directions[samples.ray_ids], condition, frames)
        seen = composite(density, colour, samples.steps, samples.ray_starts)
        with torch.no_grad():
            weights = torch.zeros_like(even[:, :-1]).masked_scatter_(asked, seen.weights)
            middles = (even[:, 1:] + even[:, :-1]) / 2
            drawn = draw_places(middles, weights[:, 1:] + _LEAST_WEIGHT, config.n_fine, noise)
            every = torch.cat([even, drawn], dim=1).sort(dim=1).values
        return PlacedSamples(_samples_at(origins, directions, every, box)[0], seen.pixels, seen.opacity)

    def parameter_groups(self, lr: float = 5e-4, lr_net: float = 5e-4) -> list[dict[str, Any]]:
        """Optimiser groups of SPEC 6.2: `lr_net` for networks, five times that for audio attention; there are no tables."""
        return self._optimiser_groups([], lr, lr_net, attention=self._attention_over_time())

    def _ask(
        self,
        network: ConditionedNerf,
        positions: Tensor,
        directions: Tensor,
        condition: HeadCondition,
        frame_of_sample: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        audio, code = (per_sample(rows, frame_of_sample, len(positions)) for rows in (condition.audio, condition.code))
        density, colour = network(positions, directions, audio, code)
        return density, colour


def even_places(
    n_rays: int, n_places: int, like: Tensor, noise: torch.Generator | None = None
) -> Float[Tensor, "rays places"]:
    """Places from 0 to 1 at equal distances; with `noise`, each anywhere halfway to its neighbours (NeRF, eq. 2)."""
    even = torch.linspace(0, 1, n_places, dtype=like.dtype, device=like.device).expand(n_rays, -1)
    if noise is None:
        return even
    middles = (even[:, 1:] + even[:, :-1]) / 2
    low, high = torch.cat([even[:, :1], middles], dim=1), torch.cat([middles, even[:, -1:]], dim=1)
    return low + (high - low) * torch.rand(even.shape, generator=noise, dtype=like.dtype, device=like.device)


def draw_places(
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
def _samples_at(origins: Tensor, directions: Tensor, t: Tensor, box: Box) -> tuple[RaySamples, Tensor]:
    """Samples at distances `t` [rays, places] that lie in the box, each up to the next distance; and which do.

    The last place only ends the last sample: what light is left there goes to whatever is behind the head.
    """
    positions = origins[:, None] + t[:, :-1, None] * directions[:, None]
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
