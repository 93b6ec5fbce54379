"""The head of RAD-NeRF (Tang et al., 2022): one 3-D grid for space, one 2-D grid for what the sound does there (SPEC 6.1).

For a point x seen along direction d in a frame with audio a, eye e and appearance code c:

    f = grid(x)                                          32 values of a 3-D grid
    m = tanh(ambient_net(f, a))                          a point of the "ambient" plane
    [h, g] = density_net(f, ambient_grid(m), e)          density exp(h), geometry feature g
    colour = sigmoid(colour_net(harmonics(d), g, c))
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.fields.head import GEOMETRY, HARMONICS, HeadCondition, HeadSamples, SpeechHead, SpeechHeadConfig
from loquent.fields.per_frame import per_sample
from loquent.nn.activations import safe_exponential
from loquent.nn.grid import GridEncoder
from loquent.nn.mlp import Mlp
from loquent.ops.directions import spherical_harmonics
from loquent.ops.grid_encode import GridLayout


@dataclass(frozen=True)
class RadNerfConfig(SpeechHeadConfig):
    """Sizes of the field; the defaults are the released model's (SPEC 6.1)."""

    audio_width_in: int = 44
    """Values per step of the speech features (condition "audio")."""
    condition_width: int = 64
    """Values of the encoded condition of a frame."""
    has_eye: bool = True
    """Whether the density is told how far the eyes are open."""
    table: Literal["tiled", "hash"] = "tiled"
    """What fine levels of the grids do: wrap around, and in 3-D forget the coordinate z, as released (SPEC 8.2), or hash."""
    levels: int = 16
    """Resolutions of both grids."""
    base: int = 16
    """Coarsest resolution."""
    finest: int = 2048
    """Finest resolution, per unit of `bound`."""
    log2_entries: int = 16
    """Largest table of a level, as a power of two."""
    bound: float = 1.0
    """Half the width of the cube the grid covers, in volume units."""

    def layout(self, dims: int) -> GridLayout:
        """Layout of the grid over space (3) or over the ambient plane (2)."""
        return GridLayout(dims, self.levels, 2, self.base, self.finest, self.log2_entries, self.table)


class RadNerfHead(SpeechHead):
    """The field of a head; see the head of this file."""

    kind: ClassVar[str] = "rad_nerf"
    config: RadNerfConfig

    def __init__(self, config: RadNerfConfig) -> None:
        super().__init__()
        self.config = config
        width = config.condition_width
        self.condition_encoder = config.encoder()
        self.grid = GridEncoder(config.layout(3), config.bound)
        self.ambient_grid = GridEncoder(config.layout(2))
        self.ambient_net = Mlp(self.grid.width + width, 64, 64, 2)
        inputs = self.grid.width + self.ambient_grid.width + config.has_eye * config.eye_width
        self.density_net = Mlp(inputs, 64, 64, 1 + GEOMETRY)
        self.colour_net = Mlp(HARMONICS + GEOMETRY + config.code_width, 64, 3)
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
        """See :meth:`HeadField.forward`; this field estimates no uncertainty. Its measure of sound is |m₁| + |m₂|."""
        hidden, ambient = self._hidden(positions, condition, frame_of_sample)
        code = per_sample(condition.code, frame_of_sample, len(positions))
        colour = self.colour_net(torch.cat([spherical_harmonics(directions), hidden[:, 1:], code], dim=-1))
        return HeadSamples(
            density=safe_exponential(hidden[:, 0]),
            colour=colour.sigmoid(),
            audio_attention=ambient.abs().sum(dim=-1),
            eye_attention=torch.zeros_like(hidden[:, 0]),
            uncertainty=None,
        )

    def density(
        self,
        positions: Float[Tensor, "samples 3"],
        condition: HeadCondition,
        frame_of_sample: Int[Tensor, "samples"] | None = None,
    ) -> Float[Tensor, "samples"]:
        """See :meth:`HeadField.density`."""
        return safe_exponential(self._hidden(positions, condition, frame_of_sample)[0][:, 0])

    def ambient(
        self, features: Float[Tensor, "samples width"], audio: Float[Tensor, "samples condition_width"]
    ) -> Float[Tensor, "samples 2"]:
        """Where on the ambient plane the sound moves points with these grid features, within ±1."""
        plane: Tensor = self.ambient_net(torch.cat([features, audio], dim=-1)).tanh()
        return plane

    def _hidden(
        self, positions: Tensor, condition: HeadCondition, frame_of_sample: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Output of the density net [samples, 65], and the ambient coordinates [samples, 2]."""
        features = self.grid(positions)
        ambient = self.ambient(features, per_sample(condition.audio, frame_of_sample, len(positions)))
        inputs = [features, self.ambient_grid(ambient)]
        if self.config.has_eye:
            inputs.append(per_sample(condition.eye, frame_of_sample, len(positions)))
        return self.density_net(torch.cat(inputs, dim=-1)), ambient

    def parameter_groups(self, lr: float = 5e-3, lr_net: float = 5e-4) -> list[dict[str, Any]]:
        """Optimiser groups of SPEC 6.1: `lr` for tables, `lr_net` for networks, five times that for audio attention."""
        tables = [self.grid.table, self.ambient_grid.table]
        return self._optimiser_groups(tables, lr, lr_net, attention=self._attention_over_time())
