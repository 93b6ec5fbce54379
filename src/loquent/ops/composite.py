"""Add up the samples of each ray: volume rendering, plain sums, and the distortion of the weights (SPEC 2.7)."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.errors import InputError
from loquent.ops.dispatch import Operation

STOP_TRANSMITTANCE = 1e-4
"""A ray ends with the sample that starts with less light than this left (SPEC 2.7)."""


class Composited(NamedTuple):
    """What compositing gives: per ray, and per sample."""

    pixels: Float[Tensor, "rays channels"]
    """Values weighted and summed along each ray; nothing is put behind them."""
    opacity: Float[Tensor, "rays"]
    """Sum of the weights."""
    weights: Float[Tensor, "samples"]
    """Share of each sample in its pixel; 0 behind the stop and for padding."""
    n_used: Int[Tensor, "rays"]
    """Samples of each ray up to the stop, weightless ones too."""


def composite(
    density: Float[Tensor, "samples"],
    values: Float[Tensor, "samples channels"],
    steps: Float[Tensor, "samples"],
    ray_starts: Int[Tensor, "rays_plus_1"],
    *,
    transmittance: Float[Tensor, "rays"] | None = None,
    stop_transmittance: float = STOP_TRANSMITTANCE,
) -> Composited:
    """Weigh the samples of each ray by the light that ends in them, and add their values up.

    With T the light left before a sample, its weight is ``T * (1 - exp(-density * step))``; the sample that is first
    to start with T below `stop_transmittance` is the ray's last. Gradients reach `density` and `values`, from pixels,
    opacity and weights.

    Args:
        density: per sample, not negative, per volume unit.
        values: per sample, whatever is to be averaged: colour, distance, uncertainty ...
        steps: length each sample stands for, in volume units.
        ray_starts: samples of ray r are ``ray_starts[r]:ray_starts[r + 1]``; what follows the last is padding.
        transmittance: light left before each ray's first sample, when earlier samples were composited already;
            not differentiated. Nothing = 1.
        stop_transmittance: where rays end.

    Raises:
        InputError: lengths, types or devices that do not fit together.
    """
    _check(ray_starts, density, values, steps, *([] if transmittance is None else [transmittance]))
    before = density.new_ones(len(ray_starts) - 1) if transmittance is None else transmittance
    if len(before) != len(ray_starts) - 1:
        raise InputError(f"There are {len(ray_starts) - 1} rays, but transmittance has {len(before)} entries.")
    body = _COMPOSITE.body(density.device)
    return Composited(*body(density, values, steps, ray_starts, before, stop_transmittance))


def sum_along_rays(
    values: Float[Tensor, "samples channels"],
    ray_starts: Int[Tensor, "rays_plus_1"],
    n_used: Int[Tensor, "rays"] | None = None,
) -> Float[Tensor, "rays channels"]:
    """Plain sums of each ray's samples, as attention is summed for its loss (SPEC 2.7); differentiable.

    `n_used` limits the sum to each ray's first samples; nothing = all of them.
    """
    _check(ray_starts, values)
    counts = ray_starts.diff() if n_used is None else n_used
    return _SUM_ALONG_RAYS.body(values.device)(values, ray_starts, counts)


def distortion(
    weights: Float[Tensor, "samples"],
    t: Float[Tensor, "samples"],
    steps: Float[Tensor, "samples"],
    ray_starts: Int[Tensor, "rays_plus_1"],
) -> Float[Tensor, "rays"]:
    """How spread out each ray's weights are along it (Mip-NeRF 360, eq. 15).

    The sum over all pairs of ``w_i w_j |m_i - m_j|``, plus a third of the sum of ``w_i² step_i``, with m the
    middle of a sample's interval, which ends at `t`. A ray's intervals must follow one another without overlap.
    Gradients reach `weights` only.
    """
    _check(ray_starts, weights, t, steps)
    return _DISTORTION.body(weights.device)(weights, t.detach(), steps.detach(), ray_starts)


def _check(ray_starts: Tensor, first: Tensor, *others: Tensor) -> None:
    given = [first, *others]
    if any(value.dtype != first.dtype or value.device != ray_starts.device for value in given):
        raise InputError(
            "Samples must be of one floating point type, on the device of ray_starts; got "
            f"{[(str(value.dtype), str(value.device)) for value in [*given, ray_starts]]}."
        )
    if ray_starts.dtype != torch.int64 or len(ray_starts) == 0:
        raise InputError(
            "ray_starts must hold one 64-bit offset per ray and the total; "
            f"got {list(ray_starts.shape)} of {ray_starts.dtype}."
        )


def _example() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(2)
    ray_starts = torch.tensor([0, 5, 5, 17, 18, 29])
    return {
        "density": (torch.rand(31, generator=generator) * 60).requires_grad_(),
        "values": torch.randn(31, 4, generator=generator).requires_grad_(),
        "steps": torch.full((31,), 0.03),
        "ray_starts": ray_starts,
        "transmittance": torch.rand(5, generator=generator),
        "stop_transmittance": 0.05,
    }


def _sum_example() -> dict[str, Any]:
    example = _example()
    counts = example["ray_starts"].diff() // 2
    return {"values": example["values"], "ray_starts": example["ray_starts"], "counts": counts}


def _distortion_example() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(3)
    return {
        "weights": torch.rand(31, generator=generator).requires_grad_(),
        "t": torch.rand(31, generator=generator).cumsum(0),
        "steps": torch.full((31,), 0.02),
        "ray_starts": _example()["ray_starts"],
    }


def _bodies(name: str) -> dict[str, str]:
    return {backend: f"loquent.ops.{backend}.composite:{name}" for backend in ("reference", "cpu")}


_Tensors = tuple[Tensor, Tensor, Tensor, Tensor]
_COMPOSITE: Operation[[Tensor, Tensor, Tensor, Tensor, Tensor, float], _Tensors] = Operation(
    "composite", _bodies("composite"), _example
)
_SUM_ALONG_RAYS: Operation[[Tensor, Tensor, Tensor], Tensor] = Operation(
    "sum_along_rays", _bodies("sum_along_rays"), _sum_example
)
_DISTORTION: Operation[[Tensor, Tensor, Tensor, Tensor], Tensor] = Operation(
    "distortion", _bodies("distortion"), _distortion_example
)
