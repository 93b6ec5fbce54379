"""Compositing, sums and distortion: both bodies against plain loops, closed forms and finite differences."""

import math

import pytest
import torch
from torch import Tensor

from loquent.errors import InputError
from loquent.ops.composite import composite, distortion, sum_along_rays

COUNTS = (5, 0, 1, 16, 2, 0, 7, 23, 0)


@pytest.fixture(params=["reference", "cpu"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LOQUENT_BACKEND", request.param)
    return str(request.param)


@pytest.fixture
def rays() -> dict[str, Tensor]:
    """Nine rays of odd lengths, three samples of padding."""
    generator = torch.Generator().manual_seed(4)
    n = sum(COUNTS) + 3
    return {
        "density": torch.rand(n, generator=generator, dtype=torch.float64) ** 3 * 150,
        "values": torch.randn(n, 5, generator=generator, dtype=torch.float64),
        "steps": torch.rand(n, generator=generator, dtype=torch.float64) * 0.04 + 0.01,
        "ray_starts": torch.tensor((0, *COUNTS)).cumsum(0),
    }


def by_hand(
    rays: dict[str, Tensor], stop: float, transmittance: list[float]
) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """SPEC 2.7, one sample at a time."""
    density, values, steps = (rays[name].tolist() for name in ("density", "values", "steps"))
    pixels, opacity, weights = torch.zeros(len(COUNTS), 5), torch.zeros(len(COUNTS)), torch.zeros(len(density))
    pixels, opacity, weights = pixels.double(), opacity.double(), weights.double()
    used = [0] * len(COUNTS)
    sample = 0
    for ray, count in enumerate(COUNTS):
        light, stopped = transmittance[ray], False
        for _ in range(count):
            if not stopped:
                weight = light * (1 - math.exp(-density[sample] * steps[sample]))
                for channel in range(5):
                    pixels[ray, channel] += weight * values[sample][channel]
                opacity[ray] += weight
                weights[sample] = weight
                used[ray] += 1
                stopped = light < stop
                light -= weight
            sample += 1
    return pixels, opacity, weights, used


@pytest.mark.parametrize("stop", [1e-4, 0.2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_a_loop_over_samples(rays: dict[str, Tensor], stop: float, dtype: torch.dtype) -> None:
    light = torch.linspace(0.1, 1, len(COUNTS), dtype=torch.float64)
    given = {name: value.to(dtype) if value.is_floating_point() else value for name, value in rays.items()}
    result = composite(**given, transmittance=light.to(dtype), stop_transmittance=stop)
    pixels, opacity, weights, used = by_hand(rays, stop, light.tolist())
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(result.pixels.double(), pixels, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(result.opacity.double(), opacity, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(result.weights.double(), weights, rtol=tolerance, atol=tolerance)
    assert result.n_used.tolist() == used
    assert used != list(COUNTS)


@pytest.mark.parametrize("stop", [1e-4, 0.2])
def test_every_gradient_against_finite_differences(rays: dict[str, Tensor], stop: float) -> None:
    generator = torch.Generator().manual_seed(7)
    density = (rays["density"] + 0.5).requires_grad_()
    values = rays["values"].clone().requires_grad_()
    light = torch.rand(len(COUNTS), generator=generator, dtype=torch.float64)

    def outputs(density: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        given = {**rays, "density": density, "values": values}
        return composite(**given, transmittance=light, stop_transmittance=stop)[:3]

    assert torch.autograd.gradcheck(outputs, (density, values), eps=1e-6, atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("only", ["pixels", "opacity", "weights"])
def test_gradients_of_one_output_alone(rays: dict[str, Tensor], only: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In single precision, bodies against each other, with random gradients from above."""
    generator = torch.Generator().manual_seed(9)
    gradients = []
    for name in ("reference", "cpu"):
        monkeypatch.setenv("LOQUENT_BACKEND", name)
        generator.manual_seed(9)
        density, values = rays["density"].float().requires_grad_(), rays["values"].float().requires_grad_()
        output = getattr(composite(density, values, rays["steps"].float(), rays["ray_starts"]), only)
        upstream = torch.randn(output.shape, generator=generator)
        gradients.append(torch.autograd.grad(output, (density, values), upstream, materialize_grads=True))
    for ours, truth in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-4, atol=1e-5)
    assert (gradients[1][0][: COUNTS[0]] != 0).all()
    assert (gradients[1][0][-3:] == 0).all()


def test_a_homogeneous_medium_dims_exponentially() -> None:
    n, density, length = 400, 3.0, 1.5
    steps = torch.full((n,), length / n, dtype=torch.float64)
    t = steps.cumsum(0)
    result = composite(
        torch.full((n,), density, dtype=torch.float64),
        torch.stack([torch.ones(n, dtype=torch.float64), t - steps / 2], dim=1),
        steps,
        torch.tensor([0, n]),
    )
    assert result.opacity.item() == pytest.approx(1 - math.exp(-density * length), rel=1e-9)
    mean_distance = (1 - math.exp(-density * length) * (1 + density * length)) / density
    assert result.pixels[0, 1].item() == pytest.approx(mean_distance, rel=1e-4)


def test_the_sample_that_darkens_a_ray_is_followed_by_one_more() -> None:
    density = torch.tensor([1.0, 100.0, 5.0, 7.0])
    result = composite(density, torch.ones(4, 1), torch.ones(4), torch.tensor([0, 4]))
    assert result.n_used.tolist() == [3]
    assert result.weights[3] == 0


def test_a_ray_in_two_halves_is_the_whole_ray(rays: dict[str, Tensor]) -> None:
    density, values, steps = rays["density"][:23] / 10, rays["values"][:23], rays["steps"][:23]  # never stops
    whole = composite(density, values, steps, torch.tensor([0, 23]))
    first = composite(density[:9], values[:9], steps[:9], torch.tensor([0, 9]))
    light = 1 - first.opacity
    second = composite(density[9:], values[9:], steps[9:], torch.tensor([0, 14]), transmittance=light)
    torch.testing.assert_close(first.pixels + second.pixels, whole.pixels)
    torch.testing.assert_close(torch.cat([first.weights, second.weights]), whole.weights)
    assert (first.n_used + second.n_used).item() == whole.n_used.item()


def test_no_rays_and_no_samples() -> None:
    empty = composite(torch.zeros(0), torch.zeros(0, 3), torch.zeros(0), torch.tensor([0]))
    assert empty.pixels.shape == (0, 3)
    density = torch.zeros(0, requires_grad=True)
    bare = composite(density, torch.zeros(0, 3), torch.zeros(0), torch.tensor([0, 0, 0]))
    assert bare.pixels.tolist() == [[0.0] * 3] * 2
    bare.pixels.sum().backward()
    assert sum_along_rays(torch.zeros(0, 2), torch.tensor([0, 0])).tolist() == [[0.0, 0.0]]
    assert distortion(torch.zeros(0), torch.zeros(0), torch.zeros(0), torch.tensor([0, 0])).tolist() == [0.0]


def test_plain_sums(rays: dict[str, Tensor]) -> None:
    values = rays["values"].clone().requires_grad_()
    limits = torch.tensor([3, 0, 1, 9, 0, 0, 7, 2, 0])
    everything = sum_along_rays(values, rays["ray_starts"])
    some = sum_along_rays(values, rays["ray_starts"], limits)
    for ray, start in enumerate(rays["ray_starts"][:-1].tolist()):
        torch.testing.assert_close(everything[ray], values[start : start + COUNTS[ray]].sum(0))
        torch.testing.assert_close(some[ray], values[start : start + int(limits[ray])].sum(0))
    assert torch.autograd.gradcheck(lambda v: sum_along_rays(v, rays["ray_starts"], limits), (values,), fast_mode=True)


def test_distortion_counts_all_pairs(rays: dict[str, Tensor]) -> None:
    weights = torch.rand(len(rays["steps"]), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    weights.requires_grad_()
    steps = rays["steps"]
    t = steps.cumsum(0) + 2.5
    result = distortion(weights, t, steps, rays["ray_starts"])
    w, m, s = weights.tolist(), (t - steps / 2).tolist(), steps.tolist()
    for ray, start in enumerate(rays["ray_starts"][:-1].tolist()):
        own = range(start, start + COUNTS[ray])
        truth = sum(w[i] * w[j] * abs(m[i] - m[j]) for i in own for j in own) + sum(w[i] ** 2 * s[i] for i in own) / 3
        assert result[ray].item() == pytest.approx(truth, rel=1e-9, abs=1e-12)
    assert torch.autograd.gradcheck(lambda w: distortion(w, t, steps, rays["ray_starts"]), (weights,), fast_mode=True)


def test_distortion_is_unchanged_when_a_sample_is_split() -> None:
    """Eq. 15 is the integral over pairs of a piecewise constant density: how it is cut into pieces must not matter."""
    whole = distortion(
        torch.tensor([0.6, 0.3]), torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]), torch.tensor([0, 2])
    )
    split = distortion(
        torch.tensor([0.6, 0.15, 0.15]), torch.tensor([1.0, 2.0, 3.0]), torch.ones(3), torch.tensor([0, 3])
    )
    torch.testing.assert_close(whole, split)


def test_wrong_inputs_are_named(rays: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match="one floating point type"):
        composite(**{**rays, "values": rays["values"].float()})
    with pytest.raises(InputError, match="64-bit"):
        composite(**{**rays, "ray_starts": rays["ray_starts"].int()})
    with pytest.raises(InputError, match="transmittance has 2"):
        composite(**rays, transmittance=torch.ones(2, dtype=torch.float64))
