"""AD-NeRF's two networks and how a ray is rendered with them, written out from SPEC 6.2."""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from loquent.fields.ad_nerf import AdNerfHead
from loquent.fields.ad_nerf_torso import AdNerfTorso
from loquent.fields.conditioned_nerf import NerfSizes

Field = TypeVar("Field", AdNerfHead, AdNerfTorso)


def enlivened(field: Field) -> Field:
    """Neither nothing nor a wall, and colours that differ: narrow layers as they start hand nothing on."""
    with torch.no_grad():
        for network in (field.coarse, field.fine):
            for layer in (*network.trunk, *network.view_net):
                layer.weight.mul_(2.2)
            network.density_layer.weight.mul_(15)
            network.density_layer.bias.fill_(2.0)
            network.colour_layer.weight.mul_(6)
    return field


class NerfByHand:
    """The method from SPEC 6.2, ray by ray in float64, with the background as the colour of an endless last sample."""

    def __init__(self, field: nn.Module, sizes: NerfSizes) -> None:
        self.sizes = sizes
        self.weights = {name: value.detach().double().requires_grad_() for name, value in field.named_parameters()}

    def colours(self, origin: Tensor, direction: Tensor, condition: Tensor, behind: Tensor) -> tuple[Tensor, Tensor]:
        sizes = self.sizes
        reach = float(origin.norm())
        z = np.linspace(reach - 4 * sizes.near_m, reach + 4 * sizes.far_m, sizes.n_coarse)
        coarse, weights = self.pixel("coarse", z, origin, direction, condition, behind)
        share = weights[1:-1] + 1e-5
        cdf = np.concatenate([[0], np.cumsum(share / share.sum())])
        drawn = np.interp(np.linspace(0, 1, sizes.n_fine), cdf, (z[1:] + z[:-1]) / 2)
        fine, _ = self.pixel("fine", np.sort(np.concatenate([z, drawn])), origin, direction, condition, behind)
        return coarse, fine

    def pixel(
        self, network: str, z: np.ndarray, origin: Tensor, direction: Tensor, condition: Tensor, behind: Tensor
    ) -> tuple[Tensor, np.ndarray]:
        steps, light = [*np.diff(z) / 4, 1e10], torch.ones((), dtype=torch.float64)
        pixel, weights = torch.zeros(3, dtype=torch.float64), []
        for i, (place, step) in enumerate(zip(z, steps, strict=True)):
            density, colour = self.sample(network, (origin + place * direction) / 4, direction, condition)
            alpha = 1 - torch.exp(-(density.relu() + 1e-6) * step)
            pixel = pixel + light * alpha * (behind if i == len(z) - 1 else colour.sigmoid())
            weights.append(float((light * alpha).detach()))
            light = light * (1 - alpha)
        return pixel, np.array(weights)

    def sample(self, network: str, metres: Tensor, direction: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        def layer(name: str, values: Tensor) -> Tensor:
            return self.weights[f"{network}.{name}.weight"] @ values + self.weights[f"{network}.{name}.bias"]

        inputs = torch.cat([waves(metres, 10), condition])
        hidden = inputs
        for i in range(8):
            hidden = layer(f"trunk.{i}", torch.cat([inputs, hidden]) if i == 5 else hidden).relu()
        density = layer("density_layer", hidden)[0]
        shade = torch.cat([hidden, waves(direction, 4)])
        for i in range(3):
            shade = layer(f"view_net.{i}", shade).relu()
        return density, layer("colour_layer", shade)


def waves(values: Tensor, octaves: int) -> Tensor:
    parts = [values]
    for octave in range(octaves):
        parts += [(2**octave * values).sin(), (2**octave * values).cos()]
    return torch.cat(parts)
