"""LPIPS with small random weights against SciPy's convolution and loops over pixels."""

import hashlib
import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from loquent.evaluation.lpips import Backbone, Lpips, linear_weights_file

ALEX = ({"0": (11, 4, 2)}, {"3": (5, 1, 2)}, {"6": (3, 1, 1)}, {"8": (3, 1, 1)}, {"10": (3, 1, 1)})
VGG = tuple(
    dict.fromkeys(names, (3, 1, 1))
    for names in (("0", "2"), ("5", "7"), ("10", "12", "14"), ("17", "19", "21"), ("24", "26", "28"))
)
"""Kernel size, stride and padding of torchvision's convolutions, by stage."""


def random_weights(stages: tuple[dict[str, tuple[int, int, int]], ...]) -> tuple[dict, dict]:
    generator, features, linear, n_in = torch.Generator().manual_seed(0), {}, {}, 3
    for k, stage in enumerate(stages):
        n_out = 3 + k
        for name, (size, _, _) in stage.items():
            features[f"features.{name}.weight"] = torch.randn(n_out, n_in, size, size, generator=generator) / (
                n_in * size
            )
            features[f"features.{name}.bias"] = 0.1 * torch.randn(n_out, generator=generator)
            n_in = n_out
        linear[f"lin{k}.model.1.weight"] = torch.rand(1, n_out, 1, 1, generator=generator)
    return features, linear


def slow_features(picture: np.ndarray, backbone: str, features: dict) -> list[np.ndarray]:
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    x = ((picture / 255 * 2 - 1 - shift) / scale).transpose(2, 0, 1)
    taken = []
    for k, stage in enumerate(ALEX if backbone == "alex" else VGG):
        if k in ((1, 2) if backbone == "alex" else (1, 2, 3, 4)):
            size = 3 if backbone == "alex" else 2
            rows, columns = ((edge - size) // 2 + 1 for edge in x.shape[1:])
            places = [(r, c) for r in range(rows) for c in range(columns)]
            pooled = [x[:, 2 * r : 2 * r + size, 2 * c : 2 * c + size].max(axis=(1, 2)) for r, c in places]
            x = np.stack(pooled, axis=1).reshape(-1, rows, columns)
        for name, (_, stride, padding) in stage.items():
            weight, bias = (features[f"features.{name}.{kind}"].numpy() for kind in ("weight", "bias"))
            padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
            x = np.stack([correlate(padded, kernel, "valid")[0, ::stride, ::stride] for kernel in weight])
            x = np.maximum(x + bias[:, None, None], 0)
        taken.append(x)
    return taken


@pytest.mark.parametrize("backbone", get_args(Backbone))
def test_distance_is_that_of_loops(backbone: Backbone) -> None:
    random = np.random.default_rng(0)
    ours, truth = (random.integers(0, 256, (37, 45, 3), dtype=np.uint8) for _ in range(2))
    features, linear = random_weights(ALEX if backbone == "alex" else VGG)
    wanted = 0.0
    for k, (a, b) in enumerate(zip(*(slow_features(p, backbone, features) for p in (ours, truth)), strict=True)):
        weight, distances = linear[f"lin{k}.model.1.weight"].flatten().tolist(), []
        for row in range(a.shape[1]):
            for column in range(a.shape[2]):
                one, other = a[:, row, column], b[:, row, column]
                one = one / (math.sqrt((one**2).sum()) + 1e-10)
                other = other / (math.sqrt((other**2).sum()) + 1e-10)
                distances.append(sum(w * (p - q) ** 2 for w, p, q in zip(weight, one, other, strict=True)))
        wanted += np.mean(distances)
    network = Lpips(backbone, features, linear)
    assert network.distance(ours, truth) == pytest.approx(wanted, rel=1e-4)
    assert network.distance(truth, truth) == 0


def test_the_linear_weights_are_the_published_ones() -> None:
    # The authors' release is named by the beginning of these digests: LPIPS_v0.1_alex-df73285e.pth, ..._vgg-a78928a0.pth
    digests = [hashlib.sha256(linear_weights_file(name).read_bytes()).hexdigest()[:8] for name in ("alex", "vgg")]
    assert digests == ["df73285e", "a78928a0"]
