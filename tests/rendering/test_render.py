"""Rendering a field given as a function: closed forms, training path against waves, gradients to everything."""

import math

import pytest
import torch
from torch import Tensor

from loquent.geometry.cameras import Camera, pixel_rays
from loquent.ops.ray_march import march_rays
from loquent.rendering.layers import Region
from loquent.rendering.occupancy import HEAD_BOX
from loquent.rendering.render import (
    FieldSamples,
    MarchSettings,
    depth_in_box,
    equal_waves,
    original_waves,
    render_head,
    render_samples,
    render_waves,
)

FRONTAL = torch.tensor([[0, -1.0, 0, 0], [0, 0, -1.0, 2.8], [1.0, 0, 0, 0], [0, 0, 0, 1]])


class Ball:
    """A foggy ball whose colour is its position; counts what it is asked."""

    def __init__(self, density: float = 40.0) -> None:
        self.density = torch.tensor(density, requires_grad=True)
        self.sizes: list[int] = []

    def __call__(self, positions: Tensor, directions: Tensor, ray_ids: Tensor) -> FieldSamples:
        self.sizes.append(len(positions))
        inside = torch.sigmoid(25 * (0.35 - positions.norm(dim=1)))
        density = self.density * inside
        return FieldSamples(
            density,
            positions * 0.5 + 0.5 + 0.1 * directions[ray_ids],
            averaged={"height": positions[:, 0]},
            summed={"inside": inside, "one": torch.ones_like(inside)},
        )


@pytest.fixture(scope="module")
def view() -> tuple[Tensor, Tensor]:
    camera = Camera.centred(19, 23, 25.0)
    return pixel_rays(FRONTAL[None], camera, *Region(0, 19, 0, 23).pixels())


EVERYTHING = torch.ones(128, 128, 128, dtype=torch.bool)


def test_a_ray_through_constant_fog(view: tuple[Tensor, Tensor]) -> None:
    def fog(positions: Tensor, directions: Tensor, ray_ids: Tensor) -> FieldSamples:
        return FieldSamples(torch.full_like(positions[:, 0], 2.0), torch.full_like(positions, 0.25))

    origins, directions = torch.tensor([[0.0, 2.8, 0.0]]), torch.tensor([[0.0, -1.0, 0.0]])
    march = MarchSettings(step=1 / 64, max_samples=1000)
    result = render_head(fog, origins, directions, EVERYTHING, march=march, wave=7, chunk=16)
    assert result.opacity.item() == pytest.approx(1 - math.exp(-2), rel=1e-4)
    assert result.colour.tolist()[0] == pytest.approx([0.25 * (1 - math.exp(-2))] * 3, rel=1e-4)
    assert result.n_samples.item() == 64


@pytest.mark.parametrize("waves", [equal_waves(1), equal_waves(4), equal_waves(5), equal_waves(100), original_waves])
def test_waves_give_what_all_samples_at_once_give(view: tuple[Tensor, Tensor], waves) -> None:  # type: ignore[no-untyped-def]
    origins, directions = view
    # 50 samples at most, all of which any grouping may reach, so that the cap plays no part
    samples = march_rays(origins, directions, EVERYTHING, box=HEAD_BOX, max_samples=50, pad_to=256)
    whole = render_samples(Ball(), samples, directions, chunk=256)
    field = Ball()
    parts = render_waves(field, samples, directions, max_samples=50, waves=waves, chunk=64)
    for name in ("colour", "opacity", "depth"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name).detach(), rtol=0, atol=3e-6)
    for name in ("inside", "one"):
        torch.testing.assert_close(parts.summed[name], whole.summed[name].detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(parts.averaged["height"], whole.averaged["height"].detach(), rtol=0, atol=3e-6)
    assert set(field.sizes) == {64}
    assert (parts.n_samples <= whole.n_samples).all()
    assert (parts.summed["one"] <= parts.n_samples).all()
    assert not parts.colour.requires_grad


def test_waves_skip_what_lies_behind(view: tuple[Tensor, Tensor]) -> None:
    samples = march_rays(*view, EVERYTHING, box=HEAD_BOX, max_samples=50)
    dense, thin = (render_waves(Ball(density), samples, view[1], max_samples=50) for density in (4000.0, 1.0))
    hit = dense.opacity > 0.999
    assert bool(hit.any())
    assert int(dense.n_samples[hit].sum()) < 0.7 * int(thin.n_samples[hit].sum())


def test_equal_waves_stop_at_the_cap_and_the_originals_may_pass_it(view: tuple[Tensor, Tensor]) -> None:
    samples = march_rays(*view, EVERYTHING, box=HEAD_BOX, max_samples=16 + 7)
    ours = render_waves(Ball(0.0), samples, view[1], waves=equal_waves(4))
    theirs = render_waves(Ball(0.0), samples, view[1], waves=lambda n_rays, n_live: 6)
    assert (int(ours.n_samples.max()), int(theirs.n_samples.max())) == (16, 18)


def test_gradients_reach_the_field(view: tuple[Tensor, Tensor]) -> None:
    origins, directions = view
    samples = march_rays(origins, directions, EVERYTHING, box=HEAD_BOX, max_samples=50, pad_to=64)
    field = Ball()
    result = render_samples(field, samples, directions, chunk=64)
    assert result.weights is not None
    parts = (result.colour, result.opacity, result.depth, result.weights, *result.summed.values())
    loss = sum((part.square().sum() for part in parts), torch.zeros(()))
    loss.backward()
    assert field.density.grad is not None
    assert field.density.grad.isfinite()
    assert field.density.grad != 0
    step = 1e-2
    with torch.no_grad():
        losses = []
        for change in (step, -step):
            moved = Ball(40.0 + change)
            again = render_samples(moved, samples, directions, chunk=64)
            assert again.weights is not None
            parts = (again.colour, again.opacity, again.depth, again.weights, *again.summed.values())
            losses.append(sum((part.double().square().sum() for part in parts), torch.zeros(())))
    assert field.density.grad.item() == pytest.approx((losses[0] - losses[1]).item() / (2 * step), rel=5e-3)


@pytest.mark.parametrize("n_rays", [0, 3])
def test_nothing_to_see(view: tuple[Tensor, Tensor], n_rays: int) -> None:
    origins, directions = view[0][:n_rays], view[1][:n_rays]
    result = render_head(Ball(), origins, directions, EVERYTHING & False)
    assert result.colour.tolist() == [[0.0] * 3] * n_rays
    assert result.depth.tolist() == [0.0] * n_rays
    assert set(result.summed) == {"inside", "one"}
    samples = march_rays(origins, directions, EVERYTHING & False, box=HEAD_BOX, pad_to=8)
    trained = render_samples(Ball(), samples, directions, chunk=8)
    assert trained.opacity.tolist() == [0.0] * n_rays


def test_depth_is_a_share_of_the_box_and_finite_outside() -> None:
    depth = depth_in_box(torch.tensor([0.0, 2.5, 0.0]), torch.tensor([2.0, 2.0, 0.0]), torch.tensor([3.0, 3.0, 0.0]))
    assert depth.tolist() == [0.0, 0.5, 0.0]
