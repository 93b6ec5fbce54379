"""Loss terms against loops and closed forms (SPEC 4.2)."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from loquent.training import losses


def test_uncertain_error_is_the_written_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    n, s = 7, 0.3
    pixels, target = torch.rand(n, 3, generator=generator), torch.rand(n, 3, generator=generator)
    uncertainty = torch.rand(n, generator=generator)
    in_face = torch.tensor([True, False, True, True, False, False, True])
    q = [n * math.exp(u) / sum(math.exp(v) for v in uncertainty.tolist()) for u in uncertainty.tolist()]
    total = 0.0
    for i in range(n):
        u = float(uncertainty[i])
        error = float(((pixels[i] - target[i]) ** 2).mean())
        distance = float((pixels[i] - target[i]).norm())
        total += (0.2 + 0.8 * min(max((1 - s) + s * q[i], 0), 10)) * error
        if in_face[i]:
            total += s * (distance / (2 * (1 + u) ** 2) + 0.5 * math.log(1 + u) ** 2)
        else:
            total += 1e-3 * s * u
    result = losses.uncertain_error(pixels, target, uncertainty, in_face, s)
    assert float(result) == pytest.approx(total / n, rel=1e-5)


def test_uncertainty_gets_no_gradient_from_its_own_emphasis() -> None:
    uncertainty = torch.rand(5, requires_grad=True)
    same = torch.rand(5, 3)
    loss = losses.uncertain_error(same, same, uncertainty, torch.ones(5, dtype=torch.bool), 0.0)
    assert loss.requires_grad is False or torch.autograd.grad(loss, uncertainty)[0].abs().sum() == 0


def test_entropy_is_one_bit_at_one_half_and_nothing_at_the_ends() -> None:
    assert float(losses.opacity_entropy(torch.tensor([0.5, 0.5]))) == pytest.approx(1.0)
    assert float(losses.opacity_entropy(torch.tensor([0.0, 1.0]))) < 3e-4


def test_ambient_attention_punishes_sound_outside_the_face_and_eyes_where_sound_attends() -> None:
    audio, eye = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0])
    in_face = torch.tensor([True, False, True])
    for max_samples in (16, 64):
        wanted = 2.0 / 3 + (4.0 / max_samples * 1.0 + 6.0 / max_samples * 3.0) / 3
        assert float(losses.ambient_attention(audio, eye, in_face, max_samples)) == pytest.approx(wanted)


def test_structural_dissimilarity_is_the_formula_of_wang_et_al() -> None:
    generator = np.random.default_rng(1)
    base = generator.random((2, 32, 32, 3))
    noisy = np.clip(base + 0.1 * generator.standard_normal(base.shape), 0, 1)

    def blur(x: np.ndarray) -> np.ndarray:
        return gaussian_filter(x, sigma=(1.5, 1.5, 0), radius=(3, 3, 0))[3:-3, 3:-3]

    def truth(a: np.ndarray, b: np.ndarray) -> float:
        luminance = (2 * blur(a) * blur(b) + 1e-4) / (blur(a) ** 2 + blur(b) ** 2 + 1e-4)
        covariance = blur(a * b) - blur(a) * blur(b)
        variances = blur(a * a) - blur(a) ** 2 + blur(b * b) - blur(b) ** 2
        return float(1 - (luminance * (2 * covariance + 9e-4) / (variances + 9e-4)).mean())

    def halved(a: np.ndarray) -> np.ndarray:
        return a.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))

    wanted = np.mean([(truth(a, b) + truth(halved(a), halved(b))) / 2 for a, b in zip(noisy, base, strict=True)])
    got = losses.structural_dissimilarity(torch.from_numpy(noisy), torch.from_numpy(base))
    assert float(got) == pytest.approx(wanted, abs=1e-6)


def test_a_picture_is_not_dissimilar_to_itself() -> None:
    patch = torch.rand(1, 32, 32, 3)
    assert float(losses.structural_dissimilarity(patch, patch)) == pytest.approx(0.0, abs=1e-6)
