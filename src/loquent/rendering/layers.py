"""Head over torso over background, or torso over head, and the part of the picture that the head can cover (SPEC 2.7, 3.1)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.geometry.cameras import Camera, project
from loquent.ops.ray_march import Box


def torso_over(
    alpha: Float[Tensor, "pixels"], colour: Float[Tensor, "pixels 3"], background: Float[Tensor, "pixels 3"]
) -> Float[Tensor, "pixels 3"]:
    """Lay the torso over what is behind it; `colour` is not weighted yet."""
    return background + alpha[:, None] * (colour - background)


def head_over(
    colour: Float[Tensor, "pixels 3"], opacity: Float[Tensor, "pixels"], background: Float[Tensor, "pixels 3"]
) -> Float[Tensor, "pixels 3"]:
    """Lay the head over what is behind it, clamped to [0, 1]; `colour` is weighted by opacity already (SPEC 2.7)."""
    return (colour + (1 - opacity)[:, None] * background).clamp(0, 1)


@dataclass(frozen=True)
class Region:
    """A rectangle of a picture, half open."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def pixels(self) -> tuple[Int[Tensor, "pixels"], Int[Tensor, "pixels"]]:
        """Row and column of each pixel, row by row."""
        rows, columns = torch.arange(self.top, self.bottom), torch.arange(self.left, self.right)
        return rows.repeat_interleave(self.width), columns.repeat(self.height)


def box_region(box: Box, world_from_camera: Float[Tensor, "4 4"], camera: Camera) -> Region:
    """The pixels that a box in front of the camera covers; the whole picture when it reaches behind the camera."""
    corners = torch.cartesian_prod(*(world_from_camera.new_tensor([box[i], box[i + 3]]) for i in range(3)))
    in_front = ((corners - world_from_camera[:3, 3]) @ world_from_camera[:3, 2]) > 1e-3
    if not bool(in_front.all()):
        return Region(0, camera.height, 0, camera.width)
    u, v = project(corners, world_from_camera, camera).unbind(-1)
    top, left = max(0, int(v.min().floor())), max(0, int(u.min().floor()))
    bottom, right = min(camera.height, int(v.max().ceil())), min(camera.width, int(u.max().ceil()))
    return Region(min(top, bottom), bottom, min(left, right), right)
