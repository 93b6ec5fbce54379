"""The clip folder: everything `prepare` measured on one person's video. Layout and meaning of each file: docs/data-format.md.

    CLIP/
      clip.json                     ClipInfo: sizes, camera, split, sound offset, findings, where it came from
      track.safetensors             per usable frame: pose, landmarks, blink, brows (ClipTrack)
      background.png                the static plate behind the person, RGB
      frames/000123.jpg             frame 123, cropped and resized, RGB
      mattes/000123.png             soft labels as colours: red = head, green = neck and torso, blue = background; sum 255
      torso/000123.png              RGBA: neck and torso, in-painted under the head
      sound.wav                     16 kHz mono; sample 0 belongs to frame 0 after the sound-lip offset was taken out
      speech/<kind>.safetensors     speech features of the whole sound
      preview.jpg                   contact sheet of the tracking
      steps/*.json                  stamps that let `prepare` resume

File names and `frame_ids` count frames of the 25 fps timeline, so frame ids keep their place in time when others were dropped.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_origin

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from loquent.data.findings import Finding
from loquent.errors import ClipError, InputError
from loquent.geometry.cameras import Camera
from loquent.media.compositing import laid_over
from loquent.media.images import read_image
from loquent.media.rates import FPS
from loquent.speech.kinds import speech_kind
from loquent.storage import TensorKind, check_frame_ids, check_tensors, write_bytes, write_json

FORMAT = "loquent.clip"
VERSION = 1

Slices = tuple[slice, slice]
"""Rows and columns of a picture."""
WHOLE: Slices = (slice(None), slice(None))
"""The whole picture."""


@dataclass(frozen=True)
class ClipInfo:
    """What clip.json holds."""

    name: str
    """Shown in reports; the video's name without its ending."""
    height: int
    """Rows of every picture."""
    width: int
    """Columns of every picture."""
    focal_px: float
    """Focal length in pixels, for both axes; the principal point is the centre."""
    n_source_frames: int
    """Frames of the 25 fps timeline, usable or not."""
    n_train: int
    """The first this many usable frames train, the rest are held out (SPEC 1.2)."""
    fps: float = FPS
    """Frames per second of the timeline; 25 in every clip."""
    sound_offset_s: float = 0.0
    """How late the sound was in the source; already taken out of sound.wav."""
    sound_offset_confidence: float = 0.0
    """0 = a guess, 1 = certain."""
    speech_kind: str = "log_mel"
    """Name of the speech features in speech/."""
    findings: tuple[Finding, ...] = ()
    """What was found about the video."""
    source: dict[str, Any] = field(default_factory=dict)
    """Name and sha256 of the video, the crop taken from it, the versions of what measured it."""
    figures: dict[str, float] = field(default_factory=dict)
    """Measured quality, e.g. ``reprojection_error_px``."""


@dataclass(frozen=True)
class ClipTrack:
    """What was measured on each usable frame; F frames."""

    frame_ids: Int[Tensor, "frames"]
    """Place of each frame on the 25 fps timeline, ascending."""
    world_from_camera: Float[Tensor, "frames 4 4"]
    """Head pose in the volume frame (docs/conventions.md)."""
    landmarks_px: Float[Tensor, "frames 478 3"]
    """MediaPipe landmarks: u, v in pixels and depth on the same scale (smaller = nearer)."""
    blink: Float[Tensor, "frames 2"]
    """How closed the person's right and left eye are, 0 = open, 1 = closed."""
    brows: Float[Tensor, "frames"]
    """How high the brows are, 0 to 1 = as low and as high as in the training frames."""
    expression: Float[Tensor, "frames coefficients"]
    """Lip and jaw shape: coefficients over this clip's principal mouth motions, unit variance on the training frames."""


_TRACK: dict[str, TensorKind] = {
    "frame_ids": (torch.int64, ("frames",)),
    "world_from_camera": (torch.float32, ("frames", 4, 4)),
    "landmarks_px": (torch.float32, ("frames", 478, 3)),
    "blink": (torch.float32, ("frames", 2)),
    "brows": (torch.float32, ("frames",)),
    "expression": (torch.float32, ("frames", "coefficients")),
}
"""Type and sizes of what track.safetensors holds."""


@dataclass(frozen=True)
class Clip:
    """A clip folder, checked and ready to read. Frame arguments `i` count usable frames from 0."""

    folder: Path
    info: ClipInfo
    track: ClipTrack

    @classmethod
    def open(cls, folder: Path) -> "Clip":
        """Open a clip folder and check that every file it promises is there, and that the numbers of its track fit together.

        Pictures and speech features are checked when they are read.

        Raises:
            ClipError: something is missing, damaged, or of a newer version; the message names it.
        """
        info = _read_info(folder)
        track = _read_track(folder, info.n_source_frames)
        if not 0 < info.n_train <= track.frame_ids.numel():
            raise ClipError(
                f"{folder / 'clip.json'} says that {info.n_train} frames train, "
                f"but the clip has {track.frame_ids.numel()} usable frames. Run `loquent prepare` again."
            )
        wanted = [
            folder / "background.png",
            folder / "sound.wav",
            folder / "speech" / f"{info.speech_kind}.safetensors",
        ]
        for frame_id in track.frame_ids.tolist():
            wanted += [
                folder / "frames" / f"{frame_id:06d}.jpg",
                folder / "mattes" / f"{frame_id:06d}.png",
                folder / "torso" / f"{frame_id:06d}.png",
            ]
        missing = [str(path.relative_to(folder)) for path in wanted if not path.is_file()]
        if missing:
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ClipError(f"The clip {folder} lacks {missing[0]}{others}. Run `loquent prepare` again to restore it.")
        return cls(folder, info, track)

    @property
    def n_frames(self) -> int:
        """Number of usable frames."""
        return self.track.frame_ids.numel()

    @property
    def train_frames(self) -> range:
        """Frames that train."""
        return range(self.info.n_train)

    @property
    def held_out_frames(self) -> range:
        """Frames kept for evaluation."""
        return range(self.info.n_train, self.n_frames)

    @property
    def camera(self) -> Camera:
        """The camera all frames share."""
        return Camera.centred(self.info.height, self.info.width, self.info.focal_px)

    @property
    def eye(self) -> Float[Tensor, "frames 2"]:
        """The field's eye condition: mean closure of both eyes, 0 = open, 1 = closed (SPEC 1.5), and how high the brows are."""
        return torch.stack([self.track.blink.mean(dim=1), self.track.brows], dim=1)

    def at_frames(self, values: Float[Tensor, "moments *axes"], name: str) -> Float[Tensor, "frames *axes"]:
        """The rows of the usable frames, of `values` that another program measured at every moment of the timeline.

        Raises:
            InputError: they end before the clip does; `name` says what they are.
        """
        wanted = int(self.track.frame_ids[-1]) + 1
        if len(values) < wanted:
            raise InputError(
                f"The {name} end after {len(values)} frames, but the film of the clip {self.folder} has {wanted} at "
                f"{self.info.fps:g} frames a second. They belong to another film, or to another rate."
            )
        return values[self.track.frame_ids]

    def frame(self, i: int) -> UInt8[np.ndarray, "height width 3"]:
        """The picture as filmed, cropped and resized."""
        return self._picture("frames", i, ".jpg", 3)

    def matte(self, i: int) -> UInt8[np.ndarray, "height width 3"]:
        """Soft labels: channel 0 head, 1 neck and torso, 2 background; they sum to 255."""
        return self._picture("mattes", i, ".png", 3)

    def torso(self, i: int) -> UInt8[np.ndarray, "height width 4"]:
        """RGBA of neck and torso, in-painted under the head."""
        return self._picture("torso", i, ".png", 4)

    @cached_property
    def background(self) -> UInt8[np.ndarray, "height width 3"]:
        """The static plate behind the person."""
        try:
            return read_image(self.folder / "background.png")[..., :3]
        except InputError as cause:
            raise ClipError(f"{cause} Run `loquent prepare` again to restore it.") from cause

    @cached_property
    def _plate(self) -> Float[np.ndarray, "height width 3"]:
        return self.background.astype(np.float32)

    def target(self, i: int, window: Slices = WHOLE) -> Float[np.ndarray, "rows columns 3"]:
        """The training target in [0, 1]: the frame with its background pixels taken from the plate (SPEC 1.1, gt_imgs).

        `window` cuts out rows and columns before anything is computed.
        """
        return laid_over(self._plate[window], self.frame(i)[window], self.matte(i)[window][..., 2:])

    def torso_over_background(self, i: int, window: Slices = WHOLE) -> Float[np.ndarray, "rows columns 3"]:
        """What stands behind the head in [0, 1]: the torso layer over the plate (SPEC 1.8); `window` as in :meth:`target`."""
        return self.over_background(self.torso(i)[window], window)

    def head_over_background(self, i: int) -> Float[np.ndarray, "height width 3"]:
        """What stands behind a torso that lies in front, in [0, 1]: the head over the plate."""
        return laid_over(self.frame(i), self._plate, self.matte(i)[..., :1])

    def over_background(
        self, layer: UInt8[np.ndarray, "rows columns 4"], window: Slices = WHOLE
    ) -> Float[np.ndarray, "rows columns 3"]:
        """An RGBA `layer` over the plate in [0, 1]; `window` says which rows and columns of the plate it covers."""
        return laid_over(layer[..., :3], self._plate[window], layer[..., 3:])

    def speech_features(self) -> Float[Tensor, "steps width"]:
        """Speech features of the whole sound, from time 0 at the kind's own rate.

        Raises:
            ClipError: the file is damaged, or an earlier Loquent computed other features under the same name.
        """
        kind = speech_kind(self.info.speech_kind)
        path = self.folder / "speech" / f"{kind.name}.safetensors"
        tensors = _load_tensors(path)
        with safe_open(path, "pt") as file:
            version = (file.metadata() or {}).get("version", "1")
        if version != str(kind.version):
            raise ClipError(
                f"{path} holds version {version} of these speech features; this Loquent computes version {kind.version}. "
                "Run `loquent prepare` on the video again: only what is new is measured."
            )
        try:
            check_tensors(tensors, {"features": (torch.float32, ("steps", kind.width))})
        except ValueError as cause:
            raise ClipError(f"{path} is damaged: {cause}. Run `loquent prepare` again to restore it.") from cause
        return tensors["features"]

    def _picture(self, kind: str, i: int, ending: str, channels: int) -> UInt8[np.ndarray, "height width channels"]:
        path = self.folder / kind / f"{int(self.track.frame_ids[i]):06d}{ending}"
        try:
            pixels = read_image(path)
        except InputError as cause:
            raise ClipError(f"{cause} Run `loquent prepare` again to restore it.") from cause
        expected = (self.info.height, self.info.width, channels)
        if pixels.shape != expected:
            raise ClipError(f"{path} has the shape {pixels.shape}, but the clip promises {expected}.")
        return pixels


def write_info(folder: Path, info: ClipInfo) -> None:
    """Write clip.json."""
    write_json(folder / "clip.json", {"format": FORMAT, "version": VERSION, **asdict(info)})


def write_track(folder: Path, track: ClipTrack) -> None:
    """Write track.safetensors."""
    # One entry only: safetensors writes several in an order that changes from run to run.
    tensors = {name: getattr(track, name).contiguous() for name in ClipTrack.__dataclass_fields__}
    write_bytes(folder / "track.safetensors", save(tensors, metadata={"format": f"{FORMAT} {VERSION}"}))


def write_speech_features(path: Path, kind_name: str, features: Float[Tensor, "steps width"]) -> None:
    """Write speech/<kind>.safetensors, with the kind's version."""
    metadata = {"version": str(speech_kind(kind_name).version)}
    write_bytes(path, save({"features": features.contiguous()}, metadata))


def _read_info(folder: Path) -> ClipInfo:
    path = folder / "clip.json"
    if not path.is_file():
        if folder.is_file():
            raise ClipError(
                f"{folder} is a file, not a clip folder. Name the folder that `loquent prepare VIDEO --out CLIP` made."
            )
        if not folder.exists():
            raise ClipError(f"The clip {folder} does not exist. Make one with `loquent prepare VIDEO --out {folder}`.")
        raise ClipError(
            f"{folder} is not a clip folder: it has no clip.json. Make one with `loquent prepare VIDEO --out CLIP`."
        )
    try:
        fields = json.loads(path.read_text())
        kind, version = fields.pop("format"), fields.pop("version")
        if kind != FORMAT:
            raise ClipError(f"{path} is of the format {kind!r}; {FORMAT!r} was expected.")
        if version > VERSION:
            raise ClipError(f"{path} has version {version}; this Loquent reads up to {VERSION}. Update Loquent.")
        fields["findings"] = tuple(Finding(**finding) for finding in fields.get("findings", ()))
        _check_fields(fields)
        info = ClipInfo(**fields)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as cause:
        raise ClipError(f"{path} is damaged ({cause}). Run `loquent prepare` again to restore it.") from cause
    if info.fps != FPS:
        raise ClipError(
            f"{path} says that the clip has {info.fps:g} frames a second, but clips have {FPS:g}. Run `loquent prepare` again."
        )
    return info


def _check_fields(fields: dict[str, Any]) -> None:
    """Raise TypeError where a field holds something else than it is for."""
    for name, kind in ClipInfo.__annotations__.items():
        value = fields.get(name)
        wanted: Any = (int, float) if kind is float else get_origin(kind) or kind
        if name in fields and (isinstance(value, bool) or not isinstance(value, wanted)):
            raise TypeError(f"{name} cannot be {value!r}")
    for name in ("height", "width", "focal_px"):
        if name in fields and not 0 < fields[name] < math.inf:
            raise TypeError(f"{name} must be positive, but is {fields[name]}")


def _read_track(folder: Path, n_source_frames: int) -> ClipTrack:
    path = folder / "track.safetensors"
    if not path.is_file():
        raise ClipError(f"The clip {folder} lacks track.safetensors. Run `loquent prepare` again to restore it.")
    tensors = _load_tensors(path)
    missing = sorted(set(ClipTrack.__dataclass_fields__) - set(tensors))
    if missing:
        raise ClipError(f"{path} lacks {', '.join(missing)}. Run `loquent prepare` again to restore it.")
    if tensors["frame_ids"].numel() == 0:
        raise ClipError(f"The clip {folder} has no usable frame. Run `loquent prepare` on another video.")
    try:
        check_tensors(tensors, _TRACK)
        check_frame_ids("frame_ids", tensors["frame_ids"])
    except ValueError as cause:
        raise ClipError(f"{path} is damaged: {cause}. Run `loquent prepare` again to restore it.") from cause
    if int(tensors["frame_ids"][-1]) >= n_source_frames:
        raise ClipError(
            f"{folder / 'clip.json'} says that the film has {n_source_frames} frames, but {path} has a frame "
            f"{int(tensors['frame_ids'][-1])}. Run `loquent prepare` again."
        )
    return ClipTrack(**{name: tensors[name] for name in ClipTrack.__dataclass_fields__})


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as cause:
        raise ClipError(f"{path} is damaged ({cause}). Run `loquent prepare` again to restore it.") from cause


def default_train_count(n_frames: int) -> int:
    """The papers' split: the first int(F * 10 / 11) usable frames train, never none (SPEC 1.2)."""
    return max(1, int(n_frames * 10 / 11))


__all__ = [
    "FORMAT",
    "VERSION",
    "Clip",
    "ClipInfo",
    "ClipTrack",
    "default_train_count",
    "write_info",
    "write_speech_features",
    "write_track",
]
