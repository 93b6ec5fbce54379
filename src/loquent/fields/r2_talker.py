"""The head of R2-Talker (Ye et al., 2023): a 3-D grid, and a density network tuned to each frame by landmarks (SPEC 7.3).

For a point x seen along direction d in a frame with landmarks p, eye e and appearance code c:

    h = landmark_grid(p)                                 all landmarks of five frames, one row per frame
    (β₁, γ₁), (β₂, γ₂) = style_nets(h)                   once per frame
    f = grid(x)                                          64 values of a 3-D grid
    z₁ = relu((1 + γ₁) W₁ [f, e] + β₁)
    z₂ = relu((1 + γ₂) W₂ z₁ + β₂)
    [h, g] = W₃ z₂                                       density exp(h), geometry feature g
    colour = sigmoid(colour_net(harmonics(d), g, c))

Scales and shifts belong to a frame, so :class:`FoldedR2Talker` works them into W₁ and W₂: conditioning then costs nothing
per sample.

The paper's title names a progressive optimisation that neither its abstract nor the released code describes. Ours weights the
levels of f while it trains (:func:`level_weights`), coarse ones first; the landmarks' grid is never masked.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.fields.folded_output import FoldedOutput
from loquent.fields.head import GEOMETRY, HARMONICS, HeadCondition, HeadConfig, HeadField, HeadSamples
from loquent.fields.per_frame import per_sample
from loquent.nn.activations import safe_exponential
from loquent.nn.grid import GridEncoder
from loquent.nn.landmarks import LandmarkEncoder
from loquent.nn.mlp import Mlp
from loquent.ops.directions import spherical_harmonics
from loquent.ops.grid_encode import GridLayout

_WIDTH = 64
"""Of the density net's hidden layers."""
_FIRST_LEVELS = 4
"""Levels of the grid over space that progressive optimisation shows from the start."""


@dataclass(frozen=True)
class R2TalkerConfig(HeadConfig):
    """Sizes of the field; the defaults are the released model's (SPEC 7.3)."""

    condition: Literal["landmarks"] = "landmarks"
    """Landmarks move this face."""
    n_landmarks: int = 68
    """Landmarks of a frame."""
    window: int = 5
    """Frames whose landmarks are the condition of the middle one."""
    has_eye: bool = False
    """Whether the density is told how far the eyes are open."""
    table: Literal["tiled", "hash"] = "tiled"
    """What fine levels of the grids do: wrap around and forget the coordinate z, as released (SPEC 8.2), or hash."""
    levels: int = 16
    """Resolutions of both grids."""
    features: int = 4
    """Values per entry of the grid over space; the landmarks' has 2."""
    base: int = 32
    """Coarsest resolution."""
    finest: int = 2048
    """Finest resolution of the grid over space, per unit of `bound`."""
    landmark_finest: int = 2048
    """Finest resolution of the landmarks' grid."""
    log2_entries: int = 16
    """Largest table of a level, as a power of two."""
    bound: float = 1.0
    """Half the width of the cube the grid over space covers, in volume units."""

    @property
    def space(self) -> GridLayout:
        """Layout of the grid over space."""
        return GridLayout(3, self.levels, self.features, self.base, self.finest, self.log2_entries, self.table)

    @property
    def landmarks(self) -> GridLayout:
        """Layout of the landmarks' grid."""
        return GridLayout(3, self.levels, 2, self.base, self.landmark_finest, self.log2_entries, self.table)


def level_weights(levels: int, share: float) -> Float[Tensor, "levels"]:
    """How much of each level progressive optimisation shows after `share` of its time, 0 to 1 (SPEC 7.4).

    Level l has the weight ½(1 - cos π·clip(α - l, 0, 1)), with α rising from 4 to the number of levels.
    """
    first = min(_FIRST_LEVELS, levels)
    alpha = first + (levels - first) * min(max(share, 0.0), 1.0)
    return 0.5 * (1 - torch.cos(math.pi * (alpha - torch.arange(levels)).clamp(0, 1)))


class R2TalkerHead(HeadField):
    """The field of a head; see the head of this file."""

    kind: ClassVar[str] = "r2_talker"
    config: R2TalkerConfig
    level_weights: Tensor
    """What each level of the grid over space is multiplied by [levels]."""

    def __init__(self, config: R2TalkerConfig) -> None:
        super().__init__()
        self.config = config
        self.landmark_encoder = LandmarkEncoder(config.landmarks)
        width = config.window * config.n_landmarks * self.landmark_encoder.grid.width
        self.style_nets = nn.ModuleList(Mlp(width, 128, 128, 2 * _WIDTH) for _ in range(2))
        self.grid = GridEncoder(config.space, config.bound)
        self.density_net = Mlp(self.grid.width + config.has_eye * config.eye_width, _WIDTH, _WIDTH, 1 + GEOMETRY)
        self.colour_net = Mlp(HARMONICS + GEOMETRY + config.code_width, 64, 3)
        self.codes = nn.Parameter(torch.randn(config.n_codes, config.code_width) * 0.1)
        # Belongs to a moment of training, not to the model: a field that is made or loaded has all its levels.
        self.register_buffer("level_weights", torch.ones(config.levels), persistent=False)

    def encode(self, inputs: Float[Tensor, "frames ..."]) -> Float[Tensor, "frames condition_width"]:
        """See :meth:`HeadField.encode`: features of all landmarks of each window."""
        encoded: Tensor = self.landmark_encoder(inputs)
        return encoded

    def styles(
        self, encoded: Float[Tensor, "frames condition_width"]
    ) -> tuple[Float[Tensor, "frames layers hidden"], Float[Tensor, "frames layers hidden"]]:
        """Shifts β and scales γ of each hidden layer of the density net."""
        values = torch.stack([net(encoded) for net in self.style_nets], dim=1)
        return values[..., :_WIDTH], values[..., _WIDTH:]

    def forward(
        self,
        positions: Float[Tensor, "samples 3"],
        directions: Float[Tensor, "samples 3"],
        condition: HeadCondition,
        frame_of_sample: Int[Tensor, "samples"] | None = None,
        *,
        with_uncertainty: bool = True,
    ) -> HeadSamples:
        """See :meth:`HeadField.forward`; this field estimates no uncertainty and has no attention."""
        hidden = self._hidden(positions, condition, frame_of_sample)
        code = per_sample(condition.code, frame_of_sample, len(positions))
        colour = self.colour_net(torch.cat([spherical_harmonics(directions), hidden[:, 1:], code], dim=-1))
        nothing = torch.zeros_like(hidden[:, 0])
        return HeadSamples(safe_exponential(hidden[:, 0]), colour.sigmoid(), nothing, nothing, uncertainty=None)

    def density(
        self,
        positions: Float[Tensor, "samples 3"],
        condition: HeadCondition,
        frame_of_sample: Int[Tensor, "samples"] | None = None,
    ) -> Float[Tensor, "samples"]:
        """See :meth:`HeadField.density`."""
        return safe_exponential(self._hidden(positions, condition, frame_of_sample)[:, 0])

    def reveal(self, share: float) -> None:
        """See :meth:`HeadField.reveal`: weight the levels of the grid over space."""
        self.level_weights.copy_(level_weights(self.config.levels, share))

    def weight_of_features(self) -> Float[Tensor, "features"]:
        """What each feature of a position is multiplied by: its level's weight."""
        return self.level_weights.repeat_interleave(self.config.features)

    def _hidden(self, positions: Tensor, condition: HeadCondition, frame_of_sample: Tensor | None) -> Tensor:
        """Output of the density net [samples, 65]."""
        values: Tensor = self.grid(positions) * self.weight_of_features()
        if self.config.has_eye:
            values = torch.cat([values, per_sample(condition.eye, frame_of_sample, len(positions))], dim=-1)
        *hidden_layers, last = self.density_net.weights
        for weight, shift, scale in zip(
            hidden_layers, *(part.unbind(1) for part in self.styles(condition.audio)), strict=True
        ):
            tuned = per_sample(torch.cat([shift, 1 + scale], dim=-1), frame_of_sample, len(positions))
            values = (tuned[:, _WIDTH:] * (values @ weight.t()) + tuned[:, :_WIDTH]).relu()
        return values @ last.t()

    def parameter_groups(self, lr: float = 5e-3, lr_net: float = 5e-4) -> list[dict[str, Any]]:
        """Optimiser groups of SPEC 7.3: `lr` for tables, `lr_net` for networks."""
        return self._optimiser_groups([self.grid.table, self.landmark_encoder.grid.table], lr, lr_net)


class FoldedR2Talker:
    """The field under the condition of one frame: scales and shifts, eye and code are worked into the weights."""

    def __init__(self, head: R2TalkerHead, condition: HeadCondition) -> None:
        """Fold `condition`, of one frame, into the weights of `head`; later changes of the head are not seen."""
        assert len(condition.audio) == 1, "a folded head shows one frame"
        with torch.inference_mode():
            self._grid = head.grid
            first, second, last = head.density_net.weights
            shifts, scales = (part[0] for part in head.styles(condition.audio))
            first, second = (
                (1 + scale)[:, None] * weight for scale, weight in zip(scales, (first, second), strict=True)
            )
            from_eye = first[:, head.grid.width :] @ condition.eye[0] if head.config.has_eye else 0.0
            self._first = first[:, : head.grid.width] * head.weight_of_features()
            self._first_bias = shifts[0] + from_eye
            self._second, self._second_bias = second, shifts[1].clone()
            colour_in, colour_out = head.colour_net.weights
            self._output = FoldedOutput(last, colour_in, colour_out, condition.code)

    @torch.inference_mode()
    def __call__(
        self,
        positions: Float[Tensor, "samples 3"],
        directions: Float[Tensor, "rays 3"],
        ray_ids: Int[Tensor, "samples"],
    ) -> tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]:
        """Density and colour of samples."""
        features: Tensor = self._grid(positions)
        hidden = torch.addmm(self._first_bias, features, self._first.t()).relu_()
        hidden = torch.addmm(self._second_bias, hidden, self._second.t()).relu_()
        log_density, shade = self._output(hidden, directions, ray_ids)
        return log_density.exp(), shade.sigmoid()
