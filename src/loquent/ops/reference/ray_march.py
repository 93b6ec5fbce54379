"""Ray marching in plain PyTorch: all rays take one step at a time (SPEC 2.6)."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def march_rays(
    origins: Tensor,
    directions: Tensor,
    occupied: Tensor,
    box: tuple[float, ...],
    max_samples: int,
    min_near: float,
    jitter: Tensor | None,
    step: float,
    pad_to: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """See :func:`loquent.ops.ray_march.march_rays`; returns positions, t, ray_ids, ray_starts, near, far."""
    near, far = box_interval(origins, directions, box, min_near)
    stride = torch.tensor(step, dtype=origins.dtype, device=origins.device)
    t = near if jitter is None else near + stride * jitter
    counts = torch.zeros(len(origins), dtype=torch.int64, device=origins.device)
    asked, kept = [], []
    longest = float((far - near).max()) if len(origins) else 0.0
    for _ in range(math.ceil(longest / step) + 1):
        inside = (t < far) & (counts < max_samples)
        hit = inside & is_occupied(_along(origins, directions, t), occupied)
        counts += hit
        asked.append(t)
        kept.append(hit)
        t = t + stride  # summed in working precision, step by step, as the original's kernel does

    # [rays, steps], so that nonzero() lists samples ray after ray
    ray_ids, places = torch.stack(kept, dim=1).nonzero(as_tuple=True)
    start = torch.stack(asked, dim=1)[ray_ids, places]
    ray_starts = functional.pad(counts.cumsum(0), (1, 0))
    positions = _along(origins[ray_ids], directions[ray_ids], start)
    missing = -len(ray_ids) % pad_to
    return (
        functional.pad(positions, (0, 0, 0, missing)),
        functional.pad(start + stride, (0, missing)),
        functional.pad(ray_ids, (0, missing)),
        ray_starts,
        near,
        far,
    )


def box_interval(origins: Tensor, directions: Tensor, box: tuple[float, ...], min_near: float) -> tuple[Tensor, Tensor]:
    """Distances at which rays enter (at least `min_near`) and leave the box; 0 and 0 for rays that miss it."""
    low, high = origins.new_tensor(box[:3]), origins.new_tensor(box[3:])
    inverse = 1 / directions
    first, second = (low - origins) * inverse, (high - origins) * inverse
    # A ray parallel to a slab never crosses its faces: it is inside for ever, or it never is.
    parallel = directions == 0
    within = (origins >= low) & (origins <= high)
    infinity = torch.tensor(math.inf, dtype=origins.dtype, device=origins.device)
    enter = torch.where(parallel, torch.where(within, -infinity, infinity), torch.minimum(first, second))
    leave = torch.where(parallel, torch.where(within, infinity, -infinity), torch.maximum(first, second))
    near, far = enter.amax(dim=-1).clamp(min=min_near), leave.amin(dim=-1)
    hits = near <= far
    return torch.where(hits, near, 0), torch.where(hits, far, 0)


def is_occupied(positions: Tensor, occupied: Tensor) -> Tensor:
    """Whether the cells that hold these positions are marked."""
    cells = occupied.shape[0]
    x, y, z = ((positions + 1) * (cells / 2)).long().clamp(0, cells - 1).unbind(-1)
    return occupied[x, y, z]


def _along(origins: Tensor, directions: Tensor, t: Tensor) -> Tensor:
    return (origins + t[:, None] * directions).clamp(-1, 1)
