"""The head gives the numbers of the original ER-NeRF program, layer by layer (stored golden arrays)."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.frozen_head import FrozenHead
from loquent.fields.head import HeadCondition, HeadSamples
from loquent.ops.directions import spherical_harmonics

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    if not GOLDEN.is_dir():
        pytest.skip("needs ../shared/golden, which is not beside this checkout")
    with np.load(GOLDEN / "golden_er_head.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files if arrays[name].dtype.kind in "fi"}


@pytest.fixture(scope="module")
def head(golden: dict[str, Tensor]) -> ErNerfHead:
    spec = importlib.util.spec_from_file_location("golden_gen", GOLDEN / "gen.py")
    assert spec is not None
    assert spec.loader is not None
    gen = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gen)
    original = {name: torch.from_numpy(value) for name, value in gen.build("er_head").items() if gen.is_param(name)}
    planes = torch.stack([original.pop(f"encoder_{axes}.embeddings") for axes in ("xy", "yz", "xz")])
    head = ErNerfHead(ErNerfConfig())
    head.load_state_dict({"planes.tables": planes} | {our_name(name): value for name, value in original.items()})
    return head


def our_name(name: str) -> str:
    renamed = (
        ("individual_codes", "codes"),
        ("audio_net.encoder_conv", "condition_encoder.net.convolutions"),
        ("audio_net.encoder_fc1", "condition_encoder.net.head"),
        ("audio_att_net.attentionConvNet", "condition_encoder.attention.convolutions"),
        ("audio_att_net.attentionNet.0", "condition_encoder.attention.head"),
        ("eye_att_net.net", "eye_attention.layers"),
        ("sigma_net.net", "density_net.layers"),
        ("color_net.net", "colour_net.layers"),
        ("unc_net.net", "uncertainty_net.layers"),
        ("aud_ch_att_net.net", "audio_attention.layers"),
    )
    for theirs, ours in renamed:
        name = name.replace(theirs, ours)
    return name


@pytest.fixture(scope="module")
def is_close(golden: dict[str, Tensor]) -> Callable[[str, Tensor], None]:
    tolerances = json.loads((GOLDEN / "tolerances.json").read_text())["er_head"]

    def compare(name: str, ours: Tensor) -> None:
        allowed = tolerances[name]
        theirs = golden[name].reshape(ours.shape)
        error = (ours - theirs).abs()
        limit = allowed.get("suggest_atol", 0.0) + allowed.get("suggest_rtol", 0.0) * theirs.abs()
        print(f"{name}: max error {error.max():.2e} (relative {(error / theirs.abs().clamp(min=1e-9)).max():.1e})")
        assert (error <= limit).all(), name

    return compare


def condition(golden: dict[str, Tensor], head: ErNerfHead, *, eye: float = 0.37, code: int = 0) -> HeadCondition:
    audio = head.encode(golden["aud"][None])
    return HeadCondition(audio, torch.tensor([[eye]]), head.codes[code : code + 1])


@torch.no_grad()
def test_audio_encoding(golden: dict[str, Tensor], head: ErNerfHead, is_close: Callable[[str, Tensor], None]) -> None:
    is_close("enc_a_each", head.condition_encoder.net(golden["aud"]))
    is_close("enc_a", head.encode(golden["aud"][None]))
    is_close("enc_a_start", head.encode(golden["aud_start"][None]))


@torch.no_grad()
@pytest.mark.parametrize("backend", ["", "reference"])
def test_plane_encodings(
    golden: dict[str, Tensor],
    head: ErNerfHead,
    is_close: Callable[[str, Tensor], None],
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOQUENT_BACKEND", backend)
    features = head.planes(golden["x"])
    for name, part in zip(("enc_xy", "enc_yz", "enc_xz"), features.split(12, dim=1), strict=True):
        is_close(name, part)
    is_close("enc_x", features)
    layout = head.config.planes
    levels = np.stack([layout.scales, layout.resolutions, layout.entries], axis=1)
    np.testing.assert_allclose(levels, golden["levels_encoder_xy"].numpy(), rtol=1e-6)


@torch.no_grad()
def test_directions(golden: dict[str, Tensor], is_close: Callable[[str, Tensor], None]) -> None:
    is_close("enc_d", spherical_harmonics(golden["d"]))


@torch.no_grad()
def test_field(golden: dict[str, Tensor], head: ErNerfHead, is_close: Callable[[str, Tensor], None]) -> None:
    now = condition(golden, head)
    features = head.planes(golden["x"])
    hidden, attention, eye_attention = head._attend(features, now, None)
    is_close("att_aud_vec", attention)
    is_close("att_eye", eye_attention)
    is_close("geo_feat", hidden[:, 1:])
    samples: HeadSamples = head(golden["x"], golden["d"], now)
    assert samples.uncertainty is not None
    is_close("sigma", samples.density)
    is_close("rgb", samples.colour)
    is_close("ambient_aud", samples.audio_attention)
    is_close("ambient_eye", samples.eye_attention)
    is_close("uncertainty", samples.uncertainty)
    is_close("sigma", head.density(golden["x"], now))


@torch.no_grad()
def test_other_frames(golden: dict[str, Tensor], head: ErNerfHead, is_close: Callable[[str, Tensor], None]) -> None:
    is_close("rgb_code", head(golden["x"], golden["d"], condition(golden, head, code=5)).colour)
    is_close("sigma_eye1", head.density(golden["x"], condition(golden, head, eye=1.0)))
    silent = HeadCondition(torch.zeros(1, 32), torch.zeros(1, 1), head.codes[:1])
    is_close("sigma_silent", head.density(golden["x"], silent))


def test_folded_field(golden: dict[str, Tensor], head: ErNerfHead, is_close: Callable[[str, Tensor], None]) -> None:
    n = len(golden["x"])
    density, colour = FrozenHead(head, condition(golden, head))(golden["x"], golden["d"], torch.arange(n))
    is_close("sigma", density)
    is_close("rgb", colour)
