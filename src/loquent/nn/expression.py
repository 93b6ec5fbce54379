"""From tracked or predicted expression coefficients to the condition of a frame."""

from jaxtyping import Float
from torch import Tensor, nn


class ExpressionEncoder(nn.Module):
    """Coefficients of a frame to a condition as wide as the audio one, which it replaces in the `quick` preset.

    A field learns lips much faster from coefficients measured on the picture than from sound; sound is then mapped to
    coefficients by a regression of its own.
    """

    def __init__(self, width_in: int, width_out: int = 32) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width_in, 64), nn.LeakyReLU(0.02), nn.Linear(64, width_out))

    def forward(self, coefficients: Float[Tensor, "frames width_in"]) -> Float[Tensor, "frames width_out"]:
        """The condition of frames with these coefficients, of variance about 1 (`loquent.face.expression`)."""
        encoded: Tensor = self.net(coefficients)
        return encoded
