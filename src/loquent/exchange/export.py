"""A clip folder becomes a data folder that RAD-NeRF, ER-NeRF and R2-Talker train on (SPEC 1.1, 1.2)."""

import csv
import io
from pathlib import Path

import numpy as np
import torch

from loquent.data.clip import Clip
from loquent.errors import ClipError, InputError
from loquent.exchange.rad_folder import EYES_CLOSED_AU45, SPEECH_FILES, TRAIN, VAL
from loquent.face.indices import MESH_OF_68
from loquent.geometry.cameras import stored_from_volume
from loquent.media.images import to_bytes, write_image
from loquent.progress import Progress
from loquent.speech.windows import STEPS_PER_FRAME, WINDOW_LENGTH, frame_windows
from loquent.storage import atomic_path, remove_abandoned, write_bytes, write_json

_LABELS = np.array([[0, 0, 255], [255, 0, 0], [255, 255, 255]], np.uint8)
"""Colours of head, body and background in parsing/."""


def export(clip: Clip, out: Path) -> None:
    """Write the data folder `out` from a clip.

    Frame numbers are places on the clip's timeline; frames that the clip dropped are missing from the lists of poses, which
    the originals' loaders take by number. Blinks stand in au.csv as OpenFace's AU45.

    Raises:
        InputError: `out` is in use.
        ClipError: a file of the clip is damaged.
    """
    if out.exists():
        raise InputError(f"{out} is there already. Choose another --out, or remove it first.")
    remove_abandoned(out)
    with atomic_path(out) as place:
        _write_poses(clip, place)
        _write_sound(clip, place)
        _write_blinks(clip, place)
        write_image(place / "bc.jpg", clip.background)
        with Progress("Writing the folder", clip.n_frames, unit="frame") as bar:
            for i in range(clip.n_frames):
                _write_frame(clip, i, place)
                bar.advance()


def _write_poses(clip: Clip, place: Path) -> None:
    ids = clip.track.frame_ids.tolist()
    matrices = stored_from_volume(clip.track.world_from_camera.double()).tolist()
    camera = clip.camera
    facts = {"focal_len": camera.fx, "cx": camera.cx, "cy": camera.cy, "h": camera.height, "w": camera.width}
    for name, part in ((TRAIN, clip.train_frames), (VAL, clip.held_out_frames)):
        frames = [{"img_id": ids[i], "aud_id": ids[i], "transform_matrix": matrices[i]} for i in part]
        write_json(place / name, {**facts, "frames": frames})


def _write_sound(clip: Clip, place: Path) -> None:
    _copy(clip.folder / "sound.wav", place / "aud.wav")
    kind = clip.info.speech_kind
    everything = torch.arange(clip.info.n_source_frames)
    if kind == "hubert_large":
        windows = frame_windows(clip.speech_features(), everything, length=STEPS_PER_FRAME, n_before=0)
    else:
        windows = frame_windows(clip.speech_features(), everything, length=WINDOW_LENGTH)
    content = io.BytesIO()
    np.save(content, windows.transpose(1, 2).numpy())
    write_bytes(place / SPEECH_FILES.get(kind, "aud.npy"), content.getvalue())


def _write_blinks(clip: Clip, place: Path) -> None:
    closed = np.zeros(clip.info.n_source_frames)
    closed[clip.track.frame_ids.numpy()] = clip.eye[:, 0].numpy()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", " timestamp", " confidence", " success", " AU45_r"])  # with OpenFace's leading spaces
    for k, value in enumerate(closed):
        writer.writerow([k + 1, f" {k / clip.info.fps:.3f}", " 1.00", " 1", f" {value * EYES_CLOSED_AU45:.4f}"])
    write_bytes(place / "au.csv", text.getvalue().encode())


def _write_frame(clip: Clip, i: int, place: Path) -> None:
    k = int(clip.track.frame_ids[i])
    _copy(clip.folder / "frames" / f"{k:06d}.jpg", place / "ori_imgs" / f"{k}.jpg")
    points = clip.track.landmarks_px[i, list(MESH_OF_68), :2].tolist()
    write_bytes(place / "ori_imgs" / f"{k}.lms", "".join(f"{u:f} {v:f}\n" for u, v in points).encode())
    target = to_bytes(clip.target(i))
    write_image(place / "gt_imgs" / f"{k}.jpg", target)
    write_image(place / "torso_imgs" / f"{k}.png", clip.torso(i))
    write_image(place / "parsing" / f"{k}.png", _LABELS[clip.matte(i).argmax(axis=2)])


def _copy(source: Path, target: Path) -> None:
    try:
        content = source.read_bytes()
    except OSError as cause:
        raise ClipError(f"{source} cannot be read: {cause.strerror}.") from cause
    write_bytes(target, content, durable=False)
