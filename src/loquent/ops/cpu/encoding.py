"""What the CPU bodies of the grid encodings share: the autograd function around their three kernels.

Values are kept transposed, [width, samples]: each level then reads and writes contiguous rows, which the compiler turns
into vector code, and the matrix products that follow take the transposed view at no cost.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from loquent.ops.cpu.arrays import array
from loquent.ops.cpu.levels import levels_of
from loquent.ops.grid_encode import GridLayout


class Kernels(NamedTuple):
    """The compiled bodies of an encoding. Between the arrays named here, each takes those of `Levels` and the bound."""

    encode: Callable[..., None]
    """(points, table, ..., encoded): fills [width, samples]."""
    scatter: Callable[..., None]
    """(points, gradient, ..., to_table): adds to the gradient of the table."""
    slope: Callable[..., None]
    """(points, table, gradient, ..., to_points): fills the gradient of the points."""


def encode(points: Tensor, table: Tensor, layout: GridLayout, bound: float, kernels: Kernels, width: int) -> Tensor:
    """Run the kernels, differentiably in points and table.

    Args:
        points: float32 [samples, coordinates].
        table: float32, of the shape that the kernels take.
        layout: the grid's shape.
        bound: half the width of the box.
        kernels: the bodies.
        width: encoded values per point.

    Returns:
        [samples, width], the transposed view of contiguous rows.
    """
    encoded: Tensor = _Encode.apply(points, table, layout, bound, kernels, width)
    return encoded


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, points: Tensor, table: Tensor, layout: GridLayout, bound: float, kernels: Kernels, width: int
    ) -> Tensor:
        ctx.save_for_backward(points, table)
        ctx.layout, ctx.bound, ctx.kernels = layout, bound, kernels
        encoded = torch.empty(width, len(points))
        kernels.encode(array(points), array(table), *levels_of(layout), np.float32(bound), encoded.numpy())
        return encoded.t()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        points, table = ctx.saved_tensors
        levels, bound = levels_of(ctx.layout), np.float32(ctx.bound)
        rows = array(gradient.t())  # a view of contiguous rows if the gradient happens to be transposed already
        to_points = to_table = None
        if ctx.needs_input_grad[1]:
            to_table = torch.zeros_like(table, memory_format=torch.contiguous_format)
            ctx.kernels.scatter(array(points), rows, *levels, bound, to_table.numpy())
        if ctx.needs_input_grad[0]:
            to_points = torch.empty(points.shape)
            ctx.kernels.slope(array(points), array(table), rows, *levels, bound, to_points.numpy())
        return to_points, to_table, None, None, None, None


__all__ = ["Kernels", "encode"]
