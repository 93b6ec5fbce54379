"""Poses, rays and projection: worked numbers, round trips, and the original program's (stored golden arrays)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from loquent.geometry.cameras import Camera, pixel_plane, pixel_rays, project, stored_from_volume, volume_from_stored

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "golden_data.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    if not GOLDEN.is_file():
        pytest.skip("needs ../shared/golden, which is not beside this checkout")
    names = ("c2w", "ngp_scale4", "ngp_scale033_offset", "bg_coords_12x16")
    with np.load(GOLDEN) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files if name in names or "rays_" in name}


def a_pose(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    pose = torch.eye(4, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    pose[:3, :3] = rotation * torch.linalg.det(rotation).sign()
    pose[:3, 3] = torch.randn(3, generator=generator, dtype=torch.float64)
    return pose


def test_worked_pose() -> None:
    """SPEC 1.3: no rotation, 0.7 m away."""
    stored = torch.eye(4)
    stored[2, 3] = 0.7
    expected = torch.tensor([[0, -1.0, 0, 0], [0, 0, -1.0, 2.8], [1.0, 0, 0, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(volume_from_stored(stored), expected)


def test_golden_poses(golden: dict[str, Tensor]) -> None:
    torch.testing.assert_close(volume_from_stored(golden["c2w"]), golden["ngp_scale4"], rtol=0, atol=1e-6)
    shifted = volume_from_stored(golden["c2w"], scale=0.33, offset=(0.1, -0.2, 0.3))
    torch.testing.assert_close(shifted, golden["ngp_scale033_offset"], rtol=0, atol=1e-6)


def test_stored_poses_come_back() -> None:
    poses = torch.stack([a_pose(1), a_pose(2)])
    torch.testing.assert_close(stored_from_volume(volume_from_stored(poses)), poses)
    offset = (0.1, -0.2, 0.3)
    torch.testing.assert_close(stored_from_volume(volume_from_stored(poses, 0.33, offset), 0.33, offset), poses)
    assert torch.linalg.det(volume_from_stored(poses)[:, :3, :3]).tolist() == pytest.approx([1.0, 1.0])


def test_golden_rays(golden: dict[str, Tensor]) -> None:
    fx, fy, cx, cy = golden["rays_intrinsics"].tolist()
    camera = Camera(12, 16, fx, fy, cx, cy)
    place = golden["rays_inds"].long()
    origins, directions = pixel_rays(golden["rays_pose"][None], camera, place // 16, place % 16)
    torch.testing.assert_close(origins, golden["rays_o"], rtol=0, atol=1e-6)
    torch.testing.assert_close(directions, golden["rays_d"], rtol=0, atol=1e-6)
    place = golden["rays_rect_inds"].long()
    _, directions = pixel_rays(golden["rays_pose"][None], camera, place // 16, place % 16)
    torch.testing.assert_close(directions, golden["rays_rect_d"], rtol=0, atol=1e-6)
    assert place[0] == 2 * 16 + 3  # rows 2..6, columns 3..8


def test_golden_picture_plane(golden: dict[str, Tensor]) -> None:
    place = torch.arange(12 * 16)
    plane = pixel_plane(place // 16, place % 16, Camera.centred(12, 16, 20.0))
    torch.testing.assert_close(plane, golden["bg_coords_12x16"].view(-1, 2), rtol=0, atol=1e-6)
    assert plane[16].tolist() == pytest.approx([-1 + 2 / 11, -1.0])  # row first


def test_a_point_on_a_ray_projects_to_the_pixels_centre() -> None:
    camera, pose = Camera(40, 60, 90.0, 80.0, 33.0, 15.0), a_pose(3)
    rows, columns = torch.tensor([0, 7, 39]), torch.tensor([59, 3, 0])
    origins, directions = pixel_rays(pose[None], camera, rows, columns)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(3, dtype=torch.float64))
    points = origins + directions * torch.tensor([[0.5], [2.0], [9.0]], dtype=torch.float64)
    expected = torch.stack([columns, rows], dim=1) + 0.5
    torch.testing.assert_close(project(points, pose, camera), expected.double())


def test_one_pose_for_each_ray() -> None:
    camera = Camera.centred(20, 30, 40.0)
    poses = torch.stack([a_pose(1), a_pose(2)])
    rows, columns = torch.tensor([3, 11]), torch.tensor([8, 0])
    origins, directions = pixel_rays(poses, camera, rows, columns)
    for i in range(2):
        one = pixel_rays(poses[i : i + 1], camera, rows[i : i + 1], columns[i : i + 1])
        torch.testing.assert_close(origins[i : i + 1], one[0])
        torch.testing.assert_close(directions[i : i + 1], one[1])


def test_a_resized_camera_sees_the_same_rays() -> None:
    camera = Camera(40, 60, 90.0, 80.0, 33.0, 15.0)
    points = torch.tensor([[0.3, -0.2, 3.0], [-1.0, 0.4, 2.0]])
    before, after = (project(points, torch.eye(4), view) for view in (camera, camera.resized(20, 15)))
    torch.testing.assert_close(after, before * torch.tensor([0.25, 0.5]))
