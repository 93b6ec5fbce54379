"""Occupancy by density and by visibility, and the cell arithmetic beneath, against loops over cells."""

import pytest
import torch
from torch import Tensor

from loquent.geometry.cameras import Camera, project
from loquent.rendering import cells as grid
from loquent.rendering.occupancy import HEAD_BOX, OccupancyGrid, VisibilityGrid, occupied_box

FRONTAL = torch.tensor([[0, -1.0, 0, 0], [0, 0, -1.0, 2.8], [1.0, 0, 0, 0], [0, 0, 0, 1]])


def ball(positions: Tensor) -> Tensor:
    return torch.where(positions.norm(dim=1) < 0.4, 50.0, 0.0)


def test_centres_and_indices_are_inverse() -> None:
    index = torch.randperm(15**3)[:200]
    centres = grid.cell_centres(index, 15)
    assert torch.equal(grid.cell_index(centres, 15), index)
    assert torch.equal(grid.cell_index(centres + (torch.rand(200, 3) - 0.5) * 0.99 * 2 / 15, 15), index)
    torch.testing.assert_close(grid.cell_centres(torch.tensor([0, 15**3 - 1]), 15)[:, 0], torch.tensor([-14, 14]) / 15)
    outside = torch.tensor([[-3.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert grid.cell_index(outside, 15).tolist() == [7 * 15 + 7, 15**3 - 1]


@pytest.mark.parametrize("kind", [torch.float32, torch.bool])
def test_dilation_looks_at_six_neighbours(kind: torch.dtype) -> None:
    values = (torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(0)) * 10).to(kind)
    if kind == torch.bool:
        values = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(0)) > 0.8
    wide = torch.nn.functional.pad(values.float(), (1,) * 6, value=-1.0)
    truth = values.float()
    for dx, dy, dz in [(0, 1, 1), (2, 1, 1), (1, 0, 1), (1, 2, 1), (1, 1, 0), (1, 1, 2)]:
        truth = truth.maximum(wide[dx : dx + 5, dy : dy + 6, dz : dz + 7])
    cube = torch.zeros(7, 7, 7, dtype=kind)
    cube[1:6, :6, :] = values
    if kind == torch.float32:
        cube = torch.full((7, 7, 7), -1.0)
        cube[1:6, :6, :] = values
    assert torch.equal(grid.dilate(cube)[1:6, :6, :].float(), truth)


def test_seen_cells_equal_a_projection_of_every_centre() -> None:
    camera = Camera(40, 60, 90.0, 80.0, 33.0, 15.0)
    turned = FRONTAL.clone()
    turned[:3, :3] = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(5)))[0]
    turned[:3, 3] = torch.tensor([0.2, 0.4, -0.3])  # inside the volume, so that part of it lies behind
    turned[:3, 0] *= torch.linalg.det(turned[:3, :3]).sign()
    poses = torch.stack([FRONTAL, turned])
    seen = grid.seen_cells(poses, camera, 16)
    centres, margin = grid.cell_centres(torch.arange(16**3), 16), 2 / 16
    truth = torch.zeros(16**3, dtype=torch.bool)
    for pose in poses:
        x, y, z = ((centres - pose[:3, 3]) @ pose[:3, :3]).unbind(1)
        u, v = x / z * camera.fx + camera.cx, y / z * camera.fy + camera.cy
        wide, high = margin * camera.fx / z, margin * camera.fy / z
        truth |= (z > 0) & (u > -wide) & (u < 60 + wide) & (v > -high) & (v < 40 + high)
    assert 0.1 < truth.float().mean() < 0.9
    assert torch.equal(seen.view(-1), truth)


def test_density_marks_a_ball_and_its_skin() -> None:
    occupancy = OccupancyGrid(cells=32)
    assert bool(occupancy.occupied.all())
    occupancy.update(ball, generator=torch.Generator().manual_seed(0), chunk=1000)
    distance = grid.cell_centres(torch.arange(32**3), 32).norm(dim=1).view(32, 32, 32)
    assert bool(occupancy.occupied[distance < 0.4 - 2 / 32].all())
    assert not bool(occupancy.occupied[distance > 0.4 + 6 / 32].any())


def test_density_fades_and_the_threshold_follows_the_mean() -> None:
    occupancy = OccupancyGrid(cells=8)
    generator = torch.Generator().manual_seed(0)
    occupancy.update(lambda x: torch.full((len(x),), 4.0), generator=generator)
    assert not bool(occupancy.occupied.any())  # nothing lies above the mean of a constant
    occupancy.update(lambda x: torch.where(x[:, 0] > 0, 5.0, 1.0), generator=generator)
    torch.testing.assert_close(occupancy.density[:3], torch.full((3, 8, 8), 4 * 0.95))
    assert bool(occupancy.occupied[3:].all())
    assert not bool(occupancy.occupied[:3].any())


def test_unseen_cells_never_come_back() -> None:
    camera = Camera.centred(48, 48, 150.0)
    occupancy, visibility = OccupancyGrid(cells=16), VisibilityGrid(cells=16)
    occupancy.mark_unseen(FRONTAL[None], camera)
    visibility.mark_unseen(FRONTAL[None], camera)
    unseen = ~grid.seen_cells(FRONTAL[None], camera, 16)
    assert 0 < int(unseen.sum()) < 16**3
    occupancy.update(lambda x: torch.arange(len(x)) + 20.0, generator=torch.Generator().manual_seed(0))
    assert bool((occupancy.density[unseen] == -1).all())
    assert not bool((occupancy.occupied & unseen).any())
    visibility.observe(grid.cell_centres(torch.arange(16**3), 16), torch.ones(16**3))
    visibility.update()
    assert not bool((visibility.occupied & unseen).any())


def test_visibility_gives_up_what_rays_cross_without_seeing() -> None:
    visibility = VisibilityGrid(cells=16)
    start = visibility.occupied.clone()
    assert torch.equal(start, grid.cells_in_box(HEAD_BOX, 16))
    centres = grid.cell_centres(torch.arange(16**3), 16).view(16, 16, 16, 3)
    crossed = centres[:8].reshape(-1, 3)
    seen = torch.tensor([[-0.44, 0.06, 0.06]])
    for _ in range(40):
        visibility.observe(crossed, torch.zeros(len(crossed)))
        visibility.observe(seen, torch.tensor([0.5]))
        visibility.update()
    kept = visibility.occupied[:7]
    assert int(kept.sum()) == 7  # the seen cell and its six neighbours
    assert bool(kept.view(-1)[grid.cell_index(seen, 16)])
    assert torch.equal(visibility.occupied[8:], start[8:])  # never sampled, never given up


def test_visibility_keeps_the_largest_weight() -> None:
    visibility = VisibilityGrid(cells=4, start=0.0)
    visibility.observe(torch.tensor([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]]), torch.tensor([0.7, 0.3]))
    assert visibility.visibility.max().item() == pytest.approx(0.7)
    visibility.update(decay=0.5)
    assert visibility.visibility.max().item() == pytest.approx(0.35)
    visibility.update(decay=0.5)  # not sampled since
    assert visibility.visibility.max().item() == pytest.approx(0.35)


def test_grids_are_restored_from_their_state() -> None:
    for first, second in [
        (OccupancyGrid(cells=8), OccupancyGrid(cells=8)),
        (VisibilityGrid(cells=8), VisibilityGrid(cells=8)),
    ]:
        first.occupied[2:5] = False
        second.load_state_dict(first.state_dict())
        assert torch.equal(first.occupied, second.occupied)


def test_occupied_box_is_tight() -> None:
    occupied = torch.zeros(16, 16, 16, dtype=torch.bool)
    assert occupied_box(occupied) == HEAD_BOX
    occupied[3, 7, 1] = occupied[9, 8, 15] = True
    assert occupied_box(occupied) == (-0.625, -0.125, -0.875, 0.25, 0.125, 1.0)


def test_bits_are_little_endian() -> None:
    flags = torch.zeros(16, dtype=torch.bool)
    flags[[0, 3, 15]] = True
    assert grid.pack_bits(flags).tolist() == [9, 128]
    assert torch.equal(grid.unpack_bits(grid.pack_bits(flags)), flags)


def test_carving_keeps_a_ball_and_rules_out_what_is_beside_it() -> None:
    camera = Camera.centred(48, 48, 120.0)
    rows, columns = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(48) + 0.5, indexing="ij")
    ball = ((rows - 24) ** 2 + (columns - 24) ** 2 < 15**2)[None]
    visibility = VisibilityGrid(cells=16)
    visibility.carve(FRONTAL[None], camera, ball)
    centres = grid.cell_centres(torch.arange(16**3), 16)
    u, v = project(centres, FRONTAL, camera).unbind(-1)
    inside = (u - 24) ** 2 + (v - 24) ** 2 < 13**2
    outside = (u - 24) ** 2 + (v - 24) ** 2 > 17**2  # cells that the picture does not show among them
    boxed = grid.cells_in_box(HEAD_BOX, 16).view(-1)
    assert bool(visibility.occupied.view(-1)[inside & boxed].all())
    assert not bool(visibility.occupied.view(-1)[outside].any())


def test_carving_forgives_a_few_faulty_mattes() -> None:
    camera = Camera.centred(48, 48, 120.0)
    inside = torch.ones(10, 48, 48, dtype=torch.bool)
    inside[:2] = False
    visibility = VisibilityGrid(cells=8)
    visibility.carve(FRONTAL.expand(10, 4, 4), camera, inside)
    assert bool(visibility.occupied[4, 4, 4])
    inside[:3] = False
    visibility.carve(FRONTAL.expand(10, 4, 4), camera, inside)
    assert not bool(visibility.occupied[4, 4, 4])
