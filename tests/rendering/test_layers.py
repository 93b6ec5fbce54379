"""Layers of a picture: blending, the head's region, the torso's occupancy."""

import pytest
import torch
from torch import Tensor

from loquent.geometry.cameras import Camera, pixel_plane, pixel_rays
from loquent.ops.ray_march import march_rays
from loquent.rendering.layers import Region, box_region, head_over, torso_over
from loquent.rendering.occupancy import HEAD_BOX, occupied_box
from loquent.rendering.torso import TorsoOccupancy, render_torso

FRONTAL = torch.tensor([[0, -1.0, 0, 0.1], [0, 0, -1.0, 2.8], [1.0, 0, 0, 0.2], [0, 0, 0, 1]])


def test_blending_in_order() -> None:
    plate = torch.tensor([[0.2, 0.4, 0.6]])
    behind = torso_over(torch.tensor([0.25]), torch.tensor([[1.0, 0.0, 1.0]]), plate)
    torch.testing.assert_close(behind, torch.tensor([[0.4, 0.3, 0.7]]))
    seen = head_over(torch.tensor([[0.5, 0.25, 0.7]]), torch.tensor([0.5]), behind)
    torch.testing.assert_close(seen, torch.tensor([[0.7, 0.4, 1.0]]))  # the last is clamped


def test_region_lists_pixels_row_by_row() -> None:
    rows, columns = Region(2, 4, 5, 8).pixels()
    assert rows.tolist() == [2, 2, 2, 3, 3, 3]
    assert columns.tolist() == [5, 6, 7, 5, 6, 7]


def test_no_ray_outside_the_region_meets_an_occupied_cell() -> None:
    camera = Camera(61, 75, 110.0, 90.0, 40.0, 25.0)
    occupied = torch.zeros(32, 32, 32, dtype=torch.bool)
    occupied[14:19, 10:20, 13:17] = True
    region = box_region(occupied_box(occupied), FRONTAL, camera)
    assert 0 < region.top < region.bottom < 61
    assert 0 < region.left < region.right < 75
    rows, columns = Region(0, 61, 0, 75).pixels()
    samples = march_rays(*pixel_rays(FRONTAL[None], camera, rows, columns), occupied, box=HEAD_BOX, max_samples=200)
    hit = samples.ray_starts.diff() > 0
    assert bool(hit.any())
    within = (rows >= region.top) & (rows < region.bottom) & (columns >= region.left) & (columns < region.right)
    assert not bool((hit & ~within).any())
    # and it is not much larger than needed
    assert region.height <= int(rows[hit].max() - rows[hit].min()) + 4
    assert region.width <= int(columns[hit].max() - columns[hit].min()) + 4


def test_regions_at_the_limits() -> None:
    camera = Camera.centred(40, 50, 60.0)
    inside = FRONTAL.clone()
    inside[1, 3] = 0.2
    assert box_region(HEAD_BOX, inside, camera) == Region(0, 40, 0, 50)
    aside = FRONTAL.clone()
    aside[0, 3] = 50.0  # the head is far below the picture
    region = box_region(HEAD_BOX, aside, camera)
    assert region.height == 0
    assert len(region.pixels()[0]) == 0


def lower_half(coordinates: Tensor) -> tuple[Tensor, Tensor]:
    """A torso that fills the lower third (first coordinate = row)."""
    return (coordinates[:, 0] > 0.33).float(), coordinates[:, :1].expand(-1, 3) * 0.5


def test_torso_is_asked_only_where_it_may_be() -> None:
    camera = Camera.centred(33, 21, 50.0)
    coordinates = pixel_plane(*Region(0, 33, 0, 21).pixels(), camera)
    occupancy = TorsoOccupancy(cells=32)
    assert bool(occupancy.is_occupied(coordinates).all())
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        occupancy.update(lower_half, generator=generator)
    asked = []

    def watched(some: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(some)
        return lower_half(some)

    alpha, colour = render_torso(watched, coordinates, occupancy)
    truth_alpha, truth_colour = render_torso(lower_half, coordinates)
    assert torch.equal(alpha, truth_alpha)
    assert torch.equal(colour[alpha > 0], truth_colour[alpha > 0])
    assert asked[0][:, 0].min() > 0  # five by five cells of margin above the torso's edge
    assert len(asked[0]) < 0.55 * len(coordinates)
    assert (colour[coordinates[:, 0] < 0] == 0).all()


def test_torso_occupancy_is_looked_up_row_first() -> None:
    occupancy = TorsoOccupancy(cells=16)
    occupancy.alpha.zero_()
    occupancy.alpha[15, 0] = 1.0
    corners = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]])
    assert occupancy.is_occupied(corners).tolist() == [True, False, False, False]


@pytest.mark.parametrize("with_occupancy", [True, False])
def test_torso_gradients(with_occupancy: bool) -> None:
    strength = torch.tensor(0.5, requires_grad=True)

    def torso(some: Tensor) -> tuple[Tensor, Tensor]:
        return strength * torch.ones(len(some)), strength * torch.ones(len(some), 3)

    coordinates = torch.rand(7, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    alpha, colour = render_torso(torso, coordinates, TorsoOccupancy(8) if with_occupancy else None)
    (alpha.sum() + colour.sum()).backward()
    assert strength.grad is not None
    assert strength.grad.item() == 28.0
