"""Spherical harmonics and frequency encodings against scipy and formulas written out."""

import math

import numpy as np
import scipy.special
import torch

from loquent.ops.directions import frequency_encode, spherical_harmonics


def random_directions(n: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=torch.Generator().manual_seed(0)), dim=-1)


def test_harmonics_are_scipys_up_to_the_stated_signs() -> None:
    directions = random_directions(37).double()
    x, y, z = directions.numpy().T
    polar, azimuth = np.arccos(z), np.arctan2(y, x)
    columns = []
    for degree in range(4):
        for order in range(-degree, degree + 1):
            complex_value = scipy.special.sph_harm_y(degree, abs(order), polar, azimuth)
            # scipy keeps the (-1)^m of Condon and Shortley, and so does the order used here
            part = complex_value.imag if order < 0 else complex_value.real
            columns.append(part * (math.sqrt(2) if order else 1.0))
    np.testing.assert_allclose(spherical_harmonics(directions).numpy(), np.stack(columns, axis=1), atol=1e-6)


def test_harmonics_are_orthonormal() -> None:
    """Averages over the sphere of products of two harmonics are those of an orthonormal set (Gauss-Legendre quadrature)."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    azimuth = np.arange(16) * (2 * np.pi / 16)
    z, phi = (grid.ravel() for grid in np.meshgrid(nodes, azimuth, indexing="ij"))
    radius = np.sqrt(1 - z**2)
    area = np.repeat(weights, 16) * (2 * np.pi / 16)
    directions = np.stack([radius * np.cos(phi), radius * np.sin(phi), z], axis=1)
    values = spherical_harmonics(torch.from_numpy(directions)).numpy()
    np.testing.assert_allclose(values.T @ (values * area[:, None]), np.eye(16), atol=1e-6)


def test_frequencies_written_out() -> None:
    values = torch.tensor([[0.3, -1.2], [2.0, 0.0]])
    encoded = frequency_encode(values, 3)
    assert encoded.shape == (2, 14)
    for row, (first, second) in enumerate(values.tolist()):
        wanted = [first, second]
        for octave in range(3):
            wanted += [math.sin(2**octave * v) for v in (first, second)]
            wanted += [math.cos(2**octave * v) for v in (first, second)]
        torch.testing.assert_close(encoded[row], torch.tensor(wanted), atol=1e-6, rtol=0)


def test_frequencies_pass_gradients() -> None:
    values = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: frequency_encode(v, 4), (values,))
    directions = random_directions(5).double().requires_grad_()
    assert torch.autograd.gradcheck(spherical_harmonics, (directions,))
