"""Rotations in forms that only some published models want."""

import torch
from jaxtyping import Float
from torch import Tensor


def euler_xyz(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Angles (a, b, c) in radians with `rotation` = Rx(a) Ry(b) Rz(c); b lies within ±π/2 (SPEC 3.2)."""
    first = torch.atan2(-rotation[..., 1, 2], rotation[..., 2, 2])
    second = torch.asin(rotation[..., 0, 2].clamp(-1, 1))
    third = torch.atan2(-rotation[..., 0, 1], rotation[..., 0, 0])
    return torch.stack([first, second, third], dim=-1)
