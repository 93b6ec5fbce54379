"""Small stand-ins for what the original programs write: checkpoints with random weights under their names, and a data folder.

Names and shapes are written down here once more, from SPEC 2, 3, 6, 7, so that the reader has something to disagree with.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loquent.media.images import write_image

CELLS = 128
N_CODES = 7
BUFFERS = {"aabb_train", "aabb_infer", "density_grid", "density_bitfield", "density_grid_torso", "step_counter"}

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def level_offsets(dims: int, levels: int, base: int, finest: int, log2_entries: int) -> list[int]:
    growth = (finest / base) ** (1 / (levels - 1))
    total = [0]
    for level in range(levels):
        lines = int(np.ceil(round(base * growth**level, 6))) + 1
        total.append(total[-1] + -(-min(2**log2_entries, lines**dims) // 8) * 8)
    return total


GRIDS = {
    "encoder_xy": (2, 12, 64, 512, 14, 1),
    "encoder_yz": (2, 12, 64, 512, 14, 1),
    "encoder_xz": (2, 12, 64, 512, 14, 1),
    "rad encoder": (3, 16, 16, 2048, 16, 2),
    "encoder_ambient": (2, 16, 16, 2048, 16, 2),
    "r2 encoder": (3, 16, 32, 2048, 16, 4),
    "encoder_idexp_lm3d": (3, 16, 32, 2048, 16, 2),
    "torso_encoder": (2, 16, 16, 2048, 16, 2),
}


def network(name: str, *widths: int) -> Shapes:
    for layer, (before, after) in enumerate(itertools.pairwise(widths)):
        yield f"{name}.net.{layer}.weight", (after, before)


def audio_networks(width_in: int, width_out: int) -> Shapes:
    convolutions = ((width_in, 32), (32, 32), (32, 64), (64, 64))
    attention = ((width_out, 16), (16, 8), (8, 4), (4, 2), (2, 1))
    layers: list[tuple[str, tuple[int, ...]]] = []
    layers += [(f"audio_net.encoder_conv.{2 * i}", (b, a, 3)) for i, (a, b) in enumerate(convolutions)]
    layers += [("audio_net.encoder_fc1.0", (64, 64)), ("audio_net.encoder_fc1.2", (width_out, 64))]
    layers += [(f"audio_att_net.attentionConvNet.{2 * i}", (b, a, 3)) for i, (a, b) in enumerate(attention)]
    for name, shape in [*layers, ("audio_att_net.attentionNet.0", (8, 8))]:
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[:1]


def er_nerf_shapes(has_torso: bool) -> Shapes:
    if has_torso:
        yield "anchor_points", (3, 4)
    yield from audio_networks(29, 32)
    yield from ((f"encoder_{plane}", ()) for plane in ("xy", "yz", "xz"))
    yield from network("eye_att_net", 36, 16, 1)
    yield from network("sigma_net", 69, 64, 64, 65)
    yield from network("color_net", 84, 64, 3)
    yield from network("unc_net", 36, 32, 1)
    yield from network("aud_ch_att_net", 36, 64, 32)
    if has_torso:
        yield from network("torso_deform_net", 84, 32, 32, 2)
        yield "torso_encoder", ()
        yield from network("torso_net", 116, 32, 32, 4)


def rad_nerf_shapes(has_torso: bool) -> Shapes:
    yield from audio_networks(44, 64)
    yield from (("rad encoder", ()), ("encoder_ambient", ()))
    yield from network("ambient_net", 96, 64, 64, 2)
    yield from network("sigma_net", 65, 64, 64, 65)
    yield from network("color_net", 84, 64, 3)
    if has_torso:
        yield from network("torso_deform_net", 104, 64, 64, 2)
        yield "torso_encoder", ()
        yield from network("torso_net", 136, 32, 32, 4)


def r2_talker_shapes(has_torso: bool) -> Shapes:
    yield from (("r2 encoder", ()), ("encoder_idexp_lm3d", ()))
    yield from network("sigma_net", 65, 64, 64, 65)
    yield from network("color_net", 84, 64, 3)
    for number in (1, 2):
        yield from network(f"mlp_lms_style_{number}", 5 * 68 * 32, 128, 128, 128)


SHAPES = {"er_nerf": er_nerf_shapes, "rad_nerf": rad_nerf_shapes, "r2_talker": r2_talker_shapes}


def model_tensors(program: str, *, has_torso: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """The model of a checkpoint, in the order the program keeps."""
    random = np.random.default_rng(seed)

    def noise(*shape: int) -> Tensor:
        return torch.from_numpy(random.uniform(-0.2, 0.2, shape).astype(np.float32))

    box = torch.tensor([-1, -0.5, -1, 1, 0.5, 1])
    model = {"individual_codes": noise(N_CODES, 4)}
    if has_torso:
        model["individual_codes_torso"] = noise(N_CODES, 8)
    density = torch.zeros(1, CELLS**3)
    density[0, 3::5] = 20.0
    bits = np.packbits(density.numpy().reshape(-1, 8) > 10, axis=1, bitorder="little")[:, 0]
    model |= {"aabb_train": box, "aabb_infer": box.clone(), "density_grid": density}
    model["density_bitfield"] = torch.from_numpy(bits.copy())
    if has_torso:
        model["density_grid_torso"] = torch.rand(CELLS * CELLS, generator=torch.Generator().manual_seed(seed))
    model["step_counter"] = torch.zeros(16, 2, dtype=torch.int32)
    for name, shape in SHAPES[program](has_torso):
        if name in GRIDS:
            *layout, features = GRIDS[name]
            key, offsets = name.split()[-1], level_offsets(*layout)
            model[f"{key}.embeddings"] = noise(offsets[-1], features)
            model[f"{key}.offsets"] = torch.tensor(offsets, dtype=torch.int32)
        else:
            model[name] = noise(*shape)
    return model


def checkpoint(model: dict[str, Tensor], *, kind: str = "epoch") -> dict[str, Any]:
    """A whole checkpoint as ``torch.save`` gets it; the average of an epoch file is half the raw weight."""
    state: dict[str, Any] = {"epoch": 28, "global_step": 203616, "stats": {"loss": [0.01], "best_result": None}}
    state |= {"mean_density": 0, "mean_count": 4123}
    if kind == "best":
        return {**state, "model": {name: value for name, value in model.items() if name != "density_grid"}}
    trained = [value for name, value in model.items() if name not in BUFFERS and not name.endswith(".offsets")]
    state["optimizer"] = {"state": {}, "param_groups": [{"lr": 1e-2, "params": list(range(len(trained)))}]}
    state["ema"] = {"decay": 0.95, "num_updates": 203, "shadow_params": [value / 2 for value in trained]}
    return {**state, "model": model}


def frontal_poses(n: int) -> list[list[list[float]]]:
    """Stored matrices (OpenGL, metres) of cameras before the face, a little apart."""
    poses = []
    for i in range(n):
        pose = np.eye(4)
        pose[:3, 3] = (0.01 * i, -0.005 * i, 0.7)
        poses.append(pose.tolist())
    return poses


def write_data_folder(
    folder: Path,
    *,
    n_frames: int = 5,
    n_train: int = 3,
    size: tuple[int, int] = (24, 32),
    camera: dict[str, float] | None = None,
) -> Path:
    """A data folder of those programs: plain pictures, invented landmarks, random features."""
    (height, width), random = size, np.random.default_rng(1)
    intrinsics = camera or {"focal_len": 70.0, "cx": width / 2, "cy": height / 2}
    poses = frontal_poses(n_frames)
    for name, ids in (("train", range(n_train)), ("val", range(n_train, n_frames))):
        frames = [{"img_id": k, "aud_id": k, "transform_matrix": poses[k]} for k in ids]
        (folder / f"transforms_{name}.json").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"transforms_{name}.json").write_text(json.dumps({**intrinsics, "frames": frames}))
    rows, _ = np.mgrid[:height, :width]
    (folder / "ori_imgs").mkdir()
    write_image(folder / "bc.jpg", np.full((height, width, 3), (90, 120, 60), np.uint8))
    for k in range(n_frames):
        write_image(folder / "ori_imgs" / f"{k}.jpg", np.full((height, width, 3), (40 * k, 100, 50), np.uint8))
        labels = np.full((height, width, 3), 255, np.uint8)
        labels[rows < height // 2] = (0, 0, 255)
        labels[rows >= height - 4] = (0, 255, 0)
        labels[rows >= height - 2] = (255, 0, 0)
        write_image(folder / "parsing" / f"{k}.png", labels)
        layer = np.zeros((height, width, 4), np.uint8)
        layer[rows >= height - 4] = (200, 10 * k, 0, 128)
        write_image(folder / "torso_imgs" / f"{k}.png", layer)
        points = random.uniform(4, 18, (68, 2))
        np.savetxt(folder / "ori_imgs" / f"{k}.lms", points, fmt="%f")
    blink = "\n".join(f"{k + 1}, 0.98, {0.7 * k:.2f}" for k in range(n_frames))
    (folder / "au.csv").write_text(f"frame, confidence, AU45_r\n{blink}\n")
    np.save(folder / "aud_ds.npy", random.standard_normal((n_frames - 1, 16, 29)).astype(np.float32))
    np.save(folder / "aud_idexp.npy", random.uniform(-1.2, 1.2, (n_frames, 68, 3)).astype(np.float32))
    return folder
