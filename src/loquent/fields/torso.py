"""The torso of ER-NeRF: a deformed picture plane that is told the pose by three trained points (SPEC 3.1).

The points are carried into the camera by P⁻¹ and projected: 6 values, frequency-encoded to 42. The rest is in
`plane_torso.py`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from loquent.fields.plane_torso import PlaneTorso, PlaneTorsoConfig
from loquent.fields.torso_field import TorsoPixels
from loquent.nn.activations import bounded_colour
from loquent.ops.directions import frequency_encode

_ANCHOR_OCTAVES = 3
_FIRST_ANCHORS = ((0.01, 0.01, 0.1, 1.0), (-0.1, -0.1, 0.1, 1.0), (0.1, -0.1, 0.1, 1.0))


@dataclass(frozen=True)
class ErNerfTorsoConfig(PlaneTorsoConfig):
    """Sizes of ER-NeRF's torso."""


class ErNerfTorso(PlaneTorso):
    """The field of a torso; see the head of this file."""

    kind: ClassVar[str] = "er_nerf"
    pixel_octaves: ClassVar[int] = 8
    table_decay: ClassVar[float] = 0.01

    def __init__(self, config: ErNerfTorsoConfig) -> None:
        super().__init__(config, pose_width=6 * (1 + 2 * _ANCHOR_OCTAVES), deform_width=32)
        self.anchors = nn.Parameter(torch.tensor(_FIRST_ANCHORS))

    def encode_pose(self, world_from_camera: Float[Tensor, "frames 4 4"]) -> Float[Tensor, "frames pose_width"]:
        """The projected anchors, frequency-encoded."""
        return frequency_encode(self.project_anchors(world_from_camera).flatten(1), _ANCHOR_OCTAVES)

    def squash(self, values: Float[Tensor, "pixels 4"]) -> Float[Tensor, "pixels 4"]:
        """Alpha and colour in [-0.001, 1.001]."""
        return bounded_colour(values)

    def project_anchors(self, world_from_camera: Float[Tensor, "frames 4 4"]) -> Float[Tensor, "frames anchors 2"]:
        """The anchors seen by each camera: (X, Y) / (W Z) of P⁻¹ · anchor, without intrinsics."""
        rotation, centre = world_from_camera[:, :3, :3], world_from_camera[:, :3, 3]
        weight = self.anchors[:, 3:]
        in_camera = (self.anchors[:, :3] - weight * centre[:, None]) @ rotation
        return in_camera[..., :2] / (weight * in_camera[..., 2:])

    def regulariser(self, shown: TorsoPixels) -> Float[Tensor, ""]:
        """Mean of (1 - w)² over the anchors' homogeneous weights, a term of the torso's loss (SPEC 4.2)."""
        del shown
        return (1 - self.anchors[:, 3]).square().mean()
