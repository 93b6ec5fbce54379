"""How the torso follows the head: recovered from pictures that move by a known rule, refused where there is no rule."""

import cv2
import numpy as np
import pytest
import torch

from loquent.fields.torso_follow import TorsoFollow
from loquent.training.torso_follow import fit_torso_follow

SIZE = 96


def nodding_poses(count: int, generator: np.random.Generator) -> torch.Tensor:
    """Frontal cameras around a head that shifts sideways and up, smoothly."""
    frontal = torch.tensor([[0.0, -1, 0, 0], [0, 0, -1, 3], [1, 0, 0, 0], [0, 0, 0, 1]])
    poses = frontal.repeat(count, 1, 1)
    steps = generator.standard_normal((count, 2)) * 0.02
    poses[:, [0, 2], 3] = torch.from_numpy(steps).float()
    return poses


def textured(generator: np.random.Generator) -> np.ndarray:
    noise = generator.integers(0, 256, (SIZE // 4, SIZE // 4, 3)).astype(np.uint8)
    return cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def test_a_torso_that_moves_with_the_head_comes_to_rest() -> None:
    generator = np.random.default_rng(0)
    cloth, poses = textured(generator), nodding_poses(60, generator)
    shift_px = poses[:, [2, 0], 3].numpy() * [60.0, 40.0]  # columns with z, rows with x

    def picture(i: int) -> np.ndarray:
        matrix = np.float32([[1, 0, shift_px[i, 0]], [0, 1, shift_px[i, 1]]])
        return cv2.warpAffine(cloth, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)

    inner = np.zeros((SIZE, SIZE), bool)
    inner[12:-12, 12:-12] = True
    reference = 7
    follow = fit_torso_follow(picture, inner, reference, poses)
    a_point = torch.tensor([[0.2, -0.3]])
    half = (SIZE - 1) / 2
    for i in (0, 20, 59):
        moved = a_point + torch.from_numpy((shift_px[i] - shift_px[reference])[::-1].copy()).float() / half
        assert torch.allclose(follow(moved, poses[i : i + 1]), a_point, atol=0.25 / half)


def test_a_torso_that_moves_by_itself_is_left_alone() -> None:
    generator = np.random.default_rng(1)
    cloth, poses = textured(generator), nodding_poses(60, generator)
    own = generator.standard_normal((60, 2)) * 2

    def picture(i: int) -> np.ndarray:
        matrix = np.float32([[1, 0, own[i, 0]], [0, 1, own[i, 1]]])
        return cv2.warpAffine(cloth, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)

    follow = fit_torso_follow(picture, np.ones((SIZE, SIZE), bool), 0, poses)
    assert float(follow.weight.abs().sum()) == 0


@pytest.mark.parametrize("count", [1, 5])
def test_few_frames_or_no_texture_give_the_identity(count: int) -> None:
    poses = nodding_poses(count, np.random.default_rng(2))
    follow = fit_torso_follow(lambda i: np.full((SIZE, SIZE, 3), 90, np.uint8), np.ones((SIZE, SIZE), bool), 0, poses)
    plane = torch.rand(9, 2)
    assert torch.equal(follow(plane, poses[:1]), plane)


def test_poses_far_outside_the_training_range_are_not_extrapolated() -> None:
    follow = TorsoFollow()
    follow.weight[4, 3] = 0.1
    near, far = nodding_poses(2, np.random.default_rng(3)).split(1)
    near[0, :3, 3], far[0, :3, 3] = torch.tensor([-3.0, 3, 0]), torch.tensor([-90.0, 3, 0])
    origin = torch.zeros(1, 2)
    assert torch.allclose(follow(origin, near), follow(origin, far), atol=1e-6)


def test_several_frames_agree_with_one_at_a_time() -> None:
    follow = TorsoFollow()
    torch.nn.init.normal_(follow.weight, std=0.01, generator=torch.Generator().manual_seed(0))
    poses, plane = nodding_poses(3, np.random.default_rng(4)), torch.rand(7, 2)
    of_pixel = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    together = follow(plane, poses, of_pixel)
    for i in range(7):
        assert torch.allclose(together[i], follow(plane[i : i + 1], poses[of_pixel[i]][None])[0], atol=1e-7)
