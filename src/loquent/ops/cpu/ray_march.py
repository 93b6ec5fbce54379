"""Ray marching for the CPU: rays in parallel, one walk into a scratch table, then packing.

All arithmetic is float32 without contraction, so samples equal the original kernel's bit for bit (SPEC 2.6).
"""

import math

import numpy as np
import torch
from numba import prange

from loquent.compilation import kernel
from loquent.ops.cpu.arrays import array


def march_rays(origins, directions, occupied, box, max_samples, min_near, jitter, step, pad_to):
    """See :func:`loquent.ops.ray_march.march_rays`; returns positions, t, ray_ids, ray_starts, near, far."""
    n_rays = len(origins)
    start = np.empty((n_rays, max_samples), np.float32)
    counts = np.empty(n_rays, np.int64)
    near, far = np.empty(n_rays, np.float32), np.empty(n_rays, np.float32)
    shift = np.zeros(n_rays, np.float32) if jitter is None else array(jitter)
    origins, directions = array(origins), array(directions)
    _walk(
        origins,
        directions,
        array(occupied),
        np.asarray(box, np.float32),
        np.float32(min_near),
        np.float32(step),
        shift,
        start,
        counts,
        near,
        far,
    )
    ray_starts = np.zeros(n_rays + 1, np.int64)
    np.cumsum(counts, out=ray_starts[1:])
    n_samples = int(ray_starts[-1])
    length = n_samples + -n_samples % pad_to
    positions, t = np.empty((length, 3), np.float32), np.empty(length, np.float32)
    ray_ids = np.empty(length, np.int64)
    positions[n_samples:], t[n_samples:], ray_ids[n_samples:] = 0, 0, 0
    _pack(origins, directions, start, ray_starts, np.float32(step), positions, t, ray_ids)
    return tuple(torch.from_numpy(result) for result in (positions, t, ray_ids, ray_starts, near, far))


@kernel(inline=True, exact=True)
def _box_interval(origin, direction, box, min_near):
    near, far = np.float32(-math.inf), np.float32(math.inf)
    for axis in range(3):
        low, high = box[axis], box[axis + 3]
        if direction[axis] == 0:
            if origin[axis] < low or origin[axis] > high:
                return np.float32(0), np.float32(0)
        else:
            inverse = np.float32(1) / direction[axis]
            first, second = (low - origin[axis]) * inverse, (high - origin[axis]) * inverse
            near = max(near, min(first, second))
            far = min(far, max(first, second))
    near = max(near, min_near)
    if near > far:
        return np.float32(0), np.float32(0)
    return near, far


@kernel(inline=True, exact=True)
def _clamp(value):
    return min(max(value, np.float32(-1)), np.float32(1))


@kernel(parallel=True, exact=True)
def _walk(origins, directions, occupied, box, min_near, step, jitter, start, counts, near, far):
    cells = occupied.shape[0]
    half, last = np.float32(cells / 2), cells - 1
    one = np.float32(1)
    for ray in prange(len(origins)):
        ox, oy, oz = origins[ray, 0], origins[ray, 1], origins[ray, 2]
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        near[ray], end = _box_interval(origins[ray], directions[ray], box, min_near)
        far[ray] = end
        t = near[ray] + step * jitter[ray]
        count = 0
        while t < end and count < start.shape[1]:
            x = min(int((_clamp(ox + t * dx) + one) * half), last)
            y = min(int((_clamp(oy + t * dy) + one) * half), last)
            z = min(int((_clamp(oz + t * dz) + one) * half), last)
            if occupied[x, y, z]:
                start[ray, count] = t
                count += 1
            t += step
        counts[ray] = count


@kernel(parallel=True, exact=True)
def _pack(origins, directions, start, ray_starts, step, positions, t, ray_ids):
    for ray in prange(len(origins)):
        first = ray_starts[ray]
        for k in range(ray_starts[ray + 1] - first):
            sample = first + k
            ray_ids[sample] = ray
            t[sample] = start[ray, k] + step
            for axis in range(3):
                positions[sample, axis] = _clamp(origins[ray, axis] + start[ray, k] * directions[ray, axis])
