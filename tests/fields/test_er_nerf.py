"""The head: sizes, frames, gradients, optimiser groups, and the folded form used for rendering."""

import pytest
import torch
from torch import Tensor

from loquent.errors import InputError
from loquent.fields import frozen_head
from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.frozen_head import FrozenHead
from loquent.fields.head import HeadCondition, HeadSamples
from loquent.testing import assert_values_match


def lively_head(config: ErNerfConfig | None = None) -> ErNerfHead:
    """A head whose tables and weights are large enough for every branch to matter."""
    torch.manual_seed(11)
    head = ErNerfHead(config or ErNerfConfig(n_codes=6))
    with torch.no_grad():
        head.planes.tables.uniform_(-1, 1)
        for net in (head.audio_attention, head.eye_attention, head.density_net, head.colour_net, head.uncertainty_net):
            for weight in net.weights:
                weight.mul_(2)
    return head


def some_samples(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    positions = torch.rand(n, 3, generator=generator) * 2.1 - 1.05
    return positions, torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)


def some_condition(head: ErNerfHead, frames: int) -> HeadCondition:
    generator = torch.Generator().manual_seed(frames)
    windows = torch.randn(frames, 8, head.config.audio_width_in, 16, generator=generator)
    return HeadCondition(
        head.encode(windows), torch.rand(frames, head.config.eye_width, generator=generator), head.codes[:frames]
    )


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (ErNerfConfig(), 587_989),  # SPEC 0
        (ErNerfConfig(audio_width_in=44), 587_989 + 32_160 - 30_720),
        (ErNerfConfig(audio_width_in=1024), 587_989 + 126_240 - 30_720),
    ],
)
def test_parameter_count_of_the_released_model(config: ErNerfConfig, count: int) -> None:
    assert sum(parameter.numel() for parameter in ErNerfHead(config).parameters()) == count


@pytest.mark.parametrize("eye_width", [1, 2])
def test_several_frames_at_once_equal_one_by_one(eye_width: int) -> None:
    head = lively_head(ErNerfConfig(n_codes=6, eye_width=eye_width))
    condition = some_condition(head, 3)
    positions, directions = some_samples(101)
    frame_of_sample = torch.arange(101) % 3
    together: HeadSamples = head(positions, directions, condition, frame_of_sample)
    for frame in range(3):
        one = HeadCondition(*(rows[frame : frame + 1] for rows in (condition.audio, condition.eye, condition.code)))
        of_frame = frame_of_sample == frame
        alone: HeadSamples = head(positions[of_frame], directions[of_frame], one)
        for name in ("density", "colour", "audio_attention", "eye_attention", "uncertainty"):
            assert_values_match(getattr(together, name)[of_frame], getattr(alone, name), rtol=1e-4, name=name)
    assert_values_match(head.density(positions, condition, frame_of_sample), together.density, rtol=1e-5)


def test_every_parameter_receives_a_gradient() -> None:
    head = lively_head()
    positions, directions = some_samples(211)
    samples: HeadSamples = head(positions, directions, some_condition(head, 3), torch.arange(211) % 3)
    assert samples.uncertainty is not None
    parts = (samples.density, samples.colour, samples.audio_attention, samples.eye_attention, samples.uncertainty)
    sum((part.sum() for part in parts), torch.zeros(())).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_uncertainty_does_not_shape_the_planes() -> None:
    head = lively_head()
    positions, directions = some_samples(50)
    samples: HeadSamples = head(positions, directions, some_condition(head, 1))
    assert samples.uncertainty is not None
    assert torch.autograd.grad(samples.uncertainty.sum(), head.planes.tables, allow_unused=True) == (None,)
    without: HeadSamples = head(positions, directions, some_condition(head, 1), with_uncertainty=False)
    assert without.uncertainty is None


def test_sound_reaches_density_only_where_attention_lets_it() -> None:
    head = lively_head()
    positions, _ = some_samples(40)
    loud, silent = some_condition(head, 1), HeadCondition(torch.zeros(1, 32), torch.zeros(1, 1), head.codes[:1])
    assert not torch.allclose(head.density(positions, loud), head.density(positions, silent))
    with torch.no_grad():
        head.audio_attention.weights[-1].zero_()
    quiet = HeadCondition(loud.audio, silent.eye, loud.code)
    assert_values_match(head.density(positions, quiet), head.density(positions, silent))


def test_head_driven_by_expression() -> None:
    head = lively_head(ErNerfConfig(condition="expression", expression_width_in=5, n_codes=4))
    positions, directions = some_samples(20)
    encoded = head.encode(torch.randn(2, 5))
    assert encoded.shape == (2, 32)
    condition = head.test_condition(encoded, torch.rand(2, 1))
    assert torch.equal(condition.code, head.codes[[0, 0]])
    samples: HeadSamples = head(positions, directions, condition, torch.arange(20) % 2)
    assert samples.density.isfinite().all()
    with pytest.raises(AssertionError, match="driven by expression"):
        head.encode(torch.zeros(1, 8, 29, 16))


def test_optimiser_groups_hold_every_parameter_once() -> None:
    head = ErNerfHead(ErNerfConfig(n_codes=3))
    groups = {group["name"]: group for group in head.parameter_groups(lr=1e-2, lr_net=1e-3)}
    counted = [id(parameter) for group in groups.values() for parameter in group["params"]]
    assert sorted(counted) == sorted(id(parameter) for parameter in head.parameters())
    settings = {name: (group["lr"], group["weight_decay"]) for name, group in groups.items()}
    assert settings == {"planes": (1e-2, 0.01), "networks": (1e-3, 0.0), "audio_attention": (5e-3, 1e-4)}
    assert sum(parameter.numel() for parameter in groups["audio_attention"]["params"]) == 2_149  # SPEC 2.4
    torch.optim.AdamW(list(groups.values()), betas=(0.0, 0.99))


@pytest.mark.parametrize(("n", "eye_width"), [(0, 1), (1, 1), (300, 1), (300, 3)])
def test_frozen_head_equals_the_plain_one(n: int, eye_width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_head, "BLOCK", 128)
    head = lively_head(ErNerfConfig(n_codes=6, eye_width=eye_width))
    condition = some_condition(head, 1)
    positions, _ = some_samples(n)
    _, directions = some_samples(17)
    ray_ids = torch.arange(n) % 17
    frozen = FrozenHead(head, condition)
    density, colour = frozen(positions, directions, ray_ids)
    with torch.no_grad():
        plain: HeadSamples = head(positions, directions[ray_ids], condition)
    assert n < 300 or plain.density.std() > 0.1 * plain.density.mean(), "the field is too flat to tell"
    assert_values_match(density, plain.density, rtol=1e-4, atol=1e-5)
    assert_values_match(colour, plain.colour, rtol=0.0, atol=1e-4)


def test_every_value_of_the_eye_has_its_own_attention() -> None:
    head = lively_head(ErNerfConfig(n_codes=6, eye_width=2))
    positions, _ = some_samples(40)
    now = some_condition(head, 1)
    with torch.no_grad():
        head.eye_attention.weights[-1][1] = 0  # gates of one half everywhere
        before = head.density(positions, now)
        raised = HeadCondition(now.audio, now.eye + torch.tensor([[0.0, 0.4]]), now.code)
        features = head.planes(positions)
        heard = now.audio * head.audio_attention(features)
        gate = head.eye_attention(features).sigmoid()[:, :1]
        by_hand = head.density_net(
            torch.cat([features, heard, now.eye[:, :1] * gate, raised.eye[:, 1:].expand(40, 1) / 2], 1)
        )
        assert_values_match(head.density(positions, raised), by_hand[:, 0].exp(), rtol=1e-5)
        assert not torch.allclose(head.density(positions, raised), before)


def test_config_names_the_wrong_value() -> None:
    with pytest.raises(InputError, match="n_codes must be at least 1; got 0"):
        ErNerfConfig(n_codes=0)
    with pytest.raises(InputError, match="base=64, finest=32"):
        ErNerfHead(ErNerfConfig(finest=32))
