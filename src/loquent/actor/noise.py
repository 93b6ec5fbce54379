"""Smooth noise from a seed: lattice values, hashed, blended by a cubic. The same on every machine."""

import numpy as np
from jaxtyping import Float


def _lattice(cell: np.ndarray, seed: int) -> np.ndarray:
    mixed = np.full(cell.shape[:-1], (seed * 2654435761 + 97) & 0xFFFFFFFF, np.uint64)
    for axis in range(cell.shape[-1]):
        mixed ^= cell[..., axis].astype(np.uint64) & np.uint64(0xFFFFFFFF)
        mixed = (mixed * np.uint64(0x9E3779B1)) & np.uint64(0xFFFFFFFF)
        mixed ^= mixed >> np.uint64(15)
    mixed = (mixed * np.uint64(0x85EBCA6B)) & np.uint64(0xFFFFFFFF)
    mixed ^= mixed >> np.uint64(13)
    return mixed.astype(np.float64) / 2.0**31 - 1.0


def noise(places: Float[np.ndarray, "*grid axes"], seed: int, *, octaves: int = 1) -> Float[np.ndarray, "*grid"]:
    """Noise in about [-1, 1] with one feature per unit; each further octave is twice as fine and half as strong."""
    total, strength, scale = np.zeros(places.shape[:-1]), 1.0, 1.0
    for octave in range(octaves):
        place = places * scale + 0.37 * octave
        cell = np.floor(place).astype(np.int64)
        blend = place - cell
        blend = blend * blend * (3 - 2 * blend)
        for corner in range(2 ** places.shape[-1]):
            step = np.array([(corner >> axis) & 1 for axis in range(places.shape[-1])])
            share = np.prod(np.where(step, blend, 1 - blend), axis=-1)
            total += strength * share * _lattice(cell + step, seed + octave)
        strength, scale = strength / 2, scale * 2
    return total


def ramp(x: Float[np.ndarray, "*grid"], start: float, end: float) -> Float[np.ndarray, "*grid"]:
    """0 at `start`, 1 at `end`, smooth between (smoothstep); `end` may lie below `start`."""
    t = np.clip((x - start) / (end - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
