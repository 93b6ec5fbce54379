"""Pieces of RAD-NeRF and R2-Talker written out in NumPy, float64, one point at a time, from SPEC 2.1, 2.4 and 8.2 alone."""

import itertools

import numpy as np


def tiled_features(
    table: np.ndarray, point: np.ndarray, levels: int, base: int, finest: int, log2_entries: int
) -> np.ndarray:
    """A "tiled" grid: the index wraps, and takes in a coordinate only while its stride fits into the table."""
    point = (point + 1) / 2
    features, first = [], 0
    for level in range(levels):
        real = base * 2 ** (level * np.log2(finest / base) / (levels - 1))
        lines = int(np.ceil(round(real, 6))) + 1
        entries = -(-min(2**log2_entries, lines ** len(point)) // 8) * 8
        place = point * (real - 1) + 0.5
        corner, value = np.floor(place).astype(int), np.zeros(table.shape[1])
        for steps in itertools.product((0, 1), repeat=len(point)):
            weight = np.prod([abs(1 - step - (p - c)) for step, p, c in zip(steps, place, corner, strict=True)])
            index, stride = 0, 1
            for step, c in zip(steps, corner, strict=True):
                if stride <= entries:
                    index += (c + step) * stride
                    stride *= lines
            value = value + weight * table[first + index % entries]
        features.append(value)
        first += entries
    return np.concatenate(features)


def network(weights: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    for weight in weights[:-1]:
        values = np.maximum(weight @ values, 0)
    return weights[-1] @ values


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))
