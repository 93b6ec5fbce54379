"""The torso of AD-NeRF (Guo et al., ICCV 2021): two deep networks more, before the head (SPEC 6.2; `conditioned_nerf.py`).

The camera that the torso is seen with never moves: it is the first frame's. How the head is held, as angles and place, is told
to the networks beside what moves the lips, so shoulders can move although the camera does not. Light that passes the last
sample shows the head.

As with the head, a linear layer that is never used is left out, and places are measured from the camera's own distance. The
original's torso is known to stay empty for good now and then, since a density below zero has no gradient: ours begins as mist.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.fields.conditioned_nerf import ConditionedNerf, NerfSizes, place_hierarchically
from loquent.fields.per_frame import per_sample
from loquent.fields.torso_field import TorsoConfig, TorsoField, TorsoPixels
from loquent.geometry.cameras import VOLUME_UNITS_PER_METRE, Camera
from loquent.geometry.rotations import euler_xyz
from loquent.ops.composite import composite
from loquent.ops.directions import frequency_encode
from loquent.ops.ray_march import RaySamples

PIXELS = 2048
"""Pixels whose samples are held at once."""
_POSE_OCTAVES = 3
_POSE_WIDTH = 6 * (1 + 2 * _POSE_OCTAVES)
_FIRST_DENSITY = 3.0
"""Of the mist, per metre."""
_LEAST_ALPHA = 1e-3
"""Fainter pixels are shown in a darker colour than they have, which nobody sees; dividing by less would not be steady."""


@dataclass(frozen=True)
class AdNerfTorsoConfig(NerfSizes, TorsoConfig):
    """Sizes of the field; the defaults are the original's (SPEC 6.2)."""

    code_width: int = dataclasses.field(default=0, metadata={"least": 0})
    """Values of an appearance code; the original has none."""
    condition_width: int = 64
    """Values of what moves the lips, as the head encodes it."""


class AdNerfTorso(TorsoField):
    """The field of a torso; see the head of this file."""

    kind: ClassVar[str] = "ad_nerf"
    is_in_front: ClassVar[bool] = True
    is_told_of_lips: ClassVar[bool] = True
    updates_occupancy: ClassVar[bool] = False
    config: AdNerfTorsoConfig
    first_pose: Tensor
    """`world_from_camera` of the first frame [4, 4]."""
    view: Tensor
    """From the picture plane to the slopes of rays [2, 2]: factor and offset, of rows and of columns."""

    def __init__(self, config: AdNerfTorsoConfig) -> None:
        super().__init__()
        self.config = config
        width = config.condition_width + _POSE_WIDTH
        self.coarse, self.fine = (ConditionedNerf(config, width, config.code_width) for _ in range(2))
        for network in (self.coarse, self.fine):
            nn.init.constant_(network.density_layer.bias, _FIRST_DENSITY)
        self.codes = nn.Parameter(torch.randn(config.n_codes, config.code_width) * 0.1)
        self.register_buffer("first_pose", torch.eye(4))
        self.register_buffer("view", torch.tensor([[1.0, 0.0], [1.0, 0.0]]))

    @torch.no_grad()
    def set_reference_view(self, camera: Camera, world_from_camera: Float[Tensor, "4 4"]) -> None:
        """See :meth:`TorsoField.set_reference_view`."""
        down = [(camera.height - 1) / 2 / camera.fy, (camera.height / 2 - camera.cy) / camera.fy]
        across = [(camera.width - 1) / 2 / camera.fx, (camera.width / 2 - camera.cx) / camera.fx]
        self.view.copy_(torch.tensor([down, across]))
        self.first_pose.copy_(world_from_camera)

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
        assert condition is not None, "this torso is told what moves the lips"
        told = torch.cat([condition, self.encode_pose(world_from_camera)], dim=-1)
        parts = []
        for chosen in torch.split(torch.arange(len(plane_xy), device=plane_xy.device), PIXELS):
            frames = None if frame_of_pixel is None else frame_of_pixel[chosen]
            parts.append(self._look(plane_xy[chosen], told, code, frames, noise))
        alpha, colour, coarse_alpha, coarse_colour = (torch.cat(values) for values in zip(*parts, strict=True))
        return TorsoPixels(alpha, colour, TorsoPixels(coarse_alpha, coarse_colour))

    def parameter_groups(self, lr: float = 5e-4, lr_net: float = 5e-4) -> list[dict[str, Any]]:
        """One optimiser group, at `lr_net` (SPEC 6.2): there are no tables."""
        return [{"name": "networks", "params": list(self.parameters()), "lr": lr_net, "weight_decay": 0.0}]

    def encode_pose(self, world_from_camera: Float[Tensor, "frames 4 4"]) -> Float[Tensor, "frames pose_width"]:
        """Euler angles and centre in metres, frequency-encoded."""
        angles, centre = euler_xyz(world_from_camera[:, :3, :3]), world_from_camera[:, :3, 3] / VOLUME_UNITS_PER_METRE
        return frequency_encode(torch.cat([angles, centre], dim=-1), _POSE_OCTAVES)

    def rays(self, plane_xy: Float[Tensor, "pixels 2"]) -> tuple[Float[Tensor, "pixels 3"], Float[Tensor, "pixels 3"]]:
        """Origins and unit directions of the first frame's rays through places of the picture plane."""
        down, across = (plane_xy * self.view[:, 0] + self.view[:, 1]).unbind(-1)
        in_camera = torch.stack([across, down, torch.ones_like(down)], dim=-1)
        directions = in_camera / in_camera.norm(dim=-1, keepdim=True) @ self.first_pose[:3, :3].T
        return self.first_pose[:3, 3].expand_as(directions), directions

    def _look(
        self, plane_xy: Tensor, told: Tensor, code: Tensor, frames: Tensor | None, noise: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Alpha and colour of some pixels, and what the coarse network made of them."""
        origins, directions = self.rays(plane_xy)

        def asking(network: ConditionedNerf, samples: RaySamples) -> tuple[Tensor, Tensor]:
            of_sample = None if frames is None else frames[samples.ray_ids]
            rows = [per_sample(of_frame, of_sample, len(samples.positions)) for of_frame in (told, code)]
            density, colour = network(samples.positions, directions[samples.ray_ids], *rows)
            return density, colour

        placed = place_hierarchically(
            self.config, lambda samples: asking(self.coarse, samples), origins, directions, noise=noise
        )
        density, colour = asking(self.fine, placed.samples)
        seen = composite(density, colour, placed.samples.steps, placed.samples.ray_starts)
        return (*_unweighted(seen.opacity, seen.pixels), *_unweighted(placed.opacity, placed.colour))


def _unweighted(
    opacity: Float[Tensor, "pixels"], weighted: Float[Tensor, "pixels 3"]
) -> tuple[Float[Tensor, "pixels"], Float[Tensor, "pixels 3"]]:
    """Alpha, and the colour that it weighs."""
    return opacity, weighted / opacity.clamp(min=_LEAST_ALPHA)[:, None]
