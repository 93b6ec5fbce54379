"""From a portrait and any sound to a film, frame by frame: memory does not grow with the pictures."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from loquent.errors import InputError, MediaError
from loquent.geometry.cameras import Camera
from loquent.media.audio import read_waveform
from loquent.media.images import cover, read_image, to_bytes, write_image
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.media.writer import VideoWriter
from loquent.motion import Motion, dense_track, endless, read_motion
from loquent.portrait import Portrait
from loquent.progress import Progress
from loquent.speech.kinds import extract
from loquent.speech.windows import STEPS_PER_FRAME
from loquent.storage import check_file_place

NAMED_COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0), "green": (0, 177, 64)}


def speak(
    portrait: Portrait,
    sound: Path,
    out: Path,
    *,
    motion: Path | None = None,
    size: int | None = None,
    background: str | None = None,
    mouth_gain: float = 1.0,
    seconds: float | None = None,
    seed: int = 0,
) -> int:
    """Write a film of the portrait speaking `sound`, with that sound; returns its number of frames.

    Args:
        portrait: who speaks.
        sound: any sound or video file with a sound track.
        out: the mp4 to write.
        motion: a motion file (`loquent.motion`); nothing = the clip's own motion without end.
        size: rows of the film; nothing = the clip's.
        background: a picture file, whose middle fills the film, a colour name or ``#rrggbb``; nothing = the clip's own plate.
        mouth_gain: scales the predicted lip motion, see `Portrait.conditions`.
        seconds: only the film's beginning, this long; nothing = all of it.
        seed: of the path through the clip's motion.

    Raises:
        InputError: a file cannot be used, `out` is one of them, `seconds` is not positive, or see
            `Portrait.check_mouth_gain`.
        OutputError: the film cannot be written.
    """
    if out.suffix.lower() not in (".mp4", ".mov"):
        raise InputError(f"--out must end in .mp4 or .mov, but is {out}. For a single picture add --still SECONDS.")
    if seconds is not None and not 0 < seconds < math.inf:
        raise InputError(f"--seconds must be more than 0, but is {seconds}.")
    check_file_place(out, sound, motion, None if background is None else Path(background))
    portrait.check_mouth_gain(mouth_gain)
    camera = portrait.camera if size is None else portrait.camera.with_rows(size)
    features = _features(portrait, sound)
    n_frames = math.ceil(features.shape[0] / STEPS_PER_FRAME)
    path = _motion(portrait, motion, n_frames, seed)
    plate = _plate(portrait, camera, background)
    n_wanted = n_frames if seconds is None else min(n_frames, math.ceil(round(seconds * FPS, 6)))
    with (
        VideoWriter(out, height=camera.height, width=camera.width, fps=FPS, sound=sound) as writer,
        Progress("Rendering", n_wanted, unit="frame") as bar,
    ):
        for image in _frames(portrait, features, path, camera, plate, range(n_wanted), mouth_gain):
            writer.write(image)
            bar.advance()
    return n_wanted


def speak_still(
    portrait: Portrait,
    sound: Path,
    out: Path,
    *,
    at_s: float,
    motion: Path | None = None,
    size: int | None = None,
    background: str | None = None,
    mouth_gain: float = 1.0,
    seed: int = 0,
) -> None:
    """Write the single picture that a film of `sound` would show at `at_s` seconds; arguments as in :func:`speak`.

    Raises:
        InputError: a file cannot be used, `out` is one of them, the sound is shorter than `at_s`, or see
            `Portrait.check_mouth_gain`.
    """
    if out.suffix.lower() not in (".png", ".jpg"):
        raise InputError(f"--still writes a picture: --out must end in .png or .jpg, but is {out}.")
    check_file_place(out, sound, motion, None if background is None else Path(background))
    portrait.check_mouth_gain(mouth_gain)
    camera = portrait.camera if size is None else portrait.camera.with_rows(size)
    features = _features(portrait, sound)
    n_frames = math.ceil(features.shape[0] / STEPS_PER_FRAME)
    # Rounded first: 1.16 s is frame 29, but 1.16 * 25 is a little less than 29. What is not finite lies outside, too.
    frame = math.floor(round(at_s * FPS, 6)) if math.isfinite(at_s) else -1
    if not 0 <= frame < n_frames:
        raise InputError(f"--still {at_s} lies outside the sound {sound}, which lasts {n_frames / FPS:.2f} s.")
    path = _motion(portrait, motion, n_frames, seed)
    plate = _plate(portrait, camera, background)
    write_image(out, next(_frames(portrait, features, path, camera, plate, range(frame, frame + 1), mouth_gain)))


def _frames(
    portrait: Portrait,
    features: Float[Tensor, "steps width"],
    path: Motion,
    camera: Camera,
    plate: Float[Tensor, "rows columns 3"],
    frames: range,
    mouth_gain: float,
) -> Iterator[UInt8[np.ndarray, "rows columns 3"]]:
    conditions = portrait.each_condition(features, frames, mouth_gain=mouth_gain)
    for i, condition in zip(frames, conditions, strict=True):
        picture = portrait.render(path.world_from_camera[i], condition, path.eye[i], camera=camera, background=plate)
        yield to_bytes(picture.numpy())


def _features(portrait: Portrait, sound: Path) -> Float[Tensor, "steps width"]:
    features = extract(portrait.speech_kind, read_waveform(sound), SAMPLE_RATE_HZ)
    if features.shape[0] == 0:
        raise MediaError(f"{sound} holds a sound track without sound in it (0 seconds). Record or copy it again.")
    return features


def _motion(portrait: Portrait, file: Path | None, n_frames: int, seed: int) -> Motion:
    if file is not None:
        wanted = read_motion(file, n_frames, FPS)
        return Motion(wanted.world_from_camera, portrait.eye_condition(wanted.eye))
    track = dense_track(portrait.track_frame_ids, portrait.track.world_from_camera, portrait.track.eye)
    return endless(track, n_frames, seed)


def _plate(portrait: Portrait, camera: Camera, background: str | None) -> Float[Tensor, "height width 3"]:
    if background is None:
        return portrait.plate(camera)
    colour = NAMED_COLOURS.get(background.lower())
    if background.startswith("#"):
        try:
            red, green, blue = bytes.fromhex(background[1:])
            colour = (red, green, blue)
        except ValueError as cause:
            raise InputError(f"--background {background!r} is not a colour of the form #rrggbb.") from cause
    if colour is not None:
        return (torch.tensor(colour) / 255).expand(camera.height, camera.width, 3).clone()
    if not Path(background).is_file():
        raise InputError(
            f"--background {background!r} is neither a picture file that exists, nor one of {', '.join(NAMED_COLOURS)}, "
            "nor a colour of the form #rrggbb."
        )
    pixels = read_image(Path(background))[..., :3]
    return torch.from_numpy(cover(pixels, camera.height, camera.width)).float() / 255
