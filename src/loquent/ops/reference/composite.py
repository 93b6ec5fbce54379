"""Compositing in plain PyTorch, differentiated by autograd: rays are laid out as rows of a padded table (SPEC 2.7)."""

import torch
from torch import Tensor


def composite(
    density: Tensor,
    values: Tensor,
    steps: Tensor,
    ray_starts: Tensor,
    transmittance: Tensor,
    stop_transmittance: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See :func:`loquent.ops.composite.composite`; returns pixels, opacity, weights, n_used."""
    samples, exists = _rows(ray_starts)
    depth = torch.where(exists, (density * steps)[samples], 0)
    before = transmittance[:, None] * torch.exp(-(depth.cumsum(1) - depth))
    # A sample is used as long as the one before it did not start below the stop.
    open_until = before.detach() >= stop_transmittance
    used = exists & torch.cat([torch.ones_like(exists[:, :1]), open_until[:, :-1]], dim=1)
    weight = torch.where(used, before * (1 - torch.exp(-depth)), 0)
    pixels = (weight[..., None] * values[samples]).sum(1)
    weights = torch.zeros_like(density).index_put((samples[exists],), weight[exists])
    return pixels, weight.sum(1), weights, used.sum(1)


def sum_along_rays(values: Tensor, ray_starts: Tensor, counts: Tensor) -> Tensor:
    """See :func:`loquent.ops.composite.sum_along_rays`."""
    samples, exists = _rows(ray_starts)
    places = torch.arange(exists.shape[1], device=exists.device)
    used = exists & (places < counts[:, None])
    return torch.where(used[..., None], values[samples], 0).sum(1)


def distortion(weights: Tensor, t: Tensor, steps: Tensor, ray_starts: Tensor) -> Tensor:
    """See :func:`loquent.ops.composite.distortion`."""
    samples, exists = _rows(ray_starts)
    weight = torch.where(exists, weights[samples], 0)
    middle = (t - steps / 2)[samples]
    gap = (middle[:, :, None] - middle[:, None, :]).abs()
    between = (weight[:, :, None] * weight[:, None, :] * gap).sum((1, 2))
    return between + (weight.square() * steps[samples]).sum(1) / 3


def _rows(ray_starts: Tensor) -> tuple[Tensor, Tensor]:
    """Sample index of each place of a table with one row per ray, and whether the place is filled (if not, 0)."""
    counts = ray_starts.diff()
    longest = int(counts.max()) if len(counts) else 0
    places = torch.arange(longest, device=ray_starts.device)
    exists = places < counts[:, None]
    return torch.where(exists, ray_starts[:-1, None] + places, 0), exists
