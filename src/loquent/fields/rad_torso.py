"""The torso of RAD-NeRF and R2-Talker: a deformed picture plane that is told the pose as angles and place (SPEC 3.2).

The pose is six numbers, frequency-encoded to 54: Euler angles and centre of `world_from_camera`. The rest is in
`plane_torso.py`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from loquent.fields.plane_torso import PlaneTorso, PlaneTorsoConfig
from loquent.fields.torso_field import TorsoPixels
from loquent.geometry.rotations import euler_xyz
from loquent.ops.directions import frequency_encode

_POSE_OCTAVES = 4
_ENTROPY_WEIGHT = 1e-4


@dataclass(frozen=True)
class RadNerfTorsoConfig(PlaneTorsoConfig):
    """Sizes of RAD-NeRF's torso."""


class RadNerfTorso(PlaneTorso):
    """The field of a torso; see the head of this file."""

    kind: ClassVar[str] = "rad_nerf"
    pixel_octaves: ClassVar[int] = 10
    table_decay: ClassVar[float] = 0.0

    def __init__(self, config: RadNerfTorsoConfig) -> None:
        super().__init__(config, pose_width=6 * (1 + 2 * _POSE_OCTAVES), deform_width=64)

    def encode_pose(self, world_from_camera: Float[Tensor, "frames 4 4"]) -> Float[Tensor, "frames pose_width"]:
        """Euler angles and centre, frequency-encoded."""
        pose = torch.cat([euler_xyz(world_from_camera[:, :3, :3]), world_from_camera[:, :3, 3]], dim=-1)
        return frequency_encode(pose, _POSE_OCTAVES)

    def regulariser(self, shown: TorsoPixels) -> Float[Tensor, ""]:
        """Binary entropy of alpha, in bits: a pixel shows the torso or does not (SPEC 3.2)."""
        p = shown.alpha.clamp(1e-5, 1 - 1e-5)
        return _ENTROPY_WEIGHT * (-p * p.log2() - (1 - p) * (1 - p).log2()).mean()

    def squash(self, values: Float[Tensor, "pixels 4"]) -> Float[Tensor, "pixels 4"]:
        """Alpha and colour in [0, 1]."""
        return values.sigmoid()
