"""Walk along rays through an occupancy grid and collect the samples a field is asked for (SPEC 2.6)."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loquent.errors import InputError
from loquent.ops.dispatch import Operation

Box = tuple[float, float, float, float, float, float]
"""Smallest x, y, z, then largest x, y, z."""

PAPER_STEP = 2 * math.sqrt(3) / 128
"""The papers' constant step: one diagonal of a cell of the 128³ grid, in volume units (SPEC 2.6)."""


@dataclass(frozen=True)
class RaySamples:
    """The samples of all rays, packed ray after ray; ray r owns ``ray_starts[r]:ray_starts[r + 1]``.

    The arrays may be longer than ``ray_starts[-1]``: the rest is padding that belongs to no ray (position 0, step 0,
    ray id 0), there so that a field always sees the same few array shapes.
    """

    positions: Float[Tensor, "samples 3"]
    """Where the field is asked, in the volume frame, within [-1, 1]."""
    t: Float[Tensor, "samples"]
    """Distance from the ray's origin to the sample's **far** end; the field is asked at ``t - steps`` (SPEC 2.6)."""
    steps: Float[Tensor, "samples"]
    """Length of the ray that a sample stands for; 0 for padding."""
    ray_ids: Int[Tensor, "samples"]
    """The ray of each sample."""
    ray_starts: Int[Tensor, "rays_plus_1"]
    """Offset of each ray's first sample, and at the end the number of true samples."""
    near: Float[Tensor, "rays"]
    """Distance at which the ray enters the box, at least `min_near`; 0 where it misses."""
    far: Float[Tensor, "rays"]
    """Distance at which the ray leaves the box; 0 where it misses."""

    @property
    def n_samples(self) -> int:
        """True samples, padding left out."""
        return int(self.ray_starts[-1])

    @property
    def n_rays(self) -> int:
        """Rays, those without samples too."""
        return self.near.shape[0]


@torch.no_grad()
def march_rays(
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    occupied: Bool[Tensor, "cells cells cells"],
    *,
    box: Box,
    max_samples: int = 16,
    min_near: float = 0.05,
    jitter: Float[Tensor, "rays"] | None = None,
    step: float = PAPER_STEP,
    pad_to: int = 1,
) -> RaySamples:
    """Samples at ``near + (jitter + k) * step`` that fall into occupied cells: the first `max_samples` of every ray.

    Nothing here carries gradients. For a gradient to the rays, ask the field at
    ``origins[ray_ids] + (t - steps)[:, None] * directions[ray_ids]``.

    Args:
        origins: camera centres, in the volume frame.
        directions: unit vectors.
        occupied: which cells of the cube [-1, 1]³ are worth asking, indexed [x, y, z].
        box: the part of the cube where samples are made.
        max_samples: most samples of one ray.
        min_near: smallest distance to the origin.
        jitter: in [0, 1), shifts each ray's samples by that share of a step; nothing = no shift, as at test time.
        step: distance between samples.
        pad_to: round the number of samples up to a multiple of this.

    Raises:
        InputError: `step`, `max_samples` or `pad_to` is not positive, or arrays do not fit together.
    """
    if not step > 0 or max_samples < 1 or pad_to < 1:
        raise InputError(
            f"A march needs a positive step, max_samples and pad_to; got {step}, {max_samples} and {pad_to}."
        )
    same = [origins, directions] if jitter is None else [origins, directions, jitter]
    if any(value.device != occupied.device or value.dtype != origins.dtype for value in same):
        raise InputError(
            "Rays, jitter and occupancy must be on one device, rays and jitter of one type; got "
            f"{[(str(value.dtype), str(value.device)) for value in [*same, occupied]]}."
        )
    if any(len(value) != len(origins) for value in same) or len(set(occupied.shape)) != 1:
        raise InputError(
            "Rays and jitter must have one length, and the occupancy one length along all axes; got "
            f"{[list(value.shape) for value in [*same, occupied]]}."
        )
    positions, t, ray_ids, ray_starts, near, far = _MARCH_RAYS.body(origins.device)(
        origins, directions, occupied, box, max_samples, min_near, jitter, step, pad_to
    )
    steps = torch.full_like(t, step)
    steps[int(ray_starts[-1]) :] = 0
    return RaySamples(positions, t, steps, ray_ids, ray_starts, near, far)


def _example() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(67, 3, generator=generator)
    return {
        "origins": torch.tensor([0.1, 2.0, -0.2]) + torch.rand(67, 3, generator=generator) * 0.3,
        "directions": (directions - torch.tensor([0.0, 4.0, 0.0])) / (directions.norm(dim=1, keepdim=True) + 4),
        "occupied": torch.rand(9, 9, 9, generator=generator) > 0.5,
        "box": (-1.0, -0.5, -1.0, 1.0, 0.5, 1.0),
        "max_samples": 5,
        "min_near": 0.05,
        "jitter": torch.rand(67, generator=generator),
        "step": 0.07,
        "pad_to": 16,
    }


_MARCH_RAYS: Operation[
    [Tensor, Tensor, Tensor, Box, int, float, Tensor | None, float, int],
    tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
] = Operation(
    "march_rays",
    {
        "reference": "loquent.ops.reference.ray_march:march_rays",
        "cpu": "loquent.ops.cpu.ray_march:march_rays",
    },
    _example,
)
