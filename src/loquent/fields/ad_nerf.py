"""The head of AD-NeRF (Guo et al., ICCV 2021): two deep networks, told the sound (SPEC 6.2; `conditioned_nerf.py`).

Light that passes the last sample shows what is behind the head. Both networks are trained by the picture they make.

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

from loquent.fields.conditioned_nerf import ConditionedNerf, NerfSizes, place_hierarchically
from loquent.fields.head import HeadCondition, HeadSamples, PlacedSamples, PlacingHead, SpeechHead, SpeechHeadConfig
from loquent.fields.per_frame import per_sample
from loquent.ops.ray_march import Box, RaySamples


@dataclass(frozen=True)
class AdNerfConfig(NerfSizes, SpeechHeadConfig):
    """Sizes of the field; the defaults are the original's (SPEC 6.2)."""

    condition_width: int = 64
    """Values of the encoded condition of a frame."""
    code_width: int = dataclasses.field(default=0, metadata={"least": 0})
    """Values of an appearance code; the original has none."""


class AdNerfHead(SpeechHead, PlacingHead):
    """The field of a head; see the head of this file. It is not told of eyes."""

    kind: ClassVar[str] = "ad_nerf"
    config: AdNerfConfig

    def __init__(self, config: AdNerfConfig) -> None:
        super().__init__()
        self.config = config
        self.condition_encoder = config.encoder()
        self.coarse, self.fine = (ConditionedNerf(config, config.condition_width, config.code_width) for _ in range(2))
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

        def ask(samples: RaySamples) -> tuple[Tensor, Tensor]:
            frames = None if frame_of_ray is None else frame_of_ray[samples.ray_ids]
            return self._ask(self.coarse, samples.positions, directions[samples.ray_ids], condition, frames)

        return place_hierarchically(self.config, ask, origins, directions, box, noise)

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
