"""Rotations as angles: how a head is turned, and the form that some published models want."""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

VOLUME_FROM_FRONTAL: Final = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""Turns camera axes (x right, y down, z forward) into volume axes for a face that looks straight at the camera."""
_SIGNS: Final = np.array([-1.0, -1.0, 1.0])
"""From turns about the camera's y, x and z axes to yaw, pitch and roll."""


def head_angles_deg(world_from_camera: Float[np.ndarray, "frames 4 4"]) -> Float[np.ndarray, "frames 3"]:
    """Yaw (to the picture's right positive), pitch (up positive) and roll (clockwise positive) in degrees, NaN where unknown.

    All zero for a head that looks straight along the camera's axis. The head is first rolled, then pitched, then turned.
    """
    angles = np.full((len(world_from_camera), 3), np.nan)
    known = np.isfinite(world_from_camera).all(axis=(1, 2))
    turned = world_from_camera[known, :3, :3].transpose(0, 2, 1) @ VOLUME_FROM_FRONTAL
    if known.any():
        angles[known] = Rotation.from_matrix(turned).as_euler("YXZ", degrees=True) * _SIGNS
    return angles


def head_rotations(angles_deg: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3 3"]:
    """The rotations of `world_from_camera` for yaw, pitch and roll; the inverse of :func:`head_angles_deg`."""
    turned = Rotation.from_euler("YXZ", angles_deg * _SIGNS, degrees=True).as_matrix()
    return np.asarray(VOLUME_FROM_FRONTAL @ turned.transpose(0, 2, 1))


def euler_xyz(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Angles (a, b, c) in radians with `rotation` = Rx(a) Ry(b) Rz(c); b lies within ±π/2 (SPEC 3.2)."""
    first = torch.atan2(-rotation[..., 1, 2], rotation[..., 2, 2])
    second = torch.asin(rotation[..., 0, 2].clamp(-1, 1))
    third = torch.atan2(-rotation[..., 0, 1], rotation[..., 0, 0])
    return torch.stack([first, second, third], dim=-1)
