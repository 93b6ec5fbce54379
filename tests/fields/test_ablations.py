"""ER-NeRF's ablations: every backbone with every fusion is a field that learns, folds, saves and loads like the default."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.er_nerf_ablations import AblationConfig, BackboneHead, ConcatHead, FeatureAttentionHead
from loquent.fields.frozen_head import FrozenHead
from loquent.fields.head import HeadCondition, unfolded
from loquent.fields.kinds import describe_field, freeze, make_head
from loquent.nn.backbones import DenseTriplane, PositionNetwork
from loquent.testing import assert_values_match

BACKBONES = ("trihash", "dense_triplane", "grid3d", "mlp")
FUSIONS = {"attention_channel": BackboneHead, "attention_feature": FeatureAttentionHead, "concat": ConcatHead}
ALL = list(itertools.product(BACKBONES, FUSIONS))


def lively_head(fusion: str, backbone: Any = "trihash") -> BackboneHead:
    torch.manual_seed(6)
    head = FUSIONS[fusion](AblationConfig(n_codes=3, backbone=backbone))
    with torch.no_grad():
        for values in head.planes.parameters():
            if not isinstance(head.planes, PositionNetwork):
                values.uniform_(-1, 1)
    return head


def some_samples(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    directions = torch.randn(n, 3, generator=generator)
    return torch.rand(n, 3, generator=generator) * 2 - 1, directions / directions.norm(dim=1, keepdim=True)


def some_condition(head: BackboneHead, n_frames: int = 1) -> HeadCondition:
    generator = torch.Generator().manual_seed(9)
    audio = head.encode(torch.randn(n_frames, 8, 29, 16, generator=generator))
    return HeadCondition(audio, torch.rand(n_frames, 1, generator=generator), head.codes[:n_frames])


@pytest.mark.parametrize(("backbone", "fusion"), ALL)
def test_every_parameter_learns_and_belongs_to_one_group(backbone: str, fusion: str) -> None:
    head = lively_head(fusion, backbone)
    positions, directions = some_samples(96)
    shown = head(positions, directions, some_condition(head, 2), torch.arange(96) % 2)
    assert shown.uncertainty is not None
    terms = (shown.density.log(), shown.colour.square(), shown.audio_attention, shown.eye_attention, shown.uncertainty)
    torch.stack([term.mean() for term in terms]).sum().backward()
    for name, value in head.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name
    groups = head.parameter_groups()
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(id(p) for p in head.parameters())
    torch.optim.AdamW(groups).step()
    assert (shown.audio_attention == 0).all() == (fusion == "concat")


@pytest.mark.parametrize(("backbone", "fusion"), ALL)
def test_what_renders_is_the_field(backbone: str, fusion: str) -> None:
    head = lively_head(fusion, backbone)
    positions, directions = some_samples(30)
    with torch.no_grad():
        condition = some_condition(head)
    rays = torch.arange(30) % 7
    frozen = freeze(head, condition)
    assert isinstance(frozen, FrozenHead) == (fusion == "attention_channel")
    plain = unfolded(head, condition)(positions, directions[:7], rays)
    assert_values_match(frozen(positions, directions[:7], rays), plain, rtol=1e-4)


@pytest.mark.parametrize(("backbone", "fusion"), ALL)
def test_kind_and_sizes_make_the_same_field_again(backbone: str, fusion: str) -> None:
    head = lively_head(fusion, backbone)
    again = make_head(describe_field(head))
    assert again.config == head.config
    again.load_state_dict(head.state_dict())


def test_facts_of_portraits_that_named_the_papers_own_choices_make_the_plain_field() -> None:
    plain = ErNerfHead(ErNerfConfig(n_codes=2))
    again = make_head({**describe_field(plain), "backbone": "trihash", "fusion": "attention_channel"})
    assert (type(again), again.config) == (ErNerfHead, plain.config)
    with pytest.raises(TypeError, match="fusion"):
        make_head({**describe_field(plain), "backbone": "trihash", "fusion": "concat"})


def test_the_ways_of_fusing_differ_as_described() -> None:
    positions, _ = some_samples(40)
    by_channel, by_feature, plain = (lively_head(fusion) for fusion in FUSIONS)
    assert by_channel.audio_attention.weights[-1].shape == (32, 64)
    assert by_feature.audio_attention.weights[-1].shape == (1, 64)
    assert not hasattr(plain, "audio_attention")
    assert not hasattr(plain, "eye_attention")
    with torch.no_grad():
        condition = some_condition(plain)
        features = plain.planes(positions)
        rows = torch.cat([condition.audio, condition.eye], dim=1).expand(len(positions), -1)
        wanted = plain.density_net(torch.cat([features, rows], dim=1))[:, 0].exp()
        torch.testing.assert_close(plain.density(positions, condition), wanted)


def test_the_default_is_the_released_model() -> None:
    plain, config = ErNerfHead(ErNerfConfig()), AblationConfig()
    assert config.backbone == "trihash"
    assert sum(values.numel() for values in plain.parameters()) == 587_989
    BackboneHead(config).load_state_dict(plain.state_dict())
    widths = {b: replace(config, backbone=b).position_encoder().width for b in BACKBONES}  # type: ignore[arg-type]
    assert widths == {"trihash": 36, "dense_triplane": 36, "grid3d": 32, "mlp": 36}


@torch.no_grad()
def test_dense_planes_interpolate_between_their_entries() -> None:
    planes = DenseTriplane(channels=2, resolution=5, bound=2.0)
    planes.planes.normal_()
    # Entry (i, j) of a plane lies at coordinates -2 + i, -2 + j; between two entries is their mean.
    at_entry = planes(torch.tensor([[-1.0, 0.0, 2.0]]))[0].view(3, 2)
    wanted = [planes.planes[0, :, 1, 2], planes.planes[1, :, 2, 4], planes.planes[2, :, 1, 4]]
    torch.testing.assert_close(at_entry, torch.stack(wanted))
    between = planes(torch.tensor([[-0.5, 0.0, 2.0]]))[0, :2]
    torch.testing.assert_close(between, (planes.planes[0, :, 1, 2] + planes.planes[0, :, 2, 2]) / 2)
    assert (planes(torch.tensor([[0.0, 2.1, 0.0]])) == 0).all()
