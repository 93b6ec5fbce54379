"""The multilayer perceptron of every field: no biases, ReLU between layers, nothing after the last (SPEC 2.4)."""

import itertools

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
