"""What tests of several parts share: comparing two bodies of one operation by value and by gradient, a tiny clip, and a
portrait without training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from loquent.data.clip import (
    Clip,
    ClipInfo,
    ClipTrack,
    default_train_count,
    write_info,
    write_speech_features,
    write_track,
)
from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.torso import ErNerfTorso, ErNerfTorsoConfig
from loquent.fields.torso_follow import TorsoFollow
from loquent.geometry.cameras import Camera, project
from loquent.media.audio import write_wav
from loquent.media.images import write_image
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.motion import Motion
from loquent.nn.lip_predictor import WINDOW_STEPS, LipPredictor
from loquent.ops.dispatch import named_tensors
from loquent.portrait import Portrait
from loquent.rendering.torso import TorsoOccupancy
from loquent.speech.kinds import PARTS, speech_kind


def assert_values_match(
    got: object, wanted: object, *, rtol: float = 1e-4, atol: float = 1e-5, name: str = "value"
) -> None:
    """Every tensor in `got` equals its counterpart in `wanted` in shape, type and, to a tolerance, value.

    Both may be a tensor, or nested tuples, mappings and dataclasses of tensors.
    """
    ours, theirs = dict(named_tensors(got, name)), dict(named_tensors(wanted, name))
    assert ours.keys() == theirs.keys(), f"{sorted(ours)} are not {sorted(theirs)}"
    assert ours, f"{name} holds no tensor"
    for part, value in ours.items():
        _assert_close(value, theirs[part], rtol, atol, part)


def assert_grads_match(
    body: Callable[..., object],
    reference: Callable[..., object],
    arguments: Mapping[str, Any],
    *,
    rtol: float = 1e-3,
    atol: float = 1e-5,
    seed: int = 0,
) -> None:
    """Two bodies give the same values and, for random upstream gradients, the same gradient of every argument needing one.

    `atol` counts in units of each gradient's largest reference value. Rows (along the first dimension) that receive a
    gradient from the reference must not be exactly zero, since a tolerance would hide a few missing rows.
    """
    values, gradients = _run(body, arguments, seed)
    wanted_values, wanted_gradients = _run(reference, arguments, seed)
    assert_values_match(values, wanted_values, rtol=rtol, atol=atol)
    assert wanted_gradients, "no argument requires a gradient"
    for name, wanted in wanted_gradients.items():
        got = gradients[name]
        largest = wanted.abs().max().item() if wanted.numel() else 0.0
        _assert_close(got, wanted, rtol, atol * max(largest, 1e-30), f"gradient of {name}")
        if wanted.ndim:
            is_felt = (
                (wanted.abs() > 1e-3 * largest).flatten(1).any(dim=1)
                if wanted.ndim > 1
                else wanted.abs() > 1e-3 * largest
            )
            is_silent = (got == 0).flatten(1).all(dim=1) if got.ndim > 1 else got == 0
            silent = int((is_felt & is_silent).sum())
            assert not silent, f"gradient of {name} is silently zero in {silent} of {len(wanted)} rows"


def _run(
    body: Callable[..., object], arguments: Mapping[str, Any], seed: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Output values, and the gradient of each argument that requires one, on fresh leaves."""
    fresh = {
        name: value.detach().clone().requires_grad_() if isinstance(value, Tensor) and value.requires_grad else value
        for name, value in arguments.items()
    }
    outputs = dict(named_tensors(body(**fresh), "value"))
    generator = torch.Generator().manual_seed(seed)
    upstream = {
        name: torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in outputs.items()
        if value.is_floating_point()
    }
    pulled = {name: value for name, value in outputs.items() if value.requires_grad}
    leaves = {name: value for name, value in fresh.items() if isinstance(value, Tensor) and value.requires_grad}
    gradients = torch.autograd.grad(
        list(pulled.values()), list(leaves.values()), [upstream[name] for name in pulled], allow_unused=True
    )
    for name, gradient in zip(leaves, gradients, strict=True):
        assert gradient is not None, f"{name} receives no gradient"
    return (
        {name: value.detach() for name, value in outputs.items()},
        {name: gradient for name, gradient in zip(leaves, gradients, strict=True) if gradient is not None},
    )


def _assert_close(got: Tensor, wanted: Tensor, rtol: float, atol: float, name: str) -> None:
    torch.testing.assert_close(got, wanted, rtol=rtol, atol=atol, msg=lambda text: f"{name}: {text}")


def make_tiny_clip(folder: Path, *, n_frames: int = 11, size: int = 32, seed: int = 0) -> Clip:
    """Write a clip folder of a coloured ball (the head) over a block (the torso) before a plain plate, and open it.

    The ball's brightness follows the first expression coefficient, which follows the sound, so that training has something
    to learn within a few steps.
    """
    generator = np.random.default_rng(seed)
    camera = Camera.centred(size, size, size * 2.5)
    frame_ids = torch.arange(n_frames) + (torch.arange(n_frames) >= 5)  # frame 5 was dropped
    opening = np.sin(frame_ids.numpy() * 1.3)
    steps = 2 * (int(frame_ids[-1]) + 1)
    features = generator.standard_normal((steps, speech_kind("log_mel").width)).astype(np.float32) * 0.1
    features[:, 3] = np.sin(np.arange(steps) * 0.65)
    frontal = torch.tensor([[0.0, -1, 0, 0], [0, 0, -1, 3], [1, 0, 0, 0], [0, 0, 0, 1]])
    poses = frontal.repeat(n_frames, 1, 1)
    poses[:, 2, 3] = torch.linspace(-0.1, 0.1, n_frames)

    rows, columns = np.mgrid[:size, :size] + 0.5
    plate = np.full((size, size, 3), (60, 90, 120), np.uint8)
    torso = rows > 0.7 * size
    landmarks = torch.zeros(n_frames, 478, 3)
    write_image(folder / "background.png", plate)
    for i, k in enumerate(frame_ids.tolist()):
        centre = project(torch.zeros(1, 3), poses[i], camera)[0]
        angles = torch.linspace(0, 6.28, 478)
        landmarks[i, :, :2] = centre + 0.2 * size * torch.stack([angles.cos(), angles.sin()], dim=1)
        head = (columns - float(centre[0])) ** 2 + (rows - float(centre[1])) ** 2 < (0.25 * size) ** 2
        matte = np.stack([head, torso & ~head, ~torso & ~head], axis=2).astype(np.uint8) * 255
        layer = np.dstack([np.full((size, size, 3), (40, 40, 160), np.uint8), torso.astype(np.uint8) * 255])
        skin = (150 + 60 * opening[i]) * np.array([1.0, 0.7, 0.5])
        picture = np.where(head[..., None], skin, np.where(torso[..., None], layer[..., :3], plate)).astype(np.uint8)
        write_image(folder / "frames" / f"{k:06d}.jpg", picture)
        write_image(folder / "mattes" / f"{k:06d}.png", matte)
        write_image(folder / "torso" / f"{k:06d}.png", layer)
    write_wav(folder / "sound.wav", generator.standard_normal(steps * 320).astype(np.float32) * 0.1, SAMPLE_RATE_HZ)
    write_speech_features(folder / "speech" / "log_mel.safetensors", "log_mel", torch.from_numpy(features))
    expression = torch.from_numpy(np.stack([opening, np.roll(opening, 1)], axis=1)).float()
    track = ClipTrack(
        frame_ids,
        poses,
        landmarks,
        blink=torch.from_numpy(generator.random((n_frames, 2))).float(),
        brows=torch.from_numpy(generator.random(n_frames)).float(),
        expression=expression,
    )
    info = ClipInfo("tiny", size, size, camera.fx, int(frame_ids[-1]) + 1, default_train_count(n_frames))
    write_track(folder, track)
    write_info(folder, info)
    return Clip.open(folder)


def make_random_portrait(
    clip: Clip, *, condition: Literal["audio", "expression"] = "expression", has_head: bool = True, seed: int = 0
) -> Portrait:
    """A portrait of small random fields in the clip's frame, the same each time: an object to save, load and render.

    Its head depends on what moves the lips; without a head the volume is empty.
    """
    torch.manual_seed(seed)
    width = speech_kind(clip.info.speech_kind).width
    n_coefficients = clip.track.expression.shape[1]
    head = ErNerfHead(
        ErNerfConfig(
            condition, eye_width=2, n_codes=1, audio_width_in=width, expression_width_in=n_coefficients, levels=2
        )
    )
    torso = ErNerfTorso(ErNerfTorsoConfig(n_codes=1, levels=2))
    with torch.no_grad():
        for values in head.parameters():  # as they start, nothing depends on the sound yet
            values.add_(0.3 * torch.randn(values.shape))
    cells = torch.zeros(32, 32, 32, dtype=torch.bool)
    cells[12:20, 12:20, 12:20] = has_head
    n_inputs = width * WINDOW_STEPS
    lips = LipPredictor(
        torch.zeros(n_inputs),
        torch.randn(n_coefficients, n_inputs),
        torch.zeros(n_coefficients),
        parts=PARTS.get(clip.info.speech_kind),
    )
    return Portrait(
        head=head.requires_grad_(False).eval(),
        torso=torso.requires_grad_(False).eval(),
        occupied=cells,
        torso_occupancy=TorsoOccupancy(16),
        torso_follow=TorsoFollow(),
        background=torch.from_numpy(clip.background.copy()),
        camera=clip.camera,
        track=Motion(clip.track.world_from_camera, clip.eye),
        track_frame_ids=clip.track.frame_ids,
        speech_kind=clip.info.speech_kind,
        lips=lips if condition == "expression" else None,
        record={"clip": clip.info.name, "train_frames": clip.info.n_train},
    )
