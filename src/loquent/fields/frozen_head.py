"""The head of one frame, folded for rendering: the same numbers as `ErNerfHead`, with less arithmetic and no gradients.

What a frame fixes is worked into the matrices beforehand:

* audio ⊙ attention is linear in the attention's hidden layer, so both fold into one 64 x 64 matrix;
* the first layers of both attentions read the same plane features: one product;
* the last layers merge (`folded_output.py`).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.fields.er_nerf import ErNerfHead
from loquent.fields.folded_output import FoldedOutput
from loquent.fields.head import HeadCondition
from loquent.nn.activations import bounded_colour

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

            audio = (from_audio * condition.audio) @ attention_out
            self._n_attention = len(attention_in)
            self._n_conditioned = self._n_attention + head.config.eye_width
            self._gates_in = torch.cat([attention_in, eye_in])
            self._eye_out = eye_out.clone()
            self._density_in = from_features.clone()
            self._conditioned = torch.cat([audio, from_eye * condition.eye], dim=1)
            self._density_hidden = density_hidden.clone()
            self._output = FoldedOutput(density_out, colour_in, colour_out, condition.code)

    @torch.inference_mode()
    def __call__(
        self,
        positions: Float[Tensor, "samples 3"],
        directions: Float[Tensor, "rays 3"],
        ray_ids: Int[Tensor, "samples"],
    ) -> tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]]:
        """Density and colour of samples; arguments as in :meth:`ErNerfHead.forward`, with directions once per ray."""
        density = positions.new_empty(len(positions))
        colour = positions.new_empty(len(positions), 3)
        for first in range(0, len(positions), BLOCK):
            block = slice(first, first + BLOCK)
            hidden = self._density_features(positions[block])
            log_density, shade = self._output(hidden, directions, ray_ids[block])
            torch.exp(log_density, out=density[block])
            colour[block] = bounded_colour(shade)
        return density, colour

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
