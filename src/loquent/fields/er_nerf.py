"""The head of ER-NeRF (Li et al., ICCV 2023): tri-plane features, region attention to sound and eyes, density, colour.

For a point x seen along direction d in a frame with audio a, eyes e and appearance code c (SPEC 2.2 to 2.4):

    f = three plane encodings of x                       36 values
    v = attention(f),  u = sigmoid(eye_attention(f))     which channels of the sound, and whether the eye, matter here
    [h, g] = density_net(f, a ⊙ v, e ⊙ u)                 density exp(h), geometry feature g
    colour = colour_net(harmonics(d), g, c)
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from loquent.fields.head import (
    GEOMETRY,
    HARMONICS,
    HeadCondition,
    HeadSamples,
    SpeechHead,
    SpeechHeadConfig,
)
from loquent.fields.per_frame import per_sample
from loquent.nn.activations import bounded_colour
from loquent.nn.grid import PositionEncoder, TriplaneEncoder
from loquent.nn.mlp import Mlp
from loquent.ops.directions import spherical_harmonics
from loquent.ops.grid_encode import GridLayout

_TABLE_DECAY = 0.01
_ATTENTION_DECAY = 1e-4


@dataclass(frozen=True)
class ErNerfConfig(SpeechHeadConfig):
    """Sizes of the field; the defaults are the released model's (SPEC 2.2 to 2.4)."""

    levels: int = 12
    """Resolutions per plane: 12 as in the released model, 14 as the paper says."""
    base: int = 64
    """Coarsest resolution of a plane."""
    finest: int = 512
    """Finest resolution of a plane."""
    log2_entries: int = 14
    """Largest table of a level, as a power of two."""
    bound: float = 1.0
    """Half the width of the cube the planes cover, in volume units."""

    @property
    def planes(self) -> GridLayout:
        """Layout of each of the three planes; checks the grid's own fields."""
        return GridLayout(2, self.levels, 1, self.base, self.finest, self.log2_entries)

    def position_encoder(self) -> PositionEncoder:
        """A new encoder of positions: the three planes."""
        return TriplaneEncoder(self.planes, self.bound)


class ErNerfHead(SpeechHead):
    """The field of a head; see the head of this file."""

    kind: ClassVar[str] = "er_nerf"
    config: ErNerfConfig

    def __init__(self, config: ErNerfConfig) -> None:
        super().__init__()
        self.config = config
        width = config.condition_width
        self.condition_encoder = config.encoder()
        self.planes = config.position_encoder()
        features = self.planes.width
        self.audio_attention = Mlp(features, 64, width)
        self.eye_attention = Mlp(features, 16, config.eye_width)
        self.density_net = Mlp(features + width + config.eye_width, 64, 64, 1 + GEOMETRY)
        self.colour_net = Mlp(HARMONICS + GEOMETRY + config.code_width, 64, 3)
        self.uncertainty_net = Mlp(features, 32, 1)
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
        """See :meth:`HeadField.forward`; outside [-bound, bound] plane features are zero."""
        features: Tensor = self.planes(positions)
        code = per_sample(condition.code, frame_of_sample, len(positions))
        hidden, attention, eye_attention = self._attend(features, condition, frame_of_sample)
        geometry = hidden[:, 1:]
        colour = self.colour_net(torch.cat([spherical_harmonics(directions), geometry, code], dim=-1))
        uncertainty = None
        if with_uncertainty:
            uncertainty = functional.softplus(self.uncertainty_net(features.detach())[:, 0])
        return HeadSamples(
            density=hidden[:, 0].exp(),
            colour=bounded_colour(colour),
            audio_attention=attention.norm(dim=-1),
            eye_attention=eye_attention.mean(dim=-1),
            uncertainty=uncertainty,
        )

    def density(
        self,
        positions: Float[Tensor, "samples 3"],
        condition: HeadCondition,
        frame_of_sample: Int[Tensor, "samples"] | None = None,
    ) -> Float[Tensor, "samples"]:
        """See :meth:`HeadField.density`."""
        hidden, _, _ = self._attend(self.planes(positions), condition, frame_of_sample)
        return hidden[:, 0].exp()

    def _attend(
        self, features: Tensor, condition: HeadCondition, frame_of_sample: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Output of the density net [samples, 65], audio attention [samples, width], eye attention
        [samples, eye_width]."""
        audio = per_sample(condition.audio, frame_of_sample, len(features))
        eye = per_sample(condition.eye, frame_of_sample, len(features))
        attention = self.audio_attention(features)
        eye_attention = self.eye_attention(features).sigmoid()
        inputs = torch.cat([features, audio * attention, eye * eye_attention], dim=-1)
        return self.density_net(inputs), attention, eye_attention

    def _tables(self) -> list[nn.Parameter]:
        return list(self.planes.parameters())

    def parameter_groups(self, lr: float = 1e-2, lr_net: float = 1e-3) -> list[dict[str, Any]]:
        """Optimiser groups with learning rates and weight decays of SPEC 4.3: `lr` for tables, `lr_net` for networks."""
        return self._optimiser_groups(
            self._tables(),
            lr,
            lr_net,
            name="planes",
            table_decay=_TABLE_DECAY,
            attention=self._attention_over_time(),
            attention_decay=_ATTENTION_DECAY,
        )
