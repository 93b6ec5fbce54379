"""Marching: both bodies against a plain loop in double precision, and the awkward rays."""

import math

import jaxtyping
import pytest
import torch
from torch import Tensor

from loquent.errors import InputError
from loquent.ops.ray_march import PAPER_STEP, RaySamples, march_rays

BOX = (-1.0, -0.5, -1.0, 1.0, 0.5, 1.0)


@pytest.fixture(params=["reference", "cpu"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LOQUENT_BACKEND", request.param)
    return str(request.param)


def scene(n_rays: int, cells: int, share: float = 0.4) -> tuple[Tensor, Tensor, Tensor]:
    """Rays from in front of the box towards it (some miss), and random occupied cells."""
    generator = torch.Generator().manual_seed(n_rays)
    origins = torch.tensor([0.1, 2.6, -0.2]) + torch.rand(n_rays, 3, generator=generator) * 0.2
    targets = torch.rand(n_rays, 3, generator=generator) * 2.6 - 1.3
    directions = torch.nn.functional.normalize(targets - origins, dim=1)
    return origins, directions, torch.rand(cells, cells, cells, generator=generator) < share


def by_hand(
    origin: list[float], direction: list[float], occupied: Tensor, shift: float, step: float, max_samples: int
) -> list[float]:
    """Start distances of one ray's samples, one scalar at a time."""
    near, far = 0.05, math.inf
    for o, d, low, high in zip(origin, direction, BOX[:3], BOX[3:], strict=True):
        if d == 0:
            if not low <= o <= high:
                return []
            continue
        near, far = max(near, min((low - o) / d, (high - o) / d)), min(far, max((low - o) / d, (high - o) / d))
    found: list[float] = []
    k = 0
    while (t := near + (shift + k) * step) < far and len(found) < max_samples:
        cell = [
            min(int((min(max(o + t * d, -1.0), 1.0) + 1) / 2 * len(occupied)), len(occupied) - 1)
            for o, d in zip(origin, direction, strict=True)
        ]
        if occupied[cell[0], cell[1], cell[2]]:
            found.append(t)
        k += 1
    return found


def check_invariants(samples: RaySamples, origins: Tensor, directions: Tensor, step: float) -> None:
    n = samples.n_samples
    assert samples.ray_starts[0] == 0
    assert torch.equal(samples.ray_ids[:n], torch.arange(len(origins)).repeat_interleave(samples.ray_starts.diff()))
    assert torch.isfinite(samples.near).all()
    assert torch.isfinite(samples.far).all()
    assert (samples.near <= samples.far).all()
    starts = samples.t[:n] - step
    along = origins[samples.ray_ids[:n]] + starts[:, None] * directions[samples.ray_ids[:n]]
    torch.testing.assert_close(samples.positions[:n], along.clamp(-1, 1), rtol=0, atol=2e-6)
    assert (samples.steps[:n] == torch.tensor(step)).all()
    for padding in (samples.positions[n:], samples.t[n:], samples.steps[n:], samples.ray_ids[n:]):
        assert (padding == 0).all()


@pytest.mark.parametrize(("cells", "max_samples", "step"), [(8, 5, 0.071), (33, 16, PAPER_STEP), (16, 100, 0.0123)])
def test_equals_a_loop_over_one_ray(cells: int, max_samples: int, step: float) -> None:
    origins, directions, occupied = scene(37, cells)
    jitter = torch.rand(37, generator=torch.Generator().manual_seed(0))
    samples = march_rays(
        origins, directions, occupied, box=BOX, max_samples=max_samples, jitter=jitter, step=step, pad_to=64
    )
    assert len(samples.t) % 64 == 0
    check_invariants(samples, origins, directions, step)
    counts = samples.ray_starts.diff()
    assert 0 in counts
    different = 0
    for ray in range(37):
        truth = by_hand(
            origins[ray].tolist(), directions[ray].tolist(), occupied, jitter[ray].item(), step, max_samples
        )
        ours = samples.t[samples.ray_starts[ray] : samples.ray_starts[ray + 1]] - step
        # Double precision may put a sample on the other side of a cell's face once in a long while.
        if len(truth) != len(ours):
            different += 1
        else:
            torch.testing.assert_close(ours, torch.tensor(truth), rtol=0, atol=5e-5)
    assert different <= 1
    assert counts.max() <= max_samples


def test_bodies_agree_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    origins, directions, occupied = scene(501, 128, share=0.1)
    jitter = torch.rand(501, generator=torch.Generator().manual_seed(1))
    results = []
    for name in ("reference", "cpu"):
        monkeypatch.setenv("LOQUENT_BACKEND", name)
        results.append(march_rays(origins, directions, occupied, box=BOX, jitter=jitter, pad_to=100))
    for name in ("positions", "t", "steps", "ray_ids", "ray_starts", "near", "far"):
        assert torch.equal(getattr(results[0], name), getattr(results[1], name)), name
    assert results[0].n_samples > 500


def test_samples_keep_to_the_first_ones_of_a_full_grid() -> None:
    origins, directions = torch.tensor([[0.0, 2.5, 0.0]]), torch.tensor([[0.0, -1.0, 0.0]])
    samples = march_rays(origins, directions, torch.ones(4, 4, 4, dtype=torch.bool), box=BOX, step=0.1, max_samples=3)
    assert (samples.near.item(), samples.far.item()) == (2.0, 3.0)
    torch.testing.assert_close(samples.t, torch.tensor([2.1, 2.2, 2.3]))
    torch.testing.assert_close(samples.positions[:, 1], torch.tensor([0.5, 0.4, 0.3]))


def test_a_ray_starting_inside_keeps_its_distance() -> None:
    origins, directions = torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 1.0]])
    samples = march_rays(
        origins, directions, torch.ones(4, 4, 4, dtype=torch.bool), box=BOX, min_near=0.25, step=0.5, max_samples=9
    )
    assert (samples.near.item(), samples.far.item()) == (0.25, 1.0)
    torch.testing.assert_close(samples.positions[:, 2], torch.tensor([0.25, 0.75]))


@pytest.mark.parametrize(
    ("origin", "direction"),
    [
        ([0.0, 2.0, 0.0], [0.0, 1.0, 0.0]),  # the box lies behind
        ([1.2, 2.0, 0.0], [0.0, -1.0, 0.0]),  # parallel to two slabs, outside one
        ([0.0, 2.0, 0.0], [1.0, 0.0, 0.0]),  # parallel to the front
        ([0.0, 0.5 + 1e-6, 0.0], [0.0, 0.0, 1.0]),  # just above the front
        ([5.0, 2.0, 0.0], [0.6, -0.8, 0.0]),
    ],
)
def test_rays_that_miss_have_no_samples_and_finite_distances(origin: list[float], direction: list[float]) -> None:
    samples = march_rays(
        torch.tensor([origin]), torch.tensor([direction]), torch.ones(4, 4, 4, dtype=torch.bool), box=BOX
    )
    assert samples.n_samples == 0
    assert (samples.near.item(), samples.far.item()) == (0.0, 0.0)


def test_rays_along_a_face_of_the_box_are_inside() -> None:
    """0 / 0 in the slab test must not lose them."""
    origins, directions = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.5, -3.0]]), torch.tensor([[0, -1.0, 0], [0, 0, 1.0]])
    samples = march_rays(origins, directions, torch.ones(4, 4, 4, dtype=torch.bool), box=BOX, step=0.3)
    assert samples.near.tolist() == [1.5, 2.0]
    assert samples.far.tolist() == [2.5, 4.0]
    assert (samples.ray_starts.diff() > 0).all()


def test_nothing_occupied() -> None:
    origins, directions, occupied = scene(37, 16)
    samples = march_rays(origins, directions, occupied & False, box=BOX, pad_to=8)
    assert samples.ray_starts.tolist() == [0] * 38
    assert samples.positions.shape == (0, 3)


def test_no_rays() -> None:
    samples = march_rays(torch.zeros(0, 3), torch.zeros(0, 3), torch.ones(4, 4, 4, dtype=torch.bool), box=BOX)
    assert samples.ray_starts.tolist() == [0]
    assert samples.n_rays == 0


def test_inputs_that_need_gradients_are_accepted_and_get_none() -> None:
    origins, directions, occupied = scene(5, 16)
    samples = march_rays(origins.requires_grad_(), directions, occupied, box=BOX)
    assert not samples.positions.requires_grad


def test_wrong_inputs_are_named() -> None:
    origins, directions, occupied = scene(5, 16)
    with pytest.raises(InputError, match="positive step"):
        march_rays(origins, directions, occupied, box=BOX, step=0.0)
    with pytest.raises(InputError, match="one type"):
        march_rays(origins, directions.double(), occupied, box=BOX)
    jaxtyping.config.update("jaxtyping_disable", True)  # users have no shape checker
    try:
        with pytest.raises(InputError, match="one length"):
            march_rays(origins, directions, occupied[:, :, :8], box=BOX)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
