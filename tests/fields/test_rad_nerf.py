"""RAD-NeRF: its published size, the whole field written out in NumPy, and what training and rendering rely on."""

import numpy as np
import pytest
import torch
from by_hand import network, sigmoid, tiled_features
from torch import Tensor

from loquent.errors import InputError
from loquent.fields.head import HeadCondition, unfolded
from loquent.fields.kinds import describe_field, freeze, make_head
from loquent.fields.rad_nerf import RadNerfConfig, RadNerfHead
from loquent.fields.rad_torso import RadNerfTorso, RadNerfTorsoConfig
from loquent.nn.activations import safe_exponential
from loquent.ops.directions import spherical_harmonics
from loquent.testing import assert_values_match


def lively_head(**sizes: object) -> RadNerfHead:
    torch.manual_seed(3)
    head = RadNerfHead(RadNerfConfig(n_codes=5, **sizes))  # type: ignore[arg-type]
    with torch.no_grad():
        head.grid.table.uniform_(-1, 1)
        head.ambient_grid.table.uniform_(-1, 1)
        for weight in [*head.ambient_net.weights, *head.density_net.weights]:
            weight.mul_(1.7)
    return head


def some_samples(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    directions = torch.randn(n, 3, generator=generator)
    return torch.rand(n, 3, generator=generator) * 2 - 1, directions / directions.norm(dim=1, keepdim=True)


def some_condition(head: RadNerfHead, n_frames: int = 1) -> HeadCondition:
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        audio = head.encode(torch.randn(n_frames, 8, head.config.audio_width_in, 16, generator=generator))
    return HeadCondition(audio, torch.rand(n_frames, 1, generator=generator), head.codes[:n_frames].detach())


def test_sizes_are_the_published_ones() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(values.numel() for values in module.parameters())

    assert count(RadNerfHead(RadNerfConfig())) == 3_024_277
    assert count(RadNerfHead(RadNerfConfig(audio_width_in=29))) == 3_022_837
    assert RadNerfConfig().layout(3).resolutions == (
        16, 23, 31, 43, 59, 81, 112, 154, 213, 295, 407, 562, 777, 1073, 1483, 2048,
    )  # fmt: skip
    torso = RadNerfTorso(RadNerfTorsoConfig())
    assert count(torso) == 1_207_424
    assert torso.deform_net.weights[0].shape == (64, 42 + 54 + 8)


@torch.no_grad()
def test_the_field_equals_one_written_out_in_numpy() -> None:
    head = lively_head()
    positions, directions = some_samples(12)
    condition = some_condition(head)
    shown = head(positions, directions, condition)
    weights = {name: value.double().numpy() for name, value in head.state_dict().items()}
    nets = {
        name: [weights[f"{name}.layers.{layer}.weight"] for layer in range(n)]
        for name, n in (("ambient_net", 3), ("density_net", 3), ("colour_net", 2))
    }
    audio, eye, code = (value[0].double().numpy() for value in (condition.audio, condition.eye, condition.code))
    harmonics = spherical_harmonics(directions).double().numpy()
    for i, point in enumerate(positions.double().numpy()):
        features = tiled_features(weights["grid.table"], point, 16, 16, 2048, 16)
        ambient = np.tanh(network(nets["ambient_net"], np.concatenate([features, audio])))
        heard = tiled_features(weights["ambient_grid.table"], ambient, 16, 16, 2048, 16)
        hidden = network(nets["density_net"], np.concatenate([features, heard, eye]))
        colour = sigmoid(network(nets["colour_net"], np.concatenate([harmonics[i], hidden[1:], code])))
        np.testing.assert_allclose(shown.density[i], np.exp(hidden[0]), rtol=7e-3)
        np.testing.assert_allclose(shown.colour[i], colour, atol=1e-3)
        np.testing.assert_allclose(shown.audio_attention[i], np.abs(ambient).sum(), atol=1e-4)


@torch.no_grad()
def test_fine_levels_forget_z_unless_they_hash() -> None:
    positions, _ = some_samples(50)
    moved = positions.clone()
    moved[:, 2] = moved[:, 2].roll(1)
    finest = slice(-2, None)
    tiled = lively_head().grid
    torch.testing.assert_close(tiled(positions)[:, finest], tiled(moved)[:, finest], rtol=0, atol=1e-5)
    hashed = lively_head(table="hash").grid
    assert (hashed(positions)[:, finest] - hashed(moved)[:, finest]).abs().max() > 0.5
    assert hashed.table.shape == lively_head().grid.table.shape


@torch.no_grad()
def test_samples_of_several_frames_equal_frames_asked_alone() -> None:
    head = lively_head()
    positions, directions = some_samples(21)
    condition, frame = some_condition(head, 3), torch.arange(21) % 3
    together = head(positions, directions, condition, frame)
    for k in range(3):
        alone = HeadCondition(*(value[k : k + 1] for value in (condition.audio, condition.eye, condition.code)))
        mine = frame == k
        single = head(positions[mine], directions[mine], alone)
        torch.testing.assert_close(together.density[mine], single.density, rtol=1e-4, atol=0)
        torch.testing.assert_close(together.colour[mine], single.colour, rtol=0, atol=1e-5)
        torch.testing.assert_close(head.density(positions[mine], alone), single.density, rtol=1e-5, atol=0)


def test_what_renders_is_the_field() -> None:
    head = lively_head()
    positions, directions = some_samples(30)
    condition, rays = some_condition(head), torch.arange(30) % 7
    density, colour = freeze(head, condition)(positions, directions[:7], rays)
    shown = head(positions, directions[:7][rays], condition)
    assert_values_match((density, colour), (shown.density.detach(), shown.colour.detach()))
    assert_values_match(unfolded(head, condition)(positions, directions[:7], rays), (density, colour))


def test_every_parameter_learns_and_belongs_to_one_group() -> None:
    head = lively_head()
    positions, directions = some_samples(64)
    windows = torch.randn(2, 8, 44, 16, generator=torch.Generator().manual_seed(1))
    condition = HeadCondition(head.encode(windows), torch.rand(2, 1), head.codes[:2])
    shown = head(positions, directions, condition, torch.arange(64) % 2)
    (shown.density.log().mean() + shown.colour.square().mean() + shown.audio_attention.mean()).backward()
    for name, value in head.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name
    groups = head.parameter_groups()
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(id(p) for p in head.parameters())
    assert {g["name"]: g["lr"] for g in groups} == {"grids": 5e-3, "networks": 5e-4, "audio_attention": 2.5e-3}


def test_kind_and_sizes_make_the_same_field_again() -> None:
    head = lively_head(table="hash", has_eye=False, condition="expression")
    again = make_head(describe_field(head))
    assert isinstance(again, RadNerfHead)
    assert again.config == head.config
    again.load_state_dict(head.state_dict())
    with pytest.raises(InputError, match="code_width must be at least 1"):
        RadNerfConfig(code_width=0)
    with pytest.raises(ValueError, match="no kind of head called 'hologram'"):
        make_head({"kind": "hologram"})


def test_the_exponential_does_not_overflow_backwards() -> None:
    values = torch.tensor([-40.0, -1.0, 3.0, 60.0], requires_grad=True)
    answer = safe_exponential(values)
    torch.testing.assert_close(answer, values.exp())
    answer.backward(torch.ones(4))
    torch.testing.assert_close(values.grad, torch.tensor([-15.0, -1.0, 3.0, 15.0]).exp())


def test_landmarks_move_it_as_genefaces_renderer() -> None:
    """SPEC 7.3, AudioNet's variant: 204 values a frame to 64, window 1, attention over five frames; sizes worked by hand."""
    head = lively_head(condition="landmarks")
    convolutions = (204 * 32 + 32 * 32 + 32 * 64 + 64 * 64) * 3 + 32 + 32 + 64 + 64
    attention = (64 * 16 + 16 * 8 + 8 * 4 + 4 * 2 + 2) * 3 + 16 + 8 + 4 + 2 + 1 + 5 * 5 + 5
    assert sum(p.numel() for p in head.condition_encoder.parameters()) == convolutions + 2 * (64 * 64 + 64) + attention
    windows = torch.rand(3, 5, 68, 3) * 2 - 1
    encoded = head.encode(windows)
    assert encoded.shape == (3, 64)
    torch.testing.assert_close(head.encode(windows[1:2]), encoded[1:2])
    for frame in range(5):
        other = windows.clone()
        other[:, frame, 67, 2] *= -1
        assert not torch.allclose(head.encode(other), encoded), frame
    again = make_head(describe_field(head))
    again.load_state_dict(head.state_dict())
    torch.testing.assert_close(again.encode(windows), encoded)
