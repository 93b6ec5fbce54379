"""The pinhole camera, its rays, and the change between stored poses and the head volume (SPEC 1.2 to 1.4).

Two frames carry a head pose:

* the *volume* frame, used everywhere in Loquent: x up, y towards the camera, z to the image's right, one unit = 25 cm,
  with an OpenCV camera (x right, y down, z forward). The head's own frame is the world, so the camera moves.
* the *stored* frame of RAD-NeRF/ER-NeRF folders: an OpenGL camera (x right, y up, looking along -z), one unit = 1 m.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.errors import InputError

VOLUME_UNITS_PER_METRE = 4.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. Pixel (row r, column c) is centred at u = c + 0.5, v = r + 0.5."""

    height: int
    """Rows of the image."""
    width: int
    """Columns of the image."""
    fx: float
    """Focal length along columns, in pixels."""
    fy: float
    """Focal length along rows, in pixels."""
    cx: float
    """Column coordinate of the principal point, in pixels."""
    cy: float
    """Row coordinate of the principal point, in pixels."""

    @classmethod
    def centred(cls, height: int, width: int, focal_px: float) -> "Camera":
        """The camera of a prepared clip: one focal length, principal point in the middle."""
        return cls(height, width, focal_px, focal_px, width / 2, height / 2)

    def resized(self, height: int, width: int) -> "Camera":
        """The same view on a grid of another size."""
        down, across = height / self.height, width / self.width
        return Camera(height, width, self.fx * across, self.fy * down, self.cx * across, self.cy * down)

    def with_rows(self, rows: int) -> "Camera":
        """The same view in the same shape with this many rows.

        Raises:
            InputError: `rows` does not lie between 32 and 4096.
        """
        if not 32 <= rows <= 4096:
            raise InputError(f"--size must lie between 32 and 4096 rows, but is {rows}.")
        return self.resized(rows, max(2, round(rows * self.width / self.height)))


def volume_from_stored(
    camera_to_model: Float[Tensor, "*batch 4 4"],
    scale: float = VOLUME_UNITS_PER_METRE,
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Float[Tensor, "*batch 4 4"]:
    """Turn stored camera-to-model matrices into `world_from_camera` of the volume frame (SPEC 1.3).

    Rows are permuted cyclically, the camera's y and z axes are negated, and the translation becomes
    ``translation * scale + offset``.
    """
    turned = camera_to_model[..., [1, 2, 0, 3], :].clone()
    turned[..., :3, 1:3] *= -1
    shift = torch.tensor(offset, dtype=turned.dtype, device=turned.device)
    turned[..., :3, 3] = turned[..., :3, 3] * scale + shift
    return turned


def stored_from_volume(
    world_from_camera: Float[Tensor, "*batch 4 4"],
    scale: float = VOLUME_UNITS_PER_METRE,
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Float[Tensor, "*batch 4 4"]:
    """The inverse of :func:`volume_from_stored`."""
    turned = world_from_camera.clone()
    shift = torch.tensor(offset, dtype=turned.dtype, device=turned.device)
    turned[..., :3, 3] = (turned[..., :3, 3] - shift) / scale
    turned[..., :3, 1:3] *= -1
    return turned[..., [2, 0, 1, 3], :]


def pixel_rays(
    world_from_camera: Float[Tensor, "*#rays 4 4"],
    camera: Camera,
    rows: Int[Tensor, "*rays"],
    columns: Int[Tensor, "*rays"],
) -> tuple[Float[Tensor, "*rays 3"], Float[Tensor, "*rays 3"]]:
    """Origins and unit directions of the rays through pixel centres, in the world frame (SPEC 1.4).

    `world_from_camera` is one matrix for all rays (shape ``[1, 4, 4]`` or ``[4, 4]`` against a scalar batch) or one each.
    """
    dtype = world_from_camera.dtype
    right = (columns.to(dtype) + 0.5 - camera.cx) / camera.fx
    down = (rows.to(dtype) + 0.5 - camera.cy) / camera.fy
    in_camera = torch.stack([right, down, torch.ones_like(right)], dim=-1)
    in_camera = in_camera / in_camera.norm(dim=-1, keepdim=True)
    directions = (world_from_camera[..., :3, :3] @ in_camera[..., None])[..., 0]
    origins = world_from_camera[..., :3, 3].expand_as(directions)
    return origins, directions


def project(
    points: Float[Tensor, "*batch points 3"],
    world_from_camera: Float[Tensor, "*batch 4 4"],
    camera: Camera,
) -> Float[Tensor, "*batch points 2"]:
    """Pixel coordinates (u along columns, v along rows) of world points; points must lie in front of the camera."""
    rotation, centre = world_from_camera[..., :3, :3], world_from_camera[..., :3, 3]
    in_camera = (points - centre[..., None, :]) @ rotation
    across = in_camera[..., 0] / in_camera[..., 2] * camera.fx + camera.cx
    down = in_camera[..., 1] / in_camera[..., 2] * camera.fy + camera.cy
    return torch.stack([across, down], dim=-1)


def pixel_plane(rows: Int[Tensor, "*rays"], columns: Int[Tensor, "*rays"], camera: Camera) -> Float[Tensor, "*rays 2"]:
    """Image-plane coordinates of the torso field in [-1, 1]: **row first**, ``(2r/(H-1)-1, 2c/(W-1)-1)`` (SPEC 1.4)."""
    down = rows.float() * (2.0 / (camera.height - 1)) - 1.0
    across = columns.float() * (2.0 / (camera.width - 1)) - 1.0
    return torch.stack([down, across], dim=-1)
