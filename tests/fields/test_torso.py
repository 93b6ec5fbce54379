"""The torso: sizes, the published anchor projections, and the whole field written out in numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from loquent.fields.torso import ErNerfTorso, ErNerfTorsoConfig
from loquent.fields.torso_field import TorsoPixels
from loquent.testing import assert_values_match

FRONTAL = [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 2.8], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
"""A camera at distance 2.8 looking at the face: SPEC 1.3's test vector."""


NOTHING = TorsoPixels(torch.zeros(0), torch.zeros(0, 3))


def lively_torso() -> ErNerfTorso:
    torch.manual_seed(5)
    torso = ErNerfTorso(ErNerfTorsoConfig(n_codes=4))
    with torch.no_grad():
        torso.grid.table.uniform_(-1, 1)
        torso.anchors.add_(torch.randn(3, 4) * 0.03)
        for weight in torso.torso_net.weights:
            weight.mul_(3)
    return torso


def some_poses(n: int) -> Tensor:
    """Frontal cameras, turned and moved a little."""
    generator = torch.Generator().manual_seed(n)
    rotation, _ = torch.linalg.qr(torch.eye(3) + 0.2 * torch.randn(n, 3, 3, generator=generator))
    rotation = rotation * torch.linalg.det(rotation)[:, None, None]
    turn = torch.eye(4).repeat(n, 1, 1)
    turn[:, :3, :3] = rotation
    poses = turn @ torch.tensor(FRONTAL)
    poses[:, :3, 3] += 0.1 * torch.randn(n, 3, generator=generator)
    return poses


def torso_by_hand(torso: ErNerfTorso, pixel: np.ndarray, pose: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Alpha and colour of one pixel in float64, from SPEC 3.1 alone."""
    weights = {name: value.detach().double().numpy() for name, value in torso.state_dict().items()}

    def frequencies(v: np.ndarray, octaves: int) -> np.ndarray:
        waves = [wave(2.0**k * v) for k in range(octaves) for wave in (np.sin, np.cos)]
        return np.concatenate([v, *waves])

    def network(name: str, v: np.ndarray) -> np.ndarray:
        for layer in range(3):
            v = weights[f"{name}.layers.{layer}.weight"] @ v
            v = np.maximum(v, 0) if layer < 2 else v
        return v

    seen = [np.linalg.inv(pose) @ anchor for anchor in weights["anchors"]]
    anchors = np.concatenate([point[:2] / (point[3] * point[2]) for point in seen])
    inputs = np.concatenate([frequencies(0.8 * pixel, 8), frequencies(anchors, 3), code])
    place = (np.clip(0.8 * pixel + network("deform_net", inputs), -1, 1) + 1) / 2

    features, first = [], 0
    for level in range(16):
        real = 16 * 2 ** (level * 7 / 15)
        lines = int(np.ceil(real)) + 1
        size = int(np.ceil(min(2**16, lines**2) / 8)) * 8
        position = place * (real - 1) + 0.5
        corner, part = np.floor(position).astype(int), position - np.floor(position)
        value = np.zeros(2)
        for a in (0, 1):
            for b in (0, 1):
                share = (part[0] if a else 1 - part[0]) * (part[1] if b else 1 - part[1])
                value += share * weights["grid.table"][first + (corner[0] + a + (corner[1] + b) * lines) % size]
        features.append(value)
        first += size
    output = network("torso_net", np.concatenate([*features, inputs]))
    return 1.002 / (1 + np.exp(-output)) - 0.001


def test_parameter_count_of_the_released_model() -> None:
    torso = ErNerfTorso(ErNerfTorsoConfig())
    assert sum(parameter.numel() for parameter in torso.parameters()) == 1_199_692


def test_anchors_of_a_frontal_camera() -> None:
    projected = ErNerfTorso(ErNerfTorsoConfig(n_codes=1)).project_anchors(torch.tensor([FRONTAL]))
    published = torch.tensor([[[0.0358, -0.0036], [0.0345, 0.0345], [0.0345, -0.0345]]])
    assert_values_match(projected.detach(), published, atol=6e-5, rtol=0.0)


def test_field_written_out() -> None:
    torso, poses = lively_torso(), some_poses(3)
    frame_of_pixel = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1, 2, 0, 0])
    pixels = torch.rand(11, 2, generator=torch.Generator().manual_seed(2)) * 2 - 1
    pixels[0], pixels[1] = torch.tensor([-1.0, 1.0]), torch.tensor([1.0, -1.0])
    shown: TorsoPixels = torso(pixels, poses, torso.codes[1:4], frame_of_pixel)
    for i, frame in enumerate(frame_of_pixel.tolist()):
        code = torso.codes[1 + frame].detach().double().numpy()
        truth = torso_by_hand(torso, pixels[i].double().numpy(), poses[frame].double().numpy(), code)
        got = torch.cat([shown.alpha[i, None], shown.colour[i]]).detach().double().numpy()
        np.testing.assert_allclose(got, truth, atol=3e-4)
    assert shown.alpha.std() > 0.05, "the field is too flat to tell"


def test_one_frame_needs_no_frame_of_pixel() -> None:
    torso, poses = lively_torso(), some_poses(1)
    pixels = torch.rand(9, 2) * 2 - 1
    one = torso(pixels, poses, torso.test_code(1))
    same = torso(pixels, poses, torso.codes[:1], torch.zeros(9, dtype=torch.int64))
    assert_values_match(one, same)


def test_every_parameter_receives_a_gradient() -> None:
    torso = lively_torso()
    shown: TorsoPixels = torso(torch.rand(200, 2) * 2 - 1, some_poses(2), torso.codes[:2], torch.arange(200) % 2)
    (shown.alpha.sum() + shown.colour.square().sum() + torso.regulariser(NOTHING)).backward()
    for name, parameter in torso.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_anchor_weight_loss_is_zero_at_the_start() -> None:
    torso = ErNerfTorso(ErNerfTorsoConfig(n_codes=1))
    assert torso.regulariser(NOTHING) == 0
    with torch.no_grad():
        torso.anchors[1, 3] = 0.7
    assert torso.regulariser(NOTHING).item() == pytest.approx(0.09 / 3)


def test_optimiser_groups_hold_every_parameter_once() -> None:
    torso = ErNerfTorso(ErNerfTorsoConfig(n_codes=1))
    groups = torso.parameter_groups()
    counted = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(counted) == sorted(id(parameter) for parameter in torso.parameters())
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1e-2, 0.01), (1e-3, 0.0)]
