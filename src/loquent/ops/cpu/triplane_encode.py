"""The tri-plane encoding on the CPU: the hot path of a portrait, so one fused kernel per direction."""

import numba
import numpy as np
import torch
from torch import Tensor

from loquent.compilation import kernel
from loquent.ops.cpu.encoding import Kernels, encode
from loquent.ops.cpu.levels import BLOCK, block_coordinates, unit_coordinates
from loquent.ops.grid_encode import GridLayout
from loquent.ops.reference import grid_encode as reference


def triplane_encode(points: Tensor, tables: Tensor, layout: GridLayout, bound: float) -> Tensor:
    """See :func:`loquent.ops.grid_encode.triplane_encode`. Other precisions than float32 run the reference."""
    if points.dtype != torch.float32:
        return reference.triplane_encode(points, tables, layout, bound)
    return encode(points, tables.flatten(1), layout, bound, _KERNELS, 3 * layout.width)


@kernel(parallel=True)
def _encode(points, tables, scales, factors, is_hashed, masks, offsets, bound, encoded):
    n_points, n_levels = points.shape[0], scales.shape[0]
    for block in numba.prange((n_points + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, n_points - first)
        unit, is_inside = block_coordinates(points, bound, first, count)
        keep = np.empty(BLOCK, np.float32)
        for plane in range(3):
            a, b = (1 if plane == 1 else 0), (1 if plane == 0 else 2)
            for j in range(count):
                keep[j] = is_inside[a, j] * is_inside[b, j]
            for level in range(n_levels):
                _encode_level(
                    unit[a],
                    unit[b],
                    keep,
                    tables[plane, offsets[level] : offsets[level + 1]],
                    scales[level],
                    factors[level, 1],
                    is_hashed[level],
                    masks[level],
                    encoded[plane * n_levels + level, first : first + count],
                )


@kernel
def _encode_level(unit_a, unit_b, keep, table, scale, factor, is_hashed, mask, encoded):
    one, half = np.uint32(1), np.float32(0.5)
    # two copies of one loop: with the test inside, it is not turned into vector code
    if is_hashed:
        for j in range(encoded.shape[0]):
            position_a, position_b = unit_a[j] * scale + half, unit_b[j] * scale + half
            corner_a, corner_b = np.int32(position_a), np.int32(position_b)
            part_a, part_b = position_a - np.float32(corner_a), position_b - np.float32(corner_b)
            a, b = np.uint32(corner_a), np.uint32(corner_b) * factor
            v00, v10 = table[np.int32((a ^ b) & mask)], table[np.int32(((a + one) ^ b) & mask)]
            v01, v11 = table[np.int32((a ^ (b + factor)) & mask)], table[np.int32(((a + one) ^ (b + factor)) & mask)]
            low, high = v00 + part_a * (v10 - v00), v01 + part_a * (v11 - v01)
            encoded[j] = keep[j] * (low + part_b * (high - low))
    else:
        for j in range(encoded.shape[0]):
            position_a, position_b = unit_a[j] * scale + half, unit_b[j] * scale + half
            corner_a, corner_b = np.int32(position_a), np.int32(position_b)
            part_a, part_b = position_a - np.float32(corner_a), position_b - np.float32(corner_b)
            index = np.uint32(corner_a) + np.uint32(corner_b) * factor
            v00, v10 = table[np.int32(index & mask)], table[np.int32((index + one) & mask)]
            v01, v11 = table[np.int32((index + factor) & mask)], table[np.int32((index + factor + one) & mask)]
            low, high = v00 + part_a * (v10 - v00), v01 + part_a * (v11 - v01)
            encoded[j] = keep[j] * (low + part_b * (high - low))


@kernel(parallel=True)
def _scatter(points, gradient, scales, factors, is_hashed, masks, offsets, bound, to_tables):
    """Gradient of the tables. Each table belongs to one thread, so nothing needs to be atomic and the sums have one order."""
    n_points, n_levels = points.shape[0], scales.shape[0]
    unit = np.empty((3, n_points), np.float32)
    is_inside = np.empty((3, n_points), np.float32)
    for block in numba.prange((n_points + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, n_points - first)
        unit_coordinates(points, bound, first, count, unit[:, first:], is_inside[:, first:])
    for row in numba.prange(3 * n_levels):
        plane, level = row // n_levels, row % n_levels
        a, b = (1 if plane == 1 else 0), (1 if plane == 0 else 2)
        _scatter_level(
            unit[a],
            unit[b],
            is_inside[a],
            is_inside[b],
            gradient[row],
            scales[level],
            factors[level, 1],
            is_hashed[level],
            masks[level],
            to_tables[plane, offsets[level] : offsets[level + 1]],
        )


@kernel
def _scatter_level(unit_a, unit_b, inside_a, inside_b, gradient, scale, factor, is_hashed, mask, to_table):
    one, half = np.uint32(1), np.float32(0.5)
    for j in range(gradient.shape[0]):
        position_a, position_b = unit_a[j] * scale + half, unit_b[j] * scale + half
        corner_a, corner_b = np.int32(position_a), np.int32(position_b)
        part_a, part_b = position_a - np.float32(corner_a), position_b - np.float32(corner_b)
        a, b = np.uint32(corner_a), np.uint32(corner_b) * factor
        value = gradient[j] * inside_a[j] * inside_b[j]
        high = value * part_b
        low = value - high
        if is_hashed:
            k00, k10, k01, k11 = a ^ b, (a + one) ^ b, a ^ (b + factor), (a + one) ^ (b + factor)
        else:
            k00, k10, k01, k11 = a + b, a + b + one, a + b + factor, a + b + factor + one
        to_table[np.int32(k00 & mask)] += low - low * part_a
        to_table[np.int32(k10 & mask)] += low * part_a
        to_table[np.int32(k01 & mask)] += high - high * part_a
        to_table[np.int32(k11 & mask)] += high * part_a


@kernel(parallel=True)
def _slope(points, tables, gradient, scales, factors, is_hashed, masks, offsets, bound, to_points):
    """Gradient of the points."""
    n_points, n_levels = points.shape[0], scales.shape[0]
    for block in numba.prange((n_points + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, n_points - first)
        unit, is_inside = block_coordinates(points, bound, first, count)
        total = np.zeros((3, BLOCK), np.float32)
        for plane in range(3):
            a, b = (1 if plane == 1 else 0), (1 if plane == 0 else 2)
            for level in range(n_levels):
                row = plane * n_levels + level
                _slope_level(
                    unit[a],
                    unit[b],
                    is_inside[a],
                    is_inside[b],
                    tables[plane, offsets[level] : offsets[level + 1]],
                    gradient[row, first : first + count],
                    scales[level],
                    factors[level, 1],
                    is_hashed[level],
                    masks[level],
                    total[a],
                    total[b],
                )
        for j in range(count):
            for d in range(3):
                to_points[first + j, d] = total[d, j] / (np.float32(2) * bound)


@kernel
def _slope_level(unit_a, unit_b, inside_a, inside_b, table, gradient, scale, factor, is_hashed, mask, total_a, total_b):
    one, half = np.uint32(1), np.float32(0.5)
    for j in range(gradient.shape[0]):
        position_a, position_b = unit_a[j] * scale + half, unit_b[j] * scale + half
        corner_a, corner_b = np.int32(position_a), np.int32(position_b)
        part_a, part_b = position_a - np.float32(corner_a), position_b - np.float32(corner_b)
        a, b = np.uint32(corner_a), np.uint32(corner_b) * factor
        if is_hashed:
            k00, k10, k01, k11 = a ^ b, (a + one) ^ b, a ^ (b + factor), (a + one) ^ (b + factor)
        else:
            k00, k10, k01, k11 = a + b, a + b + one, a + b + factor, a + b + factor + one
        v00, v10 = table[np.int32(k00 & mask)], table[np.int32(k10 & mask)]
        v01, v11 = table[np.int32(k01 & mask)], table[np.int32(k11 & mask)]
        value = gradient[j] * inside_a[j] * inside_b[j] * scale
        total_a[j] += value * ((v10 - v00) + part_b * ((v11 - v01) - (v10 - v00)))
        total_b[j] += value * ((v01 - v00) + part_a * ((v11 - v10) - (v01 - v00)))


_KERNELS = Kernels(_encode, _scatter, _slope)
