"""From 3-D facial landmarks around a frame to the condition of R2-Talker (SPEC 7.3)."""

from jaxtyping import Float
from torch import Tensor, nn

from loquent.nn.grid import GridEncoder
from loquent.ops.grid_encode import GridLayout


class LandmarkEncoder(nn.Module):
    """Each landmark looked up in one hash grid over [-1, 1]³; a landmark outside encodes to zeros."""

    def __init__(self, layout: GridLayout) -> None:
        super().__init__()
        self.grid = GridEncoder(layout)

    def forward(self, landmarks: Float[Tensor, "frames window points 3"]) -> Float[Tensor, "frames width"]:
        """`landmarks[i]` are those of the frames around frame i; the window's frames come first, then points, then values."""
        features: Tensor = self.grid(landmarks.reshape(-1, 3))
        return features.reshape(len(landmarks), -1)
