"""How fields turn their last layers' values into density and colour."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_LIMIT = 15.0


class _SafeExponential(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.exp()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        slope: Tensor = gradient * values.clamp(-_LIMIT, _LIMIT).exp()
        return slope


def safe_exponential(values: Float[Tensor, "samples"]) -> Float[Tensor, "samples"]:
    """Density of RAD-NeRF and R2-Talker: exp(values); backwards the exponent counts as at most 15 and at least -15, so that
    the gradient cannot overflow (SPEC 6.1)."""
    answer: Tensor = _SafeExponential.apply(values)  # type: ignore[no-untyped-call]
    return answer


def bounded_colour(values: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
    """Sigmoid widened to [-0.001, 1.001], so that black and white can be reached (SPEC 2.4)."""
    return values.sigmoid() * 1.002 - 0.001
