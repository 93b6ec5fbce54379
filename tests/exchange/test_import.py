"""Checkpoints of the original programs become portraits: every weight in its place, and a clear refusal of everything else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from original_files import CELLS, checkpoint, model_tensors, write_data_folder
from torch import Tensor

from loquent import cli
from loquent.errors import InputError
from loquent.exchange.checkpoint import Checkpoint
from loquent.exchange.importer import import_checkpoint
from loquent.motion import read_motion
from loquent.portrait import Portrait
from loquent.testing import make_tiny_clip

PLACES = {
    "er_nerf": {
        "sigma_net.net.1.weight": "density_net.layers.1.weight",
        "color_net.net.0.weight": "colour_net.layers.0.weight",
        "unc_net.net.0.weight": "uncertainty_net.layers.0.weight",
        "aud_ch_att_net.net.1.weight": "audio_attention.layers.1.weight",
        "eye_att_net.net.0.weight": "eye_attention.layers.0.weight",
        "audio_net.encoder_conv.4.bias": "condition_encoder.net.convolutions.4.bias",
        "audio_net.encoder_fc1.2.weight": "condition_encoder.net.head.2.weight",
        "audio_att_net.attentionNet.0.weight": "condition_encoder.attention.head.weight",
    },
    "rad_nerf": {
        "encoder.embeddings": "grid.table",
        "encoder_ambient.embeddings": "ambient_grid.table",
        "ambient_net.net.2.weight": "ambient_net.layers.2.weight",
        "audio_att_net.attentionConvNet.2.bias": "condition_encoder.attention.convolutions.2.bias",
    },
    "r2_talker": {
        "encoder.embeddings": "grid.table",
        "encoder_idexp_lm3d.embeddings": "landmark_encoder.grid.table",
        "mlp_lms_style_1.net.0.weight": "style_nets.0.layers.0.weight",
        "mlp_lms_style_2.net.2.weight": "style_nets.1.layers.2.weight",
    },
}
PROGRAMS = list(PLACES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_folder(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="module")
def models() -> dict[str, dict[str, Tensor]]:
    return {program: model_tensors(program, has_torso=program != "r2_talker") for program in PROGRAMS}


def saved(state: Any, path: Path) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_weight_lands_in_its_place(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path, program: str
) -> None:
    model = models[program]
    portrait = import_checkpoint(saved(checkpoint(model), tmp_path / "ngp.pth"), folder)
    ours = portrait.head.state_dict()
    for theirs, place in PLACES[program].items():
        assert torch.equal(ours[place], model[theirs]), theirs
    assert torch.equal(ours["codes"], model["individual_codes"][:1])
    if program == "er_nerf":
        for plane, name in enumerate(("xy", "yz", "xz")):
            assert torch.equal(ours["planes.tables"][plane], model[f"encoder_{name}.embeddings"])
    n_theirs = sum(v.numel() for k, v in model.items() if "torso" not in k and k in dict(trained(model)))
    n_theirs -= model["individual_codes"].numel() - 4 + (model["anchor_points"].numel() if program == "er_nerf" else 0)
    assert sum(value.numel() for value in ours.values()) == n_theirs
    assert portrait.head.kind == program


def trained(model: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    fixed = ("aabb", "density", "step_counter")
    return [(k, v) for k, v in model.items() if not k.startswith(fixed) and not k.endswith(".offsets")]


@pytest.mark.parametrize("program", ["er_nerf", "rad_nerf"])
def test_the_torso_comes_along(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path, program: str
) -> None:
    model = models[program]
    torso = import_checkpoint(saved(checkpoint(model), tmp_path / "ngp.pth"), folder).torso
    assert torso is not None
    assert torso.kind == program
    ours = torso.state_dict()
    assert torch.equal(ours["grid.table"], model["torso_encoder.embeddings"])
    assert torch.equal(ours["deform_net.layers.1.weight"], model["torso_deform_net.net.1.weight"])
    assert torch.equal(ours["torso_net.layers.2.weight"], model["torso_net.net.2.weight"])
    assert torch.equal(ours["codes"], model["individual_codes_torso"][:1])
    assert ("anchors" in ours) == (program == "er_nerf")


def test_occupancies_are_turned_from_their_order_into_ours(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path
) -> None:
    model = models["er_nerf"]
    portrait = import_checkpoint(saved(checkpoint(model), tmp_path / "ngp.pth"), folder)
    x, y, z = 5, 77, 126
    code = sum(((value >> bit) & 1) << (3 * bit + axis) for axis, value in enumerate((x, y, z)) for bit in range(7))
    assert bool(portrait.occupied[x, y, z]) == (float(model["density_grid"][0, code]) > 10)
    assert int(portrait.occupied.sum()) == int((model["density_grid"] > 10).sum())
    row, column = 3, 90
    assert portrait.torso_occupancy.alpha[row, column] == model["density_grid_torso"][column * CELLS + row]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_running_average_is_taken_on_request(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path, program: str
) -> None:
    path = saved(checkpoint(models[program]), tmp_path / "ngp.pth")
    raw, averaged = import_checkpoint(path, folder), import_checkpoint(path, folder, ema=True)
    for name, value in raw.head.state_dict().items():
        assert torch.equal(averaged.head.state_dict()[name], value / 2), name
    assert averaged.record["imported"]["weights"] == "running average"
    assert torch.equal(averaged.occupied, raw.occupied)


def test_the_best_file_lacks_density_and_average(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path
) -> None:
    whole = saved(checkpoint(models["er_nerf"]), tmp_path / "ngp_ep0028.pth")
    best = saved(checkpoint(models["er_nerf"], kind="best"), tmp_path / "ngp.pth")
    assert torch.equal(import_checkpoint(best, folder).occupied, import_checkpoint(whole, folder).occupied)
    with pytest.raises(InputError, match=r"no running average.*Leave out --ema"):
        import_checkpoint(best, folder, ema=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_imported_portrait_renders_the_same_after_a_file(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path, program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(checkpoint(models[program]), tmp_path / "ngp.pth")
    arguments = ["import", str(path), "--clip", str(folder), "--out", str(tmp_path / "a.portrait")]
    assert cli.main(arguments) == 0
    assert "Wrote" in capsys.readouterr().out
    made, loaded = import_checkpoint(path, folder), Portrait.load(tmp_path / "a.portrait")
    inputs = {
        "er_nerf": torch.randn(1, 8, 29, 16, generator=torch.Generator().manual_seed(1)),
        "rad_nerf": torch.randn(1, 8, 44, 16, generator=torch.Generator().manual_seed(1)),
        "r2_talker": torch.rand(1, 5, 68, 3, generator=torch.Generator().manual_seed(1)),
    }[program]
    with torch.inference_mode():
        pictures = [
            p.render(p.track.world_from_camera[2], p.head.encode(inputs)[0], torch.tensor([0.3]))
            for p in (made, loaded)
        ]
    assert torch.equal(*pictures)
    assert pictures[0].std() > 0.01
    assert loaded.eye_levels == made.eye_levels
    assert cli.main(["inspect", str(tmp_path / "a.portrait"), "--motion", str(tmp_path / "motion.csv")]) == 0
    blink = read_motion(tmp_path / "motion.csv", 5, 25.0).eye[:, :1]
    wanted = (made.track.eye - made.eye_levels[0]) / (made.eye_levels[1] - made.eye_levels[0])
    torch.testing.assert_close(blink, wanted.clamp(0, 1), rtol=0, atol=1e-4)
    capsys.readouterr()
    assert cli.main(["inspect", str(tmp_path / "a.portrait")]) == 0
    assert program in capsys.readouterr().out


def test_a_head_alone_stands_before_the_plate(folder: Path, tmp_path: Path) -> None:
    path = saved(checkpoint(model_tensors("er_nerf")), tmp_path / "ngp.pth")
    portrait = import_checkpoint(path, folder)
    assert portrait.torso is None
    portrait.save(tmp_path / "a.portrait")
    assert Portrait.load(tmp_path / "a.portrait").torso is None
    portrait.occupied = portrait.occupied & False
    picture = portrait.render(portrait.track.world_from_camera[0], torch.zeros(32), torch.zeros(1))
    assert torch.equal(picture, portrait.plate(portrait.camera))


def test_a_clip_of_ours_gives_the_scene_too(models: dict[str, dict[str, Tensor]], tmp_path: Path) -> None:
    clip = make_tiny_clip(tmp_path / "clip")
    portrait = import_checkpoint(saved(checkpoint(models["er_nerf"]), tmp_path / "a.pth"), clip.folder)
    assert portrait.camera == clip.camera
    assert torch.equal(portrait.track.world_from_camera, clip.track.world_from_camera)
    assert portrait.speech_kind == "deepspeech"
    assert torch.equal(portrait.track.eye, clip.eye[:, :1])
    rad = import_checkpoint(saved(checkpoint(models["rad_nerf"]), tmp_path / "b.pth"), clip.folder)
    assert rad.speech_kind == "wav2vec2_esperanto"
    assert rad.track.eye.shape == (clip.n_frames, 1)
    assert rad.eye_levels[0] > rad.eye_levels[1]


def test_eyes_are_measured_as_the_program_does(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path
) -> None:
    portraits = {
        program: import_checkpoint(saved(checkpoint(models[program]), tmp_path / "a.pth"), folder)
        for program in ("er_nerf", "rad_nerf")
    }
    tracks = {program: portrait.track for program, portrait in portraits.items()}
    # au.csv rises by 0.7 a frame: 0, 0.7, 1.4, 2.1, 2.8, of which 2 is closed.
    torch.testing.assert_close(tracks["er_nerf"].eye[:, 0], torch.tensor([0, 0.35, 0.7, 1, 1]))
    assert (tracks["rad_nerf"].eye > 1).all(), "areas in per cent"
    assert portraits["er_nerf"].eye_levels == (0, 1)
    eyes_open, eyes_closed = portraits["rad_nerf"].eye_levels
    assert eyes_closed == min(float(tracks["rad_nerf"].eye.min()), eyes_open / 2) > 0
    assert not torch.equal(tracks["rad_nerf"].world_from_camera, tracks["er_nerf"].world_from_camera), "smoothed"


def test_numbers_of_numpy_in_the_statistics_are_read(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path
) -> None:
    state = checkpoint(models["er_nerf"])
    state["stats"]["results"] = [np.float64(31.5), np.float32(2.0)]
    assert import_checkpoint(saved(state, tmp_path / "a.pth"), folder).head.kind == "er_nerf"


class Trap:
    """An object whose loading would run code."""

    sprung = False

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (setattr, (Trap, "sprung", True))


def without(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {**state, "model": {key: value for key, value in state["model"].items() if key != name}}


def replaced(state: dict[str, Any], name: str, value: Tensor) -> dict[str, Any]:
    return {**state, "model": {**state["model"], name: value}}


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a list": (lambda state: [1, 2, 3], "holds no model's tensors"),
    "a bare tensor": (lambda state: torch.ones(3), "holds no model's tensors"),
    "a classifier": (lambda state: {"model": {"fc.weight": torch.ones(3, 3)}}, "incomplete or of another version"),
    "another field": (
        lambda state: {"model": {"aabb_infer": torch.tensor([-1, -0.5, -1, 1, 0.5, 1]), "fc.weight": torch.ones(3)}},
        "another kind",
    ),
    "code": (lambda state: {**state, "stats": Trap()}, "Python code"),
    "a pickled module": (lambda state: {**state, "net": torch.nn.Linear(2, 2)}, "Python code"),
    "no occupancy": (lambda state: without(state, "density_bitfield"), "lacks density_bitfield"),
    "no codes": (lambda state: without(state, "individual_codes"), "lacks individual_codes"),
    "no layer": (lambda state: without(state, "sigma_net.net.1.weight"), "density_net.layers.1.weight"),
    "another width": (lambda state: replaced(state, "color_net.net.0.weight", torch.ones(64, 90)), "size mismatch"),
    "not finite": (
        lambda state: replaced(state, "sigma_net.net.0.weight", torch.full((64, 69), torch.nan)),
        "not all finite",
    ),
    "larger scene": (lambda state: replaced(state, "aabb_infer", torch.tensor([-2, -1, -2, 2, 1.0, 2])), "--bound 2"),
    "small occupancy": (
        lambda state: replaced(state, "density_bitfield", torch.zeros(64, dtype=torch.uint8)),
        "512 cells",
    ),
    "other resolutions": (
        lambda state: replaced(state, "encoder_xy.offsets", torch.arange(13, dtype=torch.int32) * 8),
        "other resolutions",
    ),
    "odd speech": (
        lambda state: replaced(state, "audio_net.encoder_conv.0.weight", torch.ones(32, 77, 3)),
        "77 values a step",
    ),
    "landmarks in RAD-NeRF": (
        lambda state: {
            "model": model_tensors("rad_nerf") | {"audio_net.encoder_conv.0.weight": torch.ones(32, 204, 3)}
        },
        "genefaceDagger",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_no_such_checkpoint_is_refused_in_one_paragraph(
    models: dict[str, dict[str, Tensor]],
    folder: Path,
    tmp_path: Path,
    case: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil, words = REFUSED[case]
    path = saved(spoil(checkpoint(models["er_nerf"])), tmp_path / "bad.pth")
    assert cli.main(["import", str(path), "--clip", str(folder), "--out", str(tmp_path / "a.portrait")]) == 2
    message = capsys.readouterr().err.strip()
    assert words in message
    assert str(path) in message
    assert "\n" not in message
    assert [file.name for file in tmp_path.iterdir()] == ["bad.pth"], "something was left half-written"
    assert not Trap.sprung


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9999])
def test_a_file_cut_off_is_refused(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path, share: float
) -> None:
    path = saved(checkpoint(models["er_nerf"]), tmp_path / "bad.pth")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match="cut off, damaged or of another kind"):
        import_checkpoint(path, folder)


@pytest.mark.parametrize("content", [b"Dear diary", b"PK\x03\x04 not a zip", b"\x80\x02}q\x00.", bytes(2000)])
def test_other_files_are_refused(folder: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad.pth .*Wanted is a checkpoint"):
        Checkpoint.read(path)


def test_a_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nobody.pth does not exist"):
        import_checkpoint(tmp_path / "nobody.pth", folder)


def test_an_average_of_another_model_is_refused(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path
) -> None:
    state = checkpoint(models["er_nerf"])
    state["ema"]["shadow_params"].pop()
    with pytest.raises(InputError, match="does not fit its model"):
        import_checkpoint(saved(state, tmp_path / "a.pth"), folder, ema=True)


def test_landmarks_move_r2_talker_and_sound_does_not(
    models: dict[str, dict[str, Tensor]], folder: Path, tmp_path: Path
) -> None:
    r2 = import_checkpoint(saved(checkpoint(models["r2_talker"]), tmp_path / "a.pth"), folder)
    with pytest.raises(InputError, match="moved by facial landmarks"):
        r2.conditions(torch.zeros(20, 1024), torch.arange(3))
    assert r2.landmark_conditions(torch.rand(2, 5, 68, 3)).shape == (2, 5 * 68 * 32)
    er = import_checkpoint(saved(checkpoint(models["er_nerf"]), tmp_path / "b.pth"), folder)
    with pytest.raises(InputError, match="moved by audio"):
        er.landmark_conditions(torch.rand(2, 5, 68, 3))
