# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="untyped-decorator"
"""Smooth noise from a seed: lattice values, hashed, blended by a cubic. The same on every machine."""

import numpy as np
from jaxtyping import Float

from loquent.compilation import kernel


@kernel(exact=True)
def _lattice(x, y, z, seed):
    mixed = (seed * 2654435761 + 97) & 0xFFFFFFFF
    for value in (x, y, z):
        mixed ^= value & 0xFFFFFFFF
        mixed = (mixed * 0x1E3779B1) & 0xFFFFFFFF
        mixed ^= mixed >> 15
    mixed = (mixed * 0x45EBCA6B) & 0xFFFFFFFF
    mixed ^= mixed >> 13
    return mixed / 2147483648.0 - 1.0


@kernel(exact=True)
def _smooth(fraction):
    return fraction * fraction * (3.0 - 2.0 * fraction)


@kernel(exact=True)
def _add_octave(places, scale, offset, strength, seed, total):
    for i in range(places.shape[0]):
        x, y, z = places[i, 0] * scale + offset, places[i, 1] * scale + offset, places[i, 2] * scale + offset
        x0, y0, z0 = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        fx, fy, fz = _smooth(x - x0), _smooth(y - y0), _smooth(z - z0)
        value = 0.0
        for corner in range(8):
            dx, dy, dz = corner & 1, (corner >> 1) & 1, corner >> 2
            share = (fx if dx else 1 - fx) * (fy if dy else 1 - fy) * (fz if dz else 1 - fz)
            if share > 0.0:
                value += share * _lattice(x0 + dx, y0 + dy, z0 + dz, seed)
        total[i] += strength * value


def noise(places: Float[np.ndarray, "*grid axes"], seed: int, *, octaves: int = 1) -> Float[np.ndarray, "*grid"]:
    """Noise in about [-1, 1] over two or three axes, one feature per unit; each octave is twice as fine, half as strong."""
    flat = np.zeros((int(np.prod(places.shape[:-1])), 3))
    flat[:, : places.shape[-1]] = places.reshape(-1, places.shape[-1])
    total = np.zeros(len(flat))
    for octave in range(octaves):
        _add_octave(flat, 2.0**octave, 0.37 * octave, 0.5**octave, seed + octave, total)
    return total.reshape(places.shape[:-1])


def ramp(x: Float[np.ndarray, "*grid"], start: float | int, end: float | int) -> Float[np.ndarray, "*grid"]:
    """0 at `start`, 1 at `end`, smooth between (smoothstep); `end` may lie below `start`."""
    t = np.clip((x - start) / (end - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
