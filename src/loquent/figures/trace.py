"""What a head says along the rays of a picture: how much of it there is, where its surface lies, how it attends."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from loquent.fields.head import HeadCondition, HeadSamples
from loquent.geometry.cameras import pixel_rays
from loquent.portrait import Portrait
from loquent.rendering.layers import Region, box_region
from loquent.rendering.occupancy import occupied_box
from loquent.rendering.render import Field, FieldSamples, render_head

HALF = 0.5
"""A ray meets the head where at least this share of its light ends in it."""


@dataclass(frozen=True)
class Traced:
    """A head along the rays of a picture of the portrait's size."""

    opacity: Float[np.ndarray, "height width"]
    """Share of the light that ends in the head."""
    averaged: dict[str, Float[np.ndarray, "height width"]]
    """What was asked for, weighted like colour and divided by the opacity; 0 where there is no head."""

    @property
    def is_head(self) -> Bool[np.ndarray, "height width"]:
        """Pixels that show mostly head."""
        return np.asarray(self.opacity >= HALF)

    @property
    def surface(self) -> Float[np.ndarray, "height width 3"]:
        """Mean place, in the volume frame, where the light of each pixel ends; of :func:`trace_surface`."""
        return np.stack([self.averaged[axis] for axis in "xyz"], axis=-1)


def trace_attention(
    portrait: Portrait,
    world_from_camera: Float[Tensor, "4 4"],
    condition: Float[Tensor, "condition_width"],
    eye: Float[Tensor, "eye_width"],
) -> Traced:
    """Attention to the sound and to the eye along rays (ER-NeRF, Figure 4), averaged as ``"sound"`` and ``"eye"``.

    Zero everywhere in fields that have no such measure, see `loquent.fields.head.HeadSamples`. Arguments as in
    :meth:`loquent.portrait.Portrait.render`.
    """
    at = _condition(portrait, condition, eye)

    def ask(positions: Tensor, directions: Tensor, ray_ids: Tensor) -> FieldSamples:
        said: HeadSamples = portrait.head(positions, directions[ray_ids], at, with_uncertainty=False)
        attention = {"sound": said.audio_attention, "eye": said.eye_attention}
        return FieldSamples(said.density, said.colour, averaged=attention)

    return _trace(portrait, world_from_camera, ask)


def trace_surface(
    portrait: Portrait,
    world_from_camera: Float[Tensor, "4 4"],
    condition: Float[Tensor, "condition_width"],
    eye: Float[Tensor, "eye_width"],
) -> Traced:
    """Where the density stops rays (ER-NeRF, Figure 3); arguments as in :meth:`loquent.portrait.Portrait.render`.

    Samples lie half as far apart as in a picture: surfaces are judged more finely than colours.
    """
    at = _condition(portrait, condition, eye)

    def ask(positions: Tensor, directions: Tensor, ray_ids: Tensor) -> FieldSamples:
        x, y, z = positions.unbind(1)
        density = portrait.head.density(positions, at)
        return FieldSamples(density, torch.zeros_like(positions), averaged={"x": x, "y": y, "z": z})

    return _trace(portrait, world_from_camera, ask, finer=2)


def _condition(portrait: Portrait, condition: Tensor, eye: Tensor) -> HeadCondition:
    device = portrait.device
    return portrait.head.test_condition(condition.to(device)[None], eye.to(device)[None])


@torch.inference_mode()
def _trace(portrait: Portrait, world_from_camera: Float[Tensor, "4 4"], ask: Field, *, finer: int = 1) -> Traced:
    camera, device = portrait.camera, portrait.device
    region = box_region(occupied_box(portrait.occupied.cpu()), world_from_camera, camera)
    rows, columns = region.pixels()
    origins, directions = pixel_rays(world_from_camera.to(device)[None], camera, rows.to(device), columns.to(device))
    settings = portrait.march
    # Even rounds for imported portraits, too: their own may only be asked for whole pictures, and change no surface.
    march = replace(settings, step=settings.step / finer, max_samples=settings.max_samples * finer, rounds="even")
    seen = render_head(ask, origins, directions, portrait.occupied, march=march)
    opacity = seen.opacity.clamp(0, 1)
    share = opacity.clamp(min=1e-6)
    shown = {
        name: _picture(values / share, region, camera.height, camera.width) for name, values in seen.averaged.items()
    }
    return Traced(_picture(opacity, region, camera.height, camera.width), shown)


def _picture(values: Float[Tensor, "pixels"], region: Region, height: int, width: int) -> np.ndarray:
    picture = np.zeros((height, width), np.float32)
    inside = values.cpu().numpy().reshape(region.height, region.width)
    picture[region.top : region.bottom, region.left : region.right] = inside
    return picture
