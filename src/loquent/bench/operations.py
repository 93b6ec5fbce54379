"""Speed of the hot operations in every backend, at the sizes and places at which rendering and training call them.

`..._render` is the way forward alone; `..._train` is forward and back.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from loquent.bench.clock import Case, Competitor, backends, on_backend
from loquent.bench.person import Person
from loquent.fields.er_nerf import ErNerfConfig
from loquent.fields.rad_nerf import RadNerfConfig
from loquent.fields.torso import ErNerfTorsoConfig
from loquent.ops.composite import composite, distortion
from loquent.ops.grid_encode import grid_encode, triplane_encode
from loquent.ops.ray_march import RaySamples, march_rays
from loquent.rendering.occupancy import HEAD_BOX
from loquent.rendering.render import CHUNK

WAVE = 4
"""Samples of each ray that rendering composites at a time."""


def triplane_render(person: Person) -> Case:
    """ER-NeRF's three planes."""
    layout = ErNerfConfig().planes
    points, tables = _points(person), _random(person, 3, layout.n_entries, 1)
    return _encoding(person, "triplane_encode", lambda: triplane_encode(points, tables, layout), points, [])


def triplane_train(person: Person) -> Case:
    """ER-NeRF's three planes, with the gradient of their tables."""
    layout = ErNerfConfig().planes
    points, tables = _points(person), _random(person, 3, layout.n_entries, 1).requires_grad_()
    return _encoding(person, "triplane_encode", lambda: triplane_encode(points, tables, layout), points, [tables])


def grid_render(person: Person) -> Case:
    """RAD-NeRF's grid over space."""
    layout = RadNerfConfig().layout(3)
    points, table = _points(person), _random(person, layout.n_entries, layout.features)
    return _encoding(person, "grid_encode", lambda: grid_encode(points, table, layout), points, [])


def grid_train(person: Person) -> Case:
    """RAD-NeRF's grid over space, with the gradient of its table."""
    layout = RadNerfConfig().layout(3)
    points, table = _points(person), _random(person, layout.n_entries, layout.features).requires_grad_()
    return _encoding(person, "grid_encode", lambda: grid_encode(points, table, layout), points, [table])


def torso_grid_train(person: Person) -> Case:
    """The torso's grid over the picture plane, with the gradients of its table and of the places, which it moves."""
    layout = ErNerfTorsoConfig().grid
    points = (torch.rand(person.torso_stage.pixels, 2, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.8).to(
        person.device
    )
    table = _random(person, layout.n_entries, layout.features).requires_grad_()
    leaves = [points.requires_grad_(), table]
    return _encoding(person, "grid_encode", lambda: grid_encode(points, table, layout), points, leaves)


def march_render(person: Person) -> Case:
    """All rays that may meet the head."""
    origins, directions = person.rays
    march = person.portrait.march

    def run() -> RaySamples:
        return march_rays(
            origins, directions, person.portrait.occupied, box=march.box, max_samples=march.max_samples, step=march.step
        )

    n_samples = run().n_samples
    return _case(person, "march_rays", f"{len(origins)} rays, {n_samples} samples", len(origins), "rays", run)


def march_train(person: Person) -> Case:
    """The rays of a step, jittered."""
    directions, run = _training_rays(person)
    n_samples = run().n_samples
    return _case(person, "march_rays", f"{len(directions)} rays, {n_samples} samples", len(directions), "rays", run)


def composite_render(person: Person) -> Case:
    """The first wave of a frame's head."""
    origins, directions = person.rays
    samples = march_rays(origins, directions, person.portrait.occupied, box=HEAD_BOX, max_samples=WAVE)
    density, values = _answers(person, samples, directions)

    def run() -> Sequence[Tensor]:
        return composite(density, values, samples.steps, samples.ray_starts)

    what = f"{samples.n_rays} rays, {samples.n_samples} samples"
    return _case(person, "composite", what, samples.n_samples, "samples", run)


def composite_train(person: Person) -> Case:
    """A step's samples, with the gradients of density and colour."""
    directions, march = _training_rays(person)
    samples = march()
    density, values = (answer.requires_grad_() for answer in _answers(person, samples, directions))

    def forward() -> Sequence[Tensor]:
        return composite(density, values, samples.steps, samples.ray_starts)[:3]

    what = f"{samples.n_rays} rays, {samples.n_samples} samples, forward and back"
    run = _there_and_back(forward, [density, values])
    return _case(person, "composite", what, samples.n_samples, "samples", run)


def distortion_train(person: Person) -> Case:
    """How spread out a step's weights are, with their gradient."""
    directions, march = _training_rays(person)
    samples = march()
    density, values = _answers(person, samples, directions)
    weights = composite(density, values, samples.steps, samples.ray_starts).weights.requires_grad_()

    def forward() -> Sequence[Tensor]:
        return [distortion(weights, samples.t, samples.steps, samples.ray_starts)]

    what = f"{samples.n_rays} rays, {samples.n_samples} samples, forward and back"
    return _case(person, "distortion", what, samples.n_samples, "samples", _there_and_back(forward, [weights]))


def _case(person: Person, operation: str, what: str, work: int | float, unit: str, run: Callable[[], object]) -> Case:
    names = backends(person.device, operation)
    return Case(what, work, unit, {name: Competitor(run, under=partial(on_backend, name)) for name in names})


def _encoding(
    person: Person, operation: str, encode: Callable[[], Tensor], points: Tensor, leaves: Sequence[Tensor]
) -> Case:
    n = len(points)
    run = _there_and_back(lambda: [encode()], leaves)
    return _case(person, operation, f"{n} points" + (", forward and back" if leaves else ""), n, "points", run)


def _there_and_back(forward: Callable[[], Sequence[Tensor]], leaves: Sequence[Tensor]) -> Callable[[], object]:
    """The outputs and, for fixed upstream gradients, the gradients of `leaves`."""
    if not leaves:
        return forward
    upstream = [_like(value) for value in forward()]

    def run() -> object:
        outputs = forward()
        return *outputs, *torch.autograd.grad(list(outputs), list(leaves), upstream)

    return run


def _training_rays(person: Person) -> tuple[Tensor, Callable[[], RaySamples]]:
    """Directions of the rays of a step of training, and their march."""
    trainer = person.head
    batch = trainer.rays.draw(person.head_stage, person.n_rays, 0, np.random.default_rng(0))
    jitter = torch.rand(len(batch.origins), generator=torch.Generator().manual_seed(0)).to(person.device)

    def march() -> RaySamples:
        return march_rays(
            batch.origins,
            batch.directions,
            person.portrait.occupied,
            box=HEAD_BOX,
            step=trainer.march.step,
            max_samples=trainer.march.max_samples,
            jitter=jitter,
            pad_to=CHUNK,
        )

    return batch.directions, march


def _points(person: Person) -> Tensor:
    """As many places as a field is asked for at once, where rays of training meet what is occupied."""
    return _training_rays(person)[1]().positions[:CHUNK].clone()


def _answers(person: Person, samples: RaySamples, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Density of the samples, and what is averaged of them: colour and distance."""
    density, colour = person.frozen()(samples.positions, directions, samples.ray_ids)
    return density.clone(), torch.cat([colour, samples.t[:, None]], dim=1)


def _random(person: Person, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(person.device)


def _like(value: Tensor) -> Tensor:
    return torch.randn(value.shape, generator=torch.Generator().manual_seed(3)).to(value)
