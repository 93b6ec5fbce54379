"""The torso of ER-NeRF: a deformed 2-D field of the image plane that follows the head's pose (SPEC 3.1).

For a pixel p = (row, column) in [-1, 1]² and the camera pose P of a frame:

    anchors = three trained points, carried into the camera by P⁻¹ and projected     6 values, frequency-encoded to 42
    x = encode(0.8 p)                                                                frequency-encoded to 34
    Δ = deform_net(x, anchors, code)
    [a, c] = torso_net(grid(clamp(0.8 p + Δ)), x, anchors, code)                     alpha and colour
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.fields.er_nerf import bounded_colour, per_sample
from loquent.nn.grid import GridEncoder
from loquent.nn.mlp import Mlp
from loquent.ops.directions import frequency_encode
from loquent.ops.grid_encode import GridLayout

_SHRINK = 0.8
"""The plane is drawn together before it is encoded, so that deformed pixels stay inside the grid."""
_PIXEL_OCTAVES, _ANCHOR_OCTAVES = 8, 3
_FIRST_ANCHORS = ((0.01, 0.01, 0.1, 1.0), (-0.1, -0.1, 0.1, 1.0), (0.1, -0.1, 0.1, 1.0))
_TABLE_DECAY = 0.01


@dataclass(frozen=True)
class ErNerfTorsoConfig:
    """Sizes of the torso field; the defaults are the released model's (SPEC 3.1)."""

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
    n_codes: int = 10_000
    """Appearance codes: one per training frame, and spare ones."""
    code_width: int = 8
    """Values of an appearance code."""

    @property
    def grid(self) -> GridLayout:
        """Layout of the grid; checks its fields."""
        return GridLayout(2, self.levels, self.features, self.base, self.finest, self.log2_entries, "tiled")


@dataclass(frozen=True)
class TorsoPixels:
    """What the torso shows at each pixel."""

    alpha: Float[Tensor, "pixels"]
    """Coverage, from -0.001 to 1.001."""
    colour: Float[Tensor, "pixels 3"]
    """RGB, from -0.001 to 1.001."""
    deformation: Float[Tensor, "pixels 2"]
    """Shift of the pixel in the grid, before clamping."""


class ErNerfTorso(nn.Module):
    """The field of a torso; see the head of this file."""

    def __init__(self, config: ErNerfTorsoConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = GridEncoder(config.grid)
        pixel, anchors = 2 * (1 + 2 * _PIXEL_OCTAVES), 6 * (1 + 2 * _ANCHOR_OCTAVES)
        inputs = pixel + anchors + config.code_width
        self.deform_net = Mlp(inputs, 32, 32, 2)
        self.torso_net = Mlp(self.grid.width + inputs, 32, 32, 4)
        self.anchors = nn.Parameter(torch.tensor(_FIRST_ANCHORS))
        self.codes = nn.Parameter(torch.randn(config.n_codes, config.code_width) * 0.1)

    def test_code(self, n_frames: int) -> Float[Tensor, "frames code_width"]:
        """The code of frames that were not trained on: code 0."""
        return self.codes[:1].expand(n_frames, -1)

    def forward(
        self,
        plane_xy: Float[Tensor, "pixels 2"],
        world_from_camera: Float[Tensor, "frames 4 4"],
        code: Float[Tensor, "frames code_width"],
        frame_of_pixel: Int[Tensor, "pixels"] | None = None,
    ) -> TorsoPixels:
        """Alpha and colour of pixels.

        Args:
            plane_xy: (row, column) in [-1, 1], as :func:`loquent.geometry.cameras.pixel_plane` makes them.
            world_from_camera: pose of each frame, volume frame.
            code: appearance code of each frame.
            frame_of_pixel: which frame each pixel belongs to; None where there is one frame.
        """
        shrunk = plane_xy * _SHRINK
        pose = frequency_encode(self.project_anchors(world_from_camera).flatten(1), _ANCHOR_OCTAVES)
        of_frame = per_sample(torch.cat([pose, code], dim=-1), frame_of_pixel, len(plane_xy))
        inputs = torch.cat([frequency_encode(shrunk, _PIXEL_OCTAVES), of_frame], dim=-1)
        deformation = self.deform_net(inputs)
        features = self.grid((shrunk + deformation).clamp(-1, 1))
        values = bounded_colour(self.torso_net(torch.cat([features, inputs], dim=-1)))
        return TorsoPixels(values[:, 0], values[:, 1:], deformation)

    def project_anchors(self, world_from_camera: Float[Tensor, "frames 4 4"]) -> Float[Tensor, "frames anchors 2"]:
        """The anchors seen by each camera: (X, Y) / (W Z) of P⁻¹ · anchor, without intrinsics."""
        rotation, centre = world_from_camera[:, :3, :3], world_from_camera[:, :3, 3]
        weight = self.anchors[:, 3:]
        in_camera = (self.anchors[:, :3] - weight * centre[:, None]) @ rotation
        return in_camera[..., :2] / (weight * in_camera[..., 2:])

    def anchor_weight_loss(self) -> Float[Tensor, ""]:
        """Mean of (1 - w)² over the anchors' homogeneous weights, a term of the torso's loss (SPEC 4.2)."""
        return (1 - self.anchors[:, 3]).square().mean()

    def parameter_groups(self, lr: float = 1e-2, lr_net: float = 1e-3) -> list[dict[str, Any]]:
        """Optimiser groups with learning rates and weight decays of SPEC 4.3: `lr` for the table, `lr_net` for the rest."""
        rest = [parameter for parameter in self.parameters() if parameter is not self.grid.table]
        return [
            {"name": "grid", "params": [self.grid.table], "lr": lr, "weight_decay": _TABLE_DECAY},
            {"name": "networks", "params": rest, "lr": lr_net, "weight_decay": 0.0},
        ]
