"""What the Numba grid kernels need to know of each level, and the steps they share."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from loquent.compilation import kernel
from loquent.ops.grid_encode import HASH_PRIMES, GridLayout

BLOCK = 1024
"""Points handled together: their intermediate rows stay in the second-level cache."""


class Levels(NamedTuple):
    """A layout as arrays, one element or row per level."""

    scales: np.ndarray
    """float32 [levels]"""
    factors: np.ndarray
    """uint32 [levels, dims]: what each coordinate of a corner is multiplied by"""
    is_hashed: np.ndarray
    """bool [levels]: products are XORed where true, added where false"""
    masks: np.ndarray
    """uint32 [levels]"""
    offsets: np.ndarray
    """int64 [levels + 1]"""


@lru_cache(maxsize=64)
def levels_of(layout: GridLayout) -> Levels:
    """The arrays of a layout."""
    factors = [
        HASH_PRIMES[: layout.dims] if hashed else strides
        for hashed, strides in zip(layout.is_hashed, layout.strides, strict=True)
    ]
    return Levels(
        scales=np.array(layout.scales, np.float32),
        factors=np.array(factors, np.uint32),
        is_hashed=np.array(layout.is_hashed, np.bool_),
        masks=np.array(layout.masks, np.uint32),
        offsets=np.array(layout.offsets, np.int64),
    )


@kernel
def unit_coordinates(points, bound, first, count, unit, is_inside):
    """Coordinates of `count` points from `first` on, moved to [0, 1], and 1 where they were inside; both as [dims, block].

    Those outside, or not a number, are clamped, so that every index computed from them is valid.
    """
    for d in range(points.shape[1]):
        for j in range(count):
            value = (points[first + j, d] + bound) / (np.float32(2) * bound)
            clamped = value if value > np.float32(0) else np.float32(0)
            clamped = clamped if clamped < np.float32(1) else np.float32(1)
            unit[d, j] = clamped
            is_inside[d, j] = np.float32(1) if clamped == value else np.float32(0)


@kernel
def block_coordinates(points, bound, first, count):
    """:func:`unit_coordinates` of one block, in arrays of its own."""
    unit, is_inside = np.empty((points.shape[1], BLOCK), np.float32), np.empty((points.shape[1], BLOCK), np.float32)
    unit_coordinates(points, bound, first, count, unit, is_inside)
    return unit, is_inside
