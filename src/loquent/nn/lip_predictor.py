"""Speech features to expression coefficients: a linear map over a short window of sound."""

from jaxtyping import Float
from torch import Tensor, nn

WINDOW_STEPS = 12
"""Steps of speech features the predictor hears for each frame."""
STEPS_BEFORE = 2
"""How many of them lie before the frame: at 50 Hz it hears from 0.04 s before the frame to 0.2 s after it, because lips
take their shape before the sound comes."""


class LipPredictor(nn.Module):
    """Expression coefficients of a frame from the speech features around it.

    A linear map, because seconds of one person's sound cannot feed more: fitted by ridge regression
    (`loquent.training.lips`), it reaches the correlation that small networks reach on the same clip.
    """

    mean: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        mean: Float[Tensor, "inputs"],
        weight: Float[Tensor, "coefficients inputs"],
        bias: Float[Tensor, "coefficients"],
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, windows: Float[Tensor, "frames width steps"]) -> Float[Tensor, "frames coefficients"]:
        return (windows.flatten(1) - self.mean) @ self.weight.T + self.bias
