"""The head of one frame, folded for rendering: the same numbers as `ErNerfHead`, with less arithmetic and no gradients.

What a frame fixes is worked into the matrices beforehand:

* audio ⊙ attention is linear in the attention's hidden layer, so both fold into one 64 x 64 matrix;
* the first layers of both attentions read the same plane features: one product;
* nothing is nonlinear between the density net's last layer and the colour net's first: they merge;
* the colour net's share of direction and appearance code is one row per ray, not per sample.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.fields.er_nerf import ErNerfHead
from loquent.fields.head import HeadCondition, bounded_colour
from loquent.ops.directions import spherical_harmonics

BLOCK = 8192
"""Samples that go through all layers before the next are touched: their activations stay in the cache."""


class FrozenHead:
    """Density and colour of samples of one frame; a function of positions and rays."""

    def __init__(self, head: ErNerfHead, condition: HeadCondition) -> None:
        """Fold `condition`, of one frame, into the weights of `head`; later changes of the head are not seen."""
        assert len(condition.audio) == 1, "a frozen head shows one frame"
        with torch.inference_mode():
            self._planes = head.planes
            attention_in, attention_out = head.audio_attention.weights
            eye_in, eye_out = head.eye_attention.weights
            density_in, density_hidden, density_out = head.density_net.weights
            colour_in, colour_out = head.colour_net.weights
            n_features, n_audio = head.planes.width, head.config.condition_width
            from_features, from_audio, from_eye = torch.split(
                density_in, [n_features, n_audio, head.config.eye_width], dim=1
            )
            n_code = head.config.code_width
            n_geometry = len(density_out) - 1
            n_harmonics = colour_in.shape[1] - n_geometry - n_code
            from_direction, from_geometry, from_code = torch.split(colour_in, [n_harmonics, n_geometry, n_code], dim=1)

            audio = (from_audio * condition.audio) @ attention_out
            self._n_attention = len(attention_in)
            self._n_conditioned = self._n_attention + head.config.eye_width
            self._gates_in = torch.cat([attention_in, eye_in])
            self._eye_out = eye_out.clone()
            self._density_in = from_features.clone()
            self._conditioned = torch.cat([audio, from_eye * condition.eye], dim=1)
            self._density_hidden = density_hidden.clone()
            self._density_out = density_out[0].clone()
            self._colour_hidden = from_geometry @ density_out[1:]
            self._colour_out = colour_out.clone()
            self._from_direction = from_direction.clone()
            self._from_code = condition.code @ from_code.t()
        self._rays: tuple[Tensor, Tensor] | None = None

    @torch.inference_mode()
    def __call__(
        self,
        positions: Float[Tensor, "samples 3"],
        directions: Float[Tensor, "rays 3"],
        ray_ids: Int[Tensor, "samples"],
    ) -> tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]:
        """Density and colour of samples; arguments as in :meth:`ErNerfHead.forward`, with directions once per ray."""
        per_ray = self._along(directions)
        density = positions.new_empty(len(positions))
        colour = positions.new_empty(len(positions), 3)
        for first in range(0, len(positions), BLOCK):
            block = slice(first, first + BLOCK)
            hidden = self._density_features(positions[block])
            torch.exp(hidden @ self._density_out, out=density[block])
            shade = per_ray.index_select(0, ray_ids[block]).addmm_(hidden, self._colour_hidden.t()).relu_()
            colour[block] = bounded_colour(shade @ self._colour_out.t())
        return density, colour

    def _along(self, directions: Float[Tensor, "rays 3"]) -> Float[Tensor, "rays 64"]:
        """The colour net's share of each ray's direction, kept while the same rays are asked again and again."""
        if self._rays is None or self._rays[0] is not directions:
            along = torch.addmm(self._from_code, spherical_harmonics(directions), self._from_direction.t())
            self._rays = (directions, along)
        return self._rays[1]

    def _density_features(self, positions: Tensor) -> Tensor:
        """Last hidden layer of the density net [samples, 64]."""
        features: Tensor = self._planes(positions)
        gates = (features @ self._gates_in.t()).relu_()
        eye = (gates[:, self._n_attention :] @ self._eye_out.t()).sigmoid_()
        # Beside the attention's hidden layer: one more product reads both.
        gates[:, self._n_attention : self._n_conditioned] = eye
        hidden = features @ self._density_in.t()
        hidden.addmm_(gates[:, : self._n_conditioned], self._conditioned.t())
        return (hidden.relu_() @ self._density_hidden.t()).relu_()
