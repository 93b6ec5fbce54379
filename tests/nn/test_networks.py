"""The small networks: sizes from the specification, and what they compute written out."""

import pytest
import torch

from loquent.nn.audio import AudioAttention, AudioEncoder, AudioNet
from loquent.nn.expression import ExpressionEncoder
from loquent.nn.grid import GridEncoder, TriplaneEncoder
from loquent.nn.mlp import Mlp
from loquent.ops.grid_encode import GridLayout
from loquent.testing import assert_values_match


def n_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_mlp_is_products_and_relus() -> None:
    mlp = Mlp(5, 7, 6, 3)
    first, second, third = mlp.weights
    values = torch.randn(11, 5)
    by_hand = ((values @ first.T).clamp(min=0) @ second.T).clamp(min=0) @ third.T
    assert_values_match(mlp(values), by_hand)
    assert n_parameters(mlp) == 5 * 7 + 7 * 6 + 6 * 3
    assert [tuple(weight.shape) for weight in mlp.weights] == [(7, 5), (6, 7), (3, 6)]


@pytest.mark.parametrize(("width_in", "count"), [(29, 30_720), (44, 32_160), (1024, 126_240)])
def test_audio_net_sizes(width_in: int, count: int) -> None:
    assert n_parameters(AudioNet(width_in)) == count  # SPEC 2.4, 9
    assert n_parameters(AudioAttention()) == 2_149


@pytest.mark.parametrize("steps", [16, 2])
def test_audio_encoder_treats_frames_apart(steps: int) -> None:
    encoder = AudioEncoder(12)
    windows = torch.randn(3, 8, 12, steps)
    together = encoder(windows)
    assert together.shape == (3, 32)
    for frame in range(3):
        assert_values_match(encoder(windows[frame : frame + 1])[0], together[frame], atol=1e-6)


def test_audio_attention_is_a_weighted_mean() -> None:
    attention = AudioAttention()
    vectors = torch.randn(1, 8, 32).expand(2, 8, 32).clone()
    vectors[1] = vectors[1, :1]  # eight equal vectors: any weights that sum to one give the vector back
    assert_values_match(attention(vectors)[1], vectors[1, 0], atol=1e-6)
    assert (attention(vectors)[0] <= vectors[0].amax(dim=0) + 1e-6).all()
    assert (attention(vectors)[0] >= vectors[0].amin(dim=0) - 1e-6).all()


def test_expression_encoder_width() -> None:
    assert ExpressionEncoder(6)(torch.randn(4, 6)).shape == (4, 32)


def test_encoders_start_small_and_cover_their_layout() -> None:
    layout = GridLayout(2, 3, 1, 4, 16, 6)
    planes, grid = TriplaneEncoder(layout), GridEncoder(layout)
    assert (planes.width, grid.width) == (9, 3)
    assert planes(torch.zeros(5, 3)).shape == (5, 9)
    assert grid(torch.zeros(5, 2)).shape == (5, 3)
    for table in (planes.tables, grid.table):
        assert 5e-5 < table.abs().max() <= 1e-4
        assert table.unique().numel() > 0.9 * table.numel()
