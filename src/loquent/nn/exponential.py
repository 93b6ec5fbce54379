"""Density from the last layer of RAD-NeRF and R2-Talker: an exponential whose gradient cannot overflow."""

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
    """exp(values); backwards the exponent counts as at most 15 and at least -15 (SPEC 6.1)."""
    answer: Tensor = _SafeExponential.apply(values)  # type: ignore[no-untyped-call]
    return answer
