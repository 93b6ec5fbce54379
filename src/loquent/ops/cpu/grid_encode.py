"""Multi-resolution grids of any dimension and feature count on the CPU."""

import numba
import numpy as np
import torch
from torch import Tensor

from loquent.compilation import kernel
from loquent.ops.cpu.encoding import Kernels, encode
from loquent.ops.cpu.levels import BLOCK, block_coordinates
from loquent.ops.grid_encode import GridLayout
from loquent.ops.reference import grid_encode as reference


def grid_encode(points: Tensor, table: Tensor, layout: GridLayout, bound: float) -> Tensor:
    """See :func:`loquent.ops.grid_encode.grid_encode`. Other precisions than float32 run the reference."""
    if points.dtype != torch.float32:
        return reference.grid_encode(points, table, layout, bound)
    return encode(points, table, layout, bound, _KERNELS, layout.width)


@kernel
def _scratch(dims):
    """Rows for one block: place in the cell and lower corner per dimension; weight and table entry of one corner."""
    part, corner = np.empty((dims, BLOCK), np.float32), np.empty((dims, BLOCK), np.uint32)
    return part, corner, np.empty(BLOCK, np.float32), np.empty(BLOCK, np.uint32)


@kernel
def _locate(unit, count, scale, part, corner):
    """Integer corner below each point and the position inside its cell, both [dims, block]."""
    for d in range(unit.shape[0]):
        for j in range(count):
            position = unit[d, j] * scale + np.float32(0.5)
            whole = np.int32(position)
            corner[d, j] = np.uint32(whole)
            part[d, j] = position - np.float32(whole)


@kernel
def _corner_index(corner, step, count, factors, is_hashed, mask, index):
    """Table entry of the corner `step` away from each point's lower one; bit d of `step` moves along dimension d."""
    for j in range(count):
        index[j] = np.uint32(0)
    for d in range(corner.shape[0]):
        up = np.uint32((step >> d) & 1)
        if is_hashed:
            for j in range(count):
                index[j] ^= (corner[d, j] + up) * factors[d]
        else:
            for j in range(count):
                index[j] += (corner[d, j] + up) * factors[d]
    for j in range(count):
        index[j] &= mask


@kernel
def _corner_weight(part, is_inside, step, count, skipped, weight):
    """Interpolation weight of that corner, 0 outside the box; without the factor of dimension `skipped` (-1: all factors)."""
    for j in range(count):
        weight[j] = np.float32(1)
    for d in range(part.shape[0]):
        up = ((step >> d) & 1) == 1
        for j in range(count):
            factor = np.float32(1) if d == skipped else (part[d, j] if up else np.float32(1) - part[d, j])
            weight[j] *= factor * is_inside[d, j]


@kernel(parallel=True)
def _encode(points, table, scales, factors, is_hashed, masks, offsets, bound, encoded):
    n_points, dims = points.shape
    n_features = table.shape[1]
    for block in numba.prange((n_points + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, n_points - first)
        part, corner, weight, index = _scratch(dims)
        unit, is_inside = block_coordinates(points, bound, first, count)
        for level in range(scales.shape[0]):
            level_table = table[offsets[level] : offsets[level + 1]]
            _locate(unit, count, scales[level], part, corner)
            rows = encoded[level * n_features : (level + 1) * n_features, first : first + count]
            rows[:] = np.float32(0)
            for step in range(1 << dims):
                _corner_index(corner, step, count, factors[level], is_hashed[level], masks[level], index)
                _corner_weight(part, is_inside, step, count, -1, weight)
                for feature in range(n_features):
                    values = rows[feature]
                    for j in range(count):
                        values[j] += weight[j] * level_table[np.int64(index[j]), feature]


@kernel(parallel=True)
def _scatter(points, gradient, scales, factors, is_hashed, masks, offsets, bound, to_table):
    """Gradient of the table. Each level belongs to one thread, so nothing needs to be atomic and the sums have one order."""
    n_points, dims = points.shape
    n_features = to_table.shape[1]
    for level in numba.prange(scales.shape[0]):
        to_level = to_table[offsets[level] : offsets[level + 1]]
        part, corner, weight, index = _scratch(dims)
        for first in range(0, n_points, BLOCK):
            count = min(BLOCK, n_points - first)
            unit, is_inside = block_coordinates(points, bound, first, count)
            _locate(unit, count, scales[level], part, corner)
            for step in range(1 << dims):
                _corner_index(corner, step, count, factors[level], is_hashed[level], masks[level], index)
                _corner_weight(part, is_inside, step, count, -1, weight)
                for feature in range(n_features):
                    values = gradient[level * n_features + feature]
                    for j in range(count):
                        to_level[np.int64(index[j]), feature] += weight[j] * values[first + j]


@kernel(parallel=True)
def _slope(points, table, gradient, scales, factors, is_hashed, masks, offsets, bound, to_points):
    """Gradient of the points."""
    n_points, dims = points.shape
    n_features = table.shape[1]
    for block in numba.prange((n_points + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, n_points - first)
        part, corner, weight, index = _scratch(dims)
        pull = np.empty(BLOCK, np.float32)
        total = np.zeros((dims, BLOCK), np.float32)
        unit, is_inside = block_coordinates(points, bound, first, count)
        for level in range(scales.shape[0]):
            level_table = table[offsets[level] : offsets[level + 1]]
            _locate(unit, count, scales[level], part, corner)
            for step in range(1 << dims):
                _corner_index(corner, step, count, factors[level], is_hashed[level], masks[level], index)
                pull[:count] = np.float32(0)
                for feature in range(n_features):
                    values = gradient[level * n_features + feature]
                    for j in range(count):
                        pull[j] += values[first + j] * level_table[np.int64(index[j]), feature]
                for d in range(dims):
                    _corner_weight(part, is_inside, step, count, d, weight)
                    towards = scales[level] if ((step >> d) & 1) == 1 else -scales[level]
                    for j in range(count):
                        total[d, j] += towards * weight[j] * pull[j]
        for j in range(count):
            for d in range(dims):
                to_points[first + j, d] = total[d, j] / (np.float32(2) * bound)


_KERNELS = Kernels(_encode, _scatter, _slope)
