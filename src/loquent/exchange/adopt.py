"""A data folder of RAD-NeRF or ER-NeRF becomes a clip folder: its pictures, poses and features are kept, faces measured again.

Their folders hold 68 landmarks; ours hold 478 and mouth shapes, which are measured on the pictures here.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from loquent import __version__
from loquent.data.clip import Clip, ClipInfo, ClipTrack, write_info, write_speech_features, write_track
from loquent.errors import InputError
from loquent.exchange.rad_folder import RadFolder
from loquent.face.blink import eye_closure
from loquent.face.brows import brow_height
from loquent.face.expression import N_COEFFICIENTS, ExpressionBasis
from loquent.face.landmarks import detect_all
from loquent.media.audio import read_waveform, write_wav
from loquent.media.images import write_image
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.progress import Progress
from loquent.speech.kinds import extract
from loquent.speech.precomputed import KIND_OF_FILE, read_precomputed
from loquent.storage import atomic_path, remove_abandoned

_MIN_TRAIN_FRAMES = N_COEFFICIENTS + 1
"""Fewer cannot tell that many mouth motions apart."""


def adopt(folder: Path, out: Path, speech_kind: str) -> Clip:
    """Write the clip folder `out` from the data folder `folder`.

    Frames in which no face is found are left out; poses, mattes, torso layers, plate, split and, where there is au.csv, eyes
    are the folder's own.

    Args:
        folder: the data folder.
        out: the clip folder to make.
        speech_kind: what portraits of the clip will listen to; taken from the folder where it holds such features.

    Raises:
        ClipError: a file of the folder is missing or damaged.
        InputError: `out` is in use, the camera is not one of ours, hardly any frame shows a face, or the folder's speech
            features are not those of its sound.
    """
    if out.exists():
        raise InputError(f"{out} is there already. Choose another --out, or remove it first.")
    remove_abandoned(out)
    source = RadFolder.open(folder)
    _check_camera(source)
    with atomic_path(out) as place:
        with Progress("Reading the folder", source.n_frames, unit="frame") as bar:
            kept, track = _measure(source, bar)
            _write_pictures(source, kept, place)
        _write_sound(source, speech_kind, place)
        info = ClipInfo(
            name=folder.resolve().name,
            height=source.camera.height,
            width=source.camera.width,
            focal_px=source.camera.fx,
            n_source_frames=int(source.frame_ids.max()) + 1,
            n_train=int((kept < source.n_train).sum()),
            speech_kind=speech_kind,
            source={"folder": folder.resolve().name, "loquent": __version__},
        )
        write_track(place, track)
        write_info(place, info)
    return Clip.open(out)


def _check_camera(source: RadFolder) -> None:
    camera = source.camera
    is_centred = abs(camera.cx - camera.width / 2) <= 1 and abs(camera.cy - camera.height / 2) <= 1
    if not is_centred or abs(camera.fx / camera.fy - 1) > 1e-3:
        raise InputError(
            f"{source.folder} was filmed with the focal lengths {camera.fx:g} and {camera.fy:g} and the principal point "
            f"({camera.cx:g}, {camera.cy:g}) in pictures of {camera.width} x {camera.height}; a clip has one focal length and "
            "the principal point in the middle."
        )


def _measure(source: RadFolder, bar: Progress) -> tuple[Int[Tensor, "kept"], ClipTrack]:
    """Which frames show a face, and the track of those."""

    def pictures() -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        for i in range(source.n_frames):
            yield source.frame(i)
            bar.advance()

    landmarks = detect_all(pictures())
    kept = np.nonzero(landmarks.found)[0]
    n_train = int((kept < source.n_train).sum())
    if n_train < _MIN_TRAIN_FRAMES:
        raise InputError(
            f"Hardly any training picture in {source.folder / 'ori_imgs'} shows a face: {n_train} of {source.n_train} do, at "
            f"least {_MIN_TRAIN_FRAMES} are wanted."
        )
    points = landmarks.points_px[kept]
    index = torch.from_numpy(kept)
    if (source.folder / "au.csv").is_file():
        blink = source.eyes_closed()[index, None].repeat(1, 2)
    else:
        blink = torch.from_numpy(eye_closure(points)).float()
    basis = ExpressionBasis.fit(points, n_train)
    return index, ClipTrack(
        frame_ids=source.frame_ids[index],
        world_from_camera=source.world_from_camera[index],
        landmarks_px=torch.from_numpy(points),
        blink=blink,
        brows=torch.from_numpy(brow_height(points, n_train)).float(),
        expression=torch.from_numpy(basis.coefficients(points)).float(),
    )


def _write_pictures(source: RadFolder, kept: Tensor, place: Path) -> None:
    write_image(place / "background.png", source.background)
    for i in kept.tolist():
        name = f"{int(source.frame_ids[i]):06d}"
        write_image(place / "frames" / f"{name}.jpg", source.frame(i))
        write_image(place / "mattes" / f"{name}.png", source.matte(i))
        write_image(place / "torso" / f"{name}.png", source.torso(i))


def _write_sound(source: RadFolder, speech_kind: str, place: Path) -> None:
    """The sound, the features that the folder holds, and the wanted ones if they are not among them."""
    waveform = read_waveform(source.folder / "aud.wav", sample_rate_hz=SAMPLE_RATE_HZ)
    write_wav(place / "sound.wav", waveform, SAMPLE_RATE_HZ)
    files = [source.folder / name for name in KIND_OF_FILE]
    n_frames = round(len(waveform) / SAMPLE_RATE_HZ * FPS)
    features = {KIND_OF_FILE[file.name]: read_precomputed(file, n_frames=n_frames) for file in files if file.is_file()}
    if speech_kind not in features:
        features[speech_kind] = extract(speech_kind, waveform, SAMPLE_RATE_HZ)
    for kind, values in features.items():
        write_speech_features(place / "speech" / f"{kind}.safetensors", kind, values)
