"""R2-Talker: its published size, the whole field written out in NumPy, and conditioning folded into the weights."""

import numpy as np
import pytest
import torch
from by_hand import network, sigmoid, tiled_features
from torch import Tensor

from loquent.errors import InputError
from loquent.fields.head import HeadCondition, unfolded
from loquent.fields.kinds import describe_field, freeze, make_head
from loquent.fields.r2_talker import FoldedR2Talker, R2TalkerConfig, R2TalkerHead, level_weights
from loquent.fields.rad_nerf import RadNerfConfig, RadNerfHead
from loquent.ops.directions import spherical_harmonics
from loquent.testing import assert_values_match


def lively_head(**sizes: object) -> R2TalkerHead:
    torch.manual_seed(4)
    head = R2TalkerHead(R2TalkerConfig(n_codes=5, **sizes))  # type: ignore[arg-type]
    with torch.no_grad():
        head.grid.table.uniform_(-1, 1)
        head.landmark_encoder.grid.table.uniform_(-1, 1)
        for net in head.style_nets:
            for weight in net.parameters():
                weight.mul_(1.7)
    return head


def some_landmarks(n_frames: int = 1) -> Tensor:
    """Most within the grid, a few beyond."""
    return torch.rand(n_frames, 5, 68, 3, generator=torch.Generator().manual_seed(8)) * 2.1 - 1.05


def some_samples(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    directions = torch.randn(n, 3, generator=generator)
    return torch.rand(n, 3, generator=generator) * 2 - 1, directions / directions.norm(dim=1, keepdim=True)


def some_condition(head: R2TalkerHead, n_frames: int = 1) -> HeadCondition:
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        encoded = head.encode(some_landmarks(n_frames))
    return HeadCondition(encoded, torch.rand(n_frames, 1, generator=generator), head.codes[:n_frames].detach())


def test_sizes_are_the_published_ones() -> None:
    def count(head: R2TalkerHead) -> int:
        return sum(values.numel() for values in head.parameters())

    assert count(R2TalkerHead(R2TalkerConfig())) == 9_022_640
    assert count(R2TalkerHead(R2TalkerConfig(has_eye=True))) == 9_022_704
    assert R2TalkerConfig().space.resolutions == (
        32, 43, 56, 74, 98, 128, 169, 223, 295, 389, 512, 676, 892, 1177, 1553, 2048,
    )  # fmt: skip


@torch.no_grad()
def test_landmarks_are_looked_up_frame_by_frame_point_by_point() -> None:
    head, landmarks = lively_head(), some_landmarks()
    encoded = head.encode(landmarks)[0].view(5, 68, 32)
    table = head.landmark_encoder.grid.table.double().numpy()
    for frame, point in ((0, 0), (2, 67), (4, 31)):
        where = landmarks[0, frame, point].double().numpy()
        inside = (np.abs(where) <= 1).all()
        wanted = tiled_features(table, where, 16, 32, 2048, 16) * inside
        np.testing.assert_allclose(encoded[frame, point], wanted, atol=5e-4)
    outside = (landmarks.abs() > 1).any(dim=-1)[0]
    assert 0 < int(outside.sum()) < outside.numel()
    assert (encoded[outside] == 0).all()


@torch.no_grad()
def test_the_field_equals_one_written_out_in_numpy() -> None:
    head = lively_head(has_eye=True)
    positions, directions = some_samples(12)
    condition = some_condition(head)
    shown = head(positions, directions, condition)
    weights = {name: value.double().numpy() for name, value in head.state_dict().items()}
    encoded, eye, code = (value[0].double().numpy() for value in (condition.audio, condition.eye, condition.code))
    styles = [network([weights[f"style_nets.{k}.layers.{i}.weight"] for i in range(3)], encoded) for k in range(2)]
    layers = [weights[f"density_net.layers.{i}.weight"] for i in range(3)]
    colour_layers = [weights[f"colour_net.layers.{i}.weight"] for i in range(2)]
    harmonics = spherical_harmonics(directions).double().numpy()
    for i, point in enumerate(positions.double().numpy()):
        values = np.concatenate([tiled_features(weights["grid.table"], point, 16, 32, 2048, 16), eye])
        for style, layer in zip(styles, layers[:2], strict=True):
            shift, scale = style[:64], style[64:]
            values = np.maximum((1 + scale) * (layer @ values) + shift, 0)
        hidden = layers[2] @ values
        colour = sigmoid(network(colour_layers, np.concatenate([harmonics[i], hidden[1:], code])))
        np.testing.assert_allclose(shown.density[i], np.exp(hidden[0]), rtol=2e-3)
        np.testing.assert_allclose(shown.colour[i], colour, atol=8e-4)


def test_the_folded_field_is_the_field() -> None:
    for sizes in ({}, {"has_eye": True, "levels": 4}):
        head = lively_head(**sizes)
        positions, directions = some_samples(30)
        condition, rays = some_condition(head), torch.arange(30) % 7
        folded = freeze(head, condition)
        assert isinstance(folded, FoldedR2Talker)
        assert_values_match(
            folded(positions, directions[:7], rays),
            unfolded(head, condition)(positions, directions[:7], rays),
            rtol=1e-4,
            atol=1e-5,
        )


def test_landmarks_and_eyes_change_the_density() -> None:
    head = lively_head(has_eye=True)
    positions, _ = some_samples(20)
    now = some_condition(head)
    still = head.density(positions, now)
    with torch.no_grad():
        other = head.encode(some_landmarks(2))[1:]
    assert not torch.allclose(head.density(positions, HeadCondition(other, now.eye, now.code)), still)
    assert not torch.allclose(head.density(positions, HeadCondition(now.audio, 1 - now.eye, now.code)), still)


@torch.no_grad()
def test_samples_of_several_frames_equal_frames_asked_alone() -> None:
    head = lively_head(levels=4)
    positions, directions = some_samples(21)
    condition, frame = some_condition(head, 3), torch.arange(21) % 3
    together = head(positions, directions, condition, frame)
    for k in range(3):
        alone = HeadCondition(*(value[k : k + 1] for value in (condition.audio, condition.eye, condition.code)))
        mine = frame == k
        single = head(positions[mine], directions[mine], alone)
        torch.testing.assert_close(together.density[mine], single.density, rtol=1e-4, atol=0)
        torch.testing.assert_close(together.colour[mine], single.colour, rtol=0, atol=1e-5)


def test_every_parameter_learns_and_belongs_to_one_group() -> None:
    head = lively_head(levels=4)
    positions, directions = some_samples(64)
    condition = HeadCondition(head.encode(some_landmarks(2)), torch.rand(2, 1), head.codes[:2])
    shown = head(positions, directions, condition, torch.arange(64) % 2)
    (shown.density.log().mean() + shown.colour.square().mean()).backward()
    for name, value in head.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name
    groups = head.parameter_groups()
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(id(p) for p in head.parameters())


def test_kind_and_sizes_make_the_same_field_again() -> None:
    head = lively_head(levels=4, n_landmarks=12, window=3)
    again = make_head(describe_field(head))
    assert again.config == head.config
    again.load_state_dict(head.state_dict())
    assert again.encode(torch.rand(2, 3, 12, 3)).shape == (2, 3 * 12 * 8)


def test_levels_come_in_as_published_in_the_proposal() -> None:
    """SPEC 7.4 for 16 levels: α rises from 4 to 16; level l weighs ½(1 - cos π·clip(α - l, 0, 1))."""
    for share, alpha in ((0.0, 4.0), (0.25, 7.0), (0.3125, 7.75), (1.0, 16.0), (3.0, 16.0)):
        wanted = [0.5 * (1 - np.cos(np.pi * np.clip(alpha - level, 0, 1))) for level in range(16)]
        np.testing.assert_allclose(level_weights(16, share), wanted, atol=1e-6)
    np.testing.assert_allclose(level_weights(16, 0.0), [1.0] * 4 + [0.0] * 12)
    np.testing.assert_allclose(level_weights(16, 1.0), 1.0, atol=1e-6)
    assert level_weights(3, 0.0).tolist() == [1.0] * 3


def test_masked_levels_learn_nothing_and_landmarks_are_never_masked() -> None:
    head = lively_head(levels=8)
    head.reveal(0.0)
    positions, directions = some_samples(64)
    condition = HeadCondition(head.encode(some_landmarks(2)), torch.rand(2, 1), head.codes[:2])
    shown = head(positions, directions, condition, torch.arange(64) % 2)
    (shown.density.log().mean() + shown.colour.square().mean()).backward()
    offsets = head.grid.layout.offsets
    for level in range(8):
        rows = slice(offsets[level], offsets[level + 1])
        assert head.grid.table.grad is not None
        assert head.landmark_encoder.grid.table.grad is not None
        assert (head.grid.table.grad[rows].abs().sum() > 0) == (level < 4), level
        assert head.landmark_encoder.grid.table.grad[rows].abs().sum() > 0


@torch.no_grad()
def test_the_folded_field_sees_the_same_levels_and_a_new_field_sees_all() -> None:
    head = lively_head(levels=8)
    positions, directions = some_samples(30)
    condition, rays = some_condition(head), torch.arange(30) % 7
    finished = head.density(positions, condition)
    head.reveal(0.3)
    assert not torch.allclose(head.density(positions, condition), finished)
    ask = (positions, directions[:7], rays)
    assert_values_match(freeze(head, condition)(*ask), unfolded(head, condition)(*ask), rtol=1e-4, atol=1e-5)
    assert "level_weights" not in head.state_dict(), "a moment of training would be kept in portraits"
    again = make_head(describe_field(head))
    again.load_state_dict(head.state_dict())
    torch.testing.assert_close(again.density(positions, condition), finished)


def test_other_methods_refuse_to_go_from_coarse_to_fine() -> None:
    with pytest.raises(InputError, match="rad_nerf cannot be trained coarse to fine"):
        RadNerfHead(RadNerfConfig(n_codes=1, levels=2)).reveal(0.5)
