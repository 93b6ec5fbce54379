"""What the torsos of ER-NeRF and RAD-NeRF share: a deformed field of the picture plane that follows the head (SPEC 3).

For a pixel p = (row, column) in [-1, 1]² and the pose of a frame:

    x = encode(0.8 p)                                                 frequency-encoded
    Δ = deform_net(x, pose, code)                                     `pose` as the method encodes it
    [a, c] = torso_net(grid(clamp(0.8 p + Δ)), x, pose, code)         alpha and colour
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.fields.per_frame import per_sample
from loquent.fields.torso_field import TorsoConfig, TorsoField, TorsoPixels
from loquent.nn.grid import GridEncoder
from loquent.nn.mlp import Mlp
from loquent.ops.directions import frequency_encode
from loquent.ops.grid_encode import GridLayout

_SHRINK = 0.8
"""The plane is drawn together before it is encoded, so that deformed pixels stay inside the grid."""


@dataclass(frozen=True)
class PlaneTorsoConfig(TorsoConfig):
    """Sizes of a plane; the defaults are the released models' (SPEC 3.1)."""

    levels: int = 16
    """Resolutions of the grid."""
    features: int = 2
    """Values per grid entry."""
    base: int = 16
    """Coarsest resolution of the grid."""
    finest: int = 2048
    """Finest resolution of the grid."""
    log2_entries: int = 16
    """Largest table of a level, as a power of two."""

    @property
    def grid(self) -> GridLayout:
        """Layout of the grid; checks its fields."""
        return GridLayout(2, self.levels, self.features, self.base, self.finest, self.log2_entries, "tiled")


class PlaneTorso(TorsoField):
    """A torso on a plane; see the head of this file. It is not told of the lips."""

    pixel_octaves: ClassVar[int]
    """Octaves of the encoded pixel."""
    table_decay: ClassVar[float]
    """Weight decay of the grid's table."""
    config: PlaneTorsoConfig

    def __init__(self, config: PlaneTorsoConfig, pose_width: int, deform_width: int) -> None:
        super().__init__()
        self.config = config
        self.grid = GridEncoder(config.grid)
        inputs = 2 * (1 + 2 * self.pixel_octaves) + pose_width + config.code_width
        self.deform_net = Mlp(inputs, deform_width, deform_width, 2)
        self.torso_net = Mlp(self.grid.width + inputs, 32, 32, 4)
        self.codes = nn.Parameter(torch.randn(config.n_codes, config.code_width) * 0.1)

    @abstractmethod
    def encode_pose(self, world_from_camera: Float[Tensor, "frames 4 4"]) -> Float[Tensor, "frames pose_width"]:
        """What the networks know of the head's pose."""

    @abstractmethod
    def squash(self, values: Float[Tensor, "pixels 4"]) -> Float[Tensor, "pixels 4"]:
        """Alpha and colour from the last layer."""

    def forward(
        self,
        plane_xy: Float[Tensor, "pixels 2"],
        world_from_camera: Float[Tensor, "frames 4 4"],
        code: Float[Tensor, "frames code_width"],
        frame_of_pixel: Int[Tensor, "pixels"] | None = None,
        *,
        condition: Float[Tensor, "frames condition_width"] | None = None,
        noise: torch.Generator | None = None,
    ) -> TorsoPixels:
        """See :meth:`TorsoField.forward`."""
        del condition, noise
        shrunk = plane_xy * _SHRINK
        of_frame = torch.cat([self.encode_pose(world_from_camera), code], dim=-1)
        inputs = torch.cat(
            [frequency_encode(shrunk, self.pixel_octaves), per_sample(of_frame, frame_of_pixel, len(plane_xy))], dim=-1
        )
        deformation = self.deform_net(inputs)
        features = self.grid((shrunk + deformation).clamp(-1, 1))
        values = self.squash(self.torso_net(torch.cat([features, inputs], dim=-1)))
        return TorsoPixels(values[:, 0], values[:, 1:])

    def parameter_groups(self, lr: float = 1e-2, lr_net: float = 1e-3) -> list[dict[str, Any]]:
        """Optimiser groups with learning rates and weight decays of SPEC 4.3: `lr` for the table, `lr_net` for the rest."""
        rest = [parameter for parameter in self.parameters() if parameter is not self.grid.table]
        return [
            {"name": "grid", "params": [self.grid.table], "lr": lr, "weight_decay": self.table_decay},
            {"name": "networks", "params": rest, "lr": lr_net, "weight_decay": 0.0},
        ]
