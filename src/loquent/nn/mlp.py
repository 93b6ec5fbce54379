"""Multilayer perceptrons: the one of every field over grids, without biases (SPEC 2.4), and NeRF's deep one (SPEC 6.2)."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Mlp(nn.Module):
    """Linear layers without bias, PyTorch's default initialisation."""

    def __init__(self, *widths: int) -> None:
        """`widths` are input, hidden layers and output, e.g. ``Mlp(36, 64, 32)``."""
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(width_in, width_out, bias=False) for width_in, width_out in itertools.pairwise(widths)
        )

    @property
    def weights(self) -> list[Tensor]:
        """One matrix [out, in] per layer, first layer first."""
        return list(self.parameters())

    def forward(self, values: Float[Tensor, "samples width_in"]) -> Float[Tensor, "samples width_out"]:
        """The last layer's output, of any sign."""
        for layer in self.layers[:-1]:
            values = layer(values).relu_()
        output: Tensor = self.layers[-1](values)
        return output


class SkipMlp(nn.ModuleList):
    """NeRF's trunk: layers with biases and a ReLU after each, one of which gets the input once more beside the last values."""

    def __init__(self, width_in: int, width: int = 256, n_layers: int = 8, skip: int = 5) -> None:
        """`skip` counts the layers from 0; with fewer layers none gets the input again."""
        inputs = [width_in, *[width] * (n_layers - 1)]
        super().__init__(
            nn.Linear(before + (width_in if layer == skip else 0), width) for layer, before in enumerate(inputs)
        )
        self.skip = skip

    def forward(self, values: Float[Tensor, "samples width_in"]) -> Float[Tensor, "samples width"]:
        """The last layer's output, not negative."""
        hidden = values
        for i, layer in enumerate(self):
            hidden = layer(torch.cat([values, hidden], dim=-1) if i == self.skip else hidden).relu_()
        return hidden
