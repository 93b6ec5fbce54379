"""From rays to colours: march through the occupied cells, or place samples as a method does, ask the field, composite.

SPEC 2.6, 2.7.

`render_samples` is the differentiable way, for training: every sample at once. `render_waves` is for pictures: a few
samples of every ray that still sees something, then the next few, so that what lies behind a surface is never computed.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from loquent.ops.composite import STOP_TRANSMITTANCE, composite, sum_along_rays
from loquent.ops.ray_march import PAPER_STEP, Box, RaySamples, march_rays
from loquent.rendering.occupancy import HEAD_BOX, occupied_box

CHUNK = 8192
"""Samples a field is asked for at once: always this many, because changing shapes make matrix products slow."""
PLACED_RAYS = 8192
"""Rays whose samples a method places at once: there may be hundreds on a ray, which are not to be held for a whole picture."""


@dataclass(frozen=True)
class FieldSamples:
    """What a field says about each sample."""

    density: Float[Tensor, "samples"]
    """Not negative, per volume unit."""
    colour: Float[Tensor, "samples 3"]
    """RGB, about [0, 1]."""
    averaged: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    """Further values [samples] that are weighted like colour, such as uncertainty."""
    summed: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    """Further values [samples] that are plainly summed along the ray, such as attention (SPEC 2.7)."""


Field = Callable[[Float[Tensor, "samples 3"], Float[Tensor, "rays 3"], Int[Tensor, "samples"]], FieldSamples]
"""From positions, directions and ray ids: sample i lies at ``positions[i]``, seen along ``directions[ray_ids[i]]``."""

Placement = Callable[[Float[Tensor, "rays 3"], Float[Tensor, "rays 3"], Box], RaySamples]
"""From origins and directions of rays and the box around the head to the samples that a method wants of its field."""


@dataclass(frozen=True)
class MarchSettings:
    """How rays are sampled; the defaults are the papers'."""

    box: Box = HEAD_BOX
    """Where samples are made."""
    max_samples: int = 16
    """Most samples of a ray."""
    step: float = PAPER_STEP
    """Distance between samples, in volume units."""
    min_near: float = 0.05
    """Smallest distance of a sample to the camera, in volume units."""
    rounds: Literal["even", "original"] = "even"
    """How many samples live rays get at a time: always a few, or as in the original programs, which may exceed
    `max_samples` by up to 7 (SPEC 8.1.15); imported portraits have these."""


@dataclass(frozen=True)
class RenderedRays:
    """What a ray sees of the field, with nothing behind it."""

    colour: Float[Tensor, "rays 3"]
    """Weighted by opacity already: lay it over a background with ``colour + (1 - opacity) * background``."""
    opacity: Float[Tensor, "rays"]
    """Share of the light that ends in the field."""
    depth: Float[Tensor, "rays"]
    """Opacity-weighted distance within the box: 0 at its front (and for rays that miss), 1 at its back (SPEC 2.7)."""
    averaged: dict[str, Tensor]
    """The field's averaged values, [rays] each."""
    summed: dict[str, Tensor]
    """The field's summed values, [rays] each."""
    n_samples: Int[Tensor, "rays"]
    """Samples the field was asked for."""
    weights: Float[Tensor, "samples"] | None = None
    """Weight of every sample, differentiable; only from :func:`render_samples`."""


def render_samples(
    field: Field,
    samples: RaySamples,
    directions: Float[Tensor, "rays 3"],
    *,
    chunk: int = CHUNK,
) -> RenderedRays:
    """Ask the field at every sample and composite, with gradients.

    `samples` should be padded to a multiple of `chunk`.
    """
    answers = _ask(field, samples.positions, directions, samples.ray_ids, chunk)
    values = torch.cat([answers.colour, samples.t[:, None], *_columns(answers.averaged)], dim=1)
    result = composite(answers.density, values, samples.steps, samples.ray_starts)
    sums = _plain_sums(answers, samples.ray_starts, result.n_used)
    return _rendered(
        samples, answers, result.pixels, result.opacity, sums, samples.ray_starts.diff(), weights=result.weights
    )


Waves = Callable[[int, int], int]
"""From the number of all rays and of those still live to the number of samples each gets next."""


def equal_waves(n: int) -> Waves:
    """Always `n` samples a wave."""
    return lambda n_rays, n_live: n


FOUR_AT_ONCE = equal_waves(4)


ORIGINAL_EXCESS = 7
"""Samples by which the original renderer's last round may exceed the most samples of a ray."""


def original_waves(n_rays: int, n_live: int) -> int:
    """The original renderer's: as many as keep the work of each round level, at most 8 (SPEC 2.6)."""
    return min(max(n_rays // n_live, 1), 8)


@torch.no_grad()
def render_waves(
    field: Field,
    samples: RaySamples,
    directions: Float[Tensor, "rays 3"],
    *,
    max_samples: int = 16,
    waves: Waves = FOUR_AT_ONCE,
    chunk: int = CHUNK,
    stop_transmittance: float = STOP_TRANSMITTANCE,
) -> RenderedRays:
    """Render without gradients, wave after wave, dropping rays that are opaque or have no samples left.

    No wave starts once every ray had `max_samples`. The original's waves may then have given up to 7 more (SPEC 8.1.15);
    to have those, march with ``max_samples + ORIGINAL_EXCESS``.
    """
    n_rays, device = samples.n_rays, directions.device
    counts = samples.ray_starts.diff()
    live = torch.arange(n_rays, device=device)
    given = 0
    total, opacity = samples.near.new_zeros(0), samples.near.new_zeros(n_rays)
    sums, asked = samples.near.new_zeros(0), torch.zeros(n_rays, dtype=torch.int64, device=device)
    answers: FieldSamples | None = None
    while given < max_samples:
        n = waves(n_rays, max(len(live), 1))
        live = live[counts[live] > given]
        if len(live) == 0 and answers is not None:
            break
        taken = (counts[live] - given).clamp(max=n)
        places = torch.arange(n, device=device)
        index = (samples.ray_starts[live, None] + given + places)[places < taken[:, None]]
        starts = functional.pad(taken.cumsum(0), (1, 0))

        answers = _ask(field, samples.positions[index], directions, samples.ray_ids[index], chunk)
        values = torch.cat([answers.colour, samples.t[index, None], *_columns(answers.averaged)], dim=1)
        result = composite(
            answers.density,
            values,
            samples.steps[index],
            starts,
            transmittance=1 - opacity[live],
            stop_transmittance=stop_transmittance,
        )
        wave_sums = _plain_sums(answers, starts, result.n_used)
        if given == 0:
            total, sums = values.new_zeros(n_rays, values.shape[1]), wave_sums.new_zeros(n_rays, wave_sums.shape[1])
        total[live] += result.pixels
        sums[live] += wave_sums
        asked[live] += taken
        # Light left before a ray's last sample decides whether it goes on, as within a wave.
        before_last = 1 - opacity[live] - (result.opacity - result.weights[starts[1:] - 1])
        opacity[live] += result.opacity
        live = live[(taken == n) & (before_last >= stop_transmittance)]
        given += n
    assert answers is not None
    return _rendered(samples, answers, total, opacity, sums, asked)


def render_head(
    field: Field,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    occupied: Bool[Tensor, "cells cells cells"],
    *,
    march: MarchSettings = MarchSettings(),
    place: Placement | None = None,
    wave: int = 4,
    chunk: int = CHUNK,
) -> RenderedRays:
    """Render rays of a picture, without gradients or jitter; `wave` samples at a time in even rounds.

    Samples come from a march through the occupied cells. A method that places them itself (`place`) is told the box around
    those cells. Original rounds need all rays of the picture in one call.
    """
    if place is not None:
        return _render_placed(field, origins, directions, place, occupied_box(occupied, march.box), wave, chunk)
    is_even = march.rounds == "even"
    samples = march_rays(
        origins,
        directions,
        occupied,
        box=march.box,
        max_samples=march.max_samples + (0 if is_even else ORIGINAL_EXCESS),
        min_near=march.min_near,
        step=march.step,
    )
    waves = equal_waves(wave) if is_even else original_waves
    return render_waves(field, samples, directions, max_samples=march.max_samples, waves=waves, chunk=chunk)


def _render_placed(
    field: Field, origins: Tensor, directions: Tensor, place: Placement, box: Box, wave: int, chunk: int
) -> RenderedRays:
    """Place and render the samples of some rays, then of the next."""
    parts = []
    for some in zip(torch.split(origins, PLACED_RAYS), torch.split(directions, PLACED_RAYS), strict=True):
        samples = place(*some, box)
        longest = int(samples.ray_starts.diff().max()) if samples.n_rays else 0
        waves = equal_waves(wave)
        parts.append(render_waves(field, samples, some[1], max_samples=max(longest, 1), waves=waves, chunk=chunk))
    return RenderedRays(
        colour=torch.cat([part.colour for part in parts]),
        opacity=torch.cat([part.opacity for part in parts]),
        depth=torch.cat([part.depth for part in parts]),
        averaged={name: torch.cat([part.averaged[name] for part in parts]) for name in parts[0].averaged},
        summed={name: torch.cat([part.summed[name] for part in parts]) for name in parts[0].summed},
        n_samples=torch.cat([part.n_samples for part in parts]),
    )


def depth_in_box(
    depth: Float[Tensor, "rays"], near: Float[Tensor, "rays"], far: Float[Tensor, "rays"]
) -> Float[Tensor, "rays"]:
    """Distance from the box's front as a share of the way through it; 0 where rays miss the box (SPEC 2.7)."""
    through = far - near
    return torch.where(through > 0, (depth - near).clamp(min=0) / torch.where(through > 0, through, 1), 0)


def _ask(field: Field, positions: Tensor, directions: Tensor, ray_ids: Tensor, chunk: int) -> FieldSamples:
    """The field's answers, asked in chunks of one size (and once, for the names it gives, when there is nothing to ask)."""
    n = len(positions)
    missing = -n % chunk
    if missing:
        positions, ray_ids = functional.pad(positions, (0, 0, 0, missing)), functional.pad(ray_ids, (0, missing))
    parts = [
        field(some, directions, ids)
        for some, ids in zip(torch.split(positions, chunk), torch.split(ray_ids, chunk), strict=True)
    ]
    if len(parts) == 1 and not missing:
        return parts[0]
    return FieldSamples(
        density=torch.cat([part.density for part in parts])[:n],
        colour=torch.cat([part.colour for part in parts])[:n],
        averaged={name: torch.cat([part.averaged[name] for part in parts])[:n] for name in parts[0].averaged},
        summed={name: torch.cat([part.summed[name] for part in parts])[:n] for name in parts[0].summed},
    )


def _columns(values: dict[str, Tensor]) -> list[Tensor]:
    return [column[:, None] for column in values.values()]


def _plain_sums(answers: FieldSamples, ray_starts: Tensor, n_used: Tensor) -> Tensor:
    if not answers.summed:
        return answers.density.new_zeros(len(n_used), 0)
    return sum_along_rays(torch.cat(_columns(answers.summed), dim=1), ray_starts, n_used)


def _rendered(
    samples: RaySamples,
    answers: FieldSamples,
    pixels: Tensor,
    opacity: Tensor,
    sums: Tensor,
    n_samples: Tensor,
    weights: Tensor | None = None,
) -> RenderedRays:
    """Name the columns that were composited together."""
    return RenderedRays(
        colour=pixels[:, :3],
        opacity=opacity,
        depth=depth_in_box(pixels[:, 3], samples.near, samples.far),
        averaged={name: pixels[:, 4 + i] for i, name in enumerate(answers.averaged)},
        summed={name: sums[:, i] for i, name in enumerate(answers.summed)},
        n_samples=n_samples,
        weights=weights,
    )
