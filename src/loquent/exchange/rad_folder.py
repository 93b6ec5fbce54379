"""A folder prepared for RAD-NeRF, ER-NeRF or R2-Talker, read as their loaders read it (SPEC 1.1 to 1.8).

FOLDER/
  transforms_train.json, transforms_val.json    camera, and per frame its id and pose
  ori_imgs/k.jpg, ori_imgs/k.lms                frame k, and 68 lines "x y"
  parsing/k.png, torso_imgs/k.png, bc.jpg       labels as colours, torso layer, plate
  au.csv                                        OpenFace's action units, one row a frame
  aud.wav, aud_ds.npy, aud_eo.npy, aud_hu.npy   sound and speech features
  aud_idexp.npy                                 GeneFace's landmarks for R2-Talker
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from loquent.errors import ClipError, InputError
from loquent.geometry.cameras import Camera, volume_from_stored
from loquent.media.compositing import laid_over
from loquent.media.images import read_image
from loquent.speech.precomputed import KIND_OF_FILE
from loquent.storage import read_array
from loquent.tables import number, read_text, table_rows

TRAIN, VAL = "transforms_train.json", "transforms_val.json"
SPEECH_FILES = {**{kind: file for file, kind in KIND_OF_FILE.items()}, "wav2vec2": "aud.npy"}
"""Name of each kind of speech features, and the file that holds it; the last is the name for all others."""
EYES_CLOSED_AU45 = 2.0
"""OpenFace's blink intensity that counts as closed (SPEC 1.5)."""


@dataclass(frozen=True)
class RadFolder:
    """An opened folder. Frame arguments `i` count tracked frames from 0, training frames first."""

    folder: Path
    camera: Camera
    """One for all frames; the loaders allow two focal lengths and any principal point."""
    frame_ids: Int[Tensor, "frames"]
    """Number of each tracked frame in the file names: its place on the 25 fps timeline, ascending."""
    world_from_camera: Float[Tensor, "frames 4 4"]
    """Poses in the volume frame."""
    n_train: int
    """The first this many frames train."""

    @classmethod
    def is_one(cls, folder: Path) -> bool:
        """Whether `folder` looks like one."""
        return (folder / TRAIN).is_file()

    @classmethod
    def open(cls, folder: Path) -> "RadFolder":
        """Read camera and poses.

        Raises:
            ClipError: a file is missing or damaged, or its frames are not in the order of time; the message names it.
        """
        train, val = _read_transforms(folder / TRAIN), _read_transforms(folder / VAL)
        frames = train["frames"] + val["frames"]
        try:
            stored = torch.tensor([frame["transform_matrix"] for frame in frames], dtype=torch.float64)
            ids = torch.tensor([int(frame["img_id"]) for frame in frames])
            moments = torch.tensor([int(frame["aud_id"]) for frame in frames])
            camera = _camera(train)
        except (KeyError, TypeError, ValueError) as cause:
            raise ClipError(
                f"{folder / TRAIN} or {VAL} is damaged ({cause}). Run its program's preprocessing again."
            ) from cause
        if stored.ndim != 3 or stored.shape[1:] != (4, 4) or not bool(torch.isfinite(stored).all()):
            raise ClipError(f"{folder / TRAIN} and {VAL} hold poses that are not finite 4 x 4 matrices.")
        if not train["frames"]:
            raise ClipError(f"{folder / TRAIN} names no frame.")
        _check_order(folder, ids, moments)
        return cls(folder, camera, ids, volume_from_stored(stored).float(), len(train["frames"]))

    @property
    def n_frames(self) -> int:
        """Number of tracked frames."""
        return self.frame_ids.numel()

    def split(self, name: str) -> slice:
        """The frames of ``"train"`` or ``"val"``."""
        return slice(0, self.n_train) if name == "train" else slice(self.n_train, self.n_frames)

    def frame(self, i: int) -> UInt8[np.ndarray, "height width 3"]:
        """The picture as filmed."""
        return self._picture(f"ori_imgs/{int(self.frame_ids[i])}.jpg", 3)

    def torso(self, i: int) -> UInt8[np.ndarray, "height width 4"]:
        """RGBA of neck and torso, in-painted under the head."""
        return self._picture(f"torso_imgs/{int(self.frame_ids[i])}.png", 4)

    def matte(self, i: int) -> UInt8[np.ndarray, "height width 3"]:
        """Labels as in our clips: red head, green neck and torso, blue background (theirs: blue, green or red, white)."""
        labels = self._picture(f"parsing/{int(self.frame_ids[i])}.png", 3).astype(int)
        red, green, blue = (labels[..., channel] > 127 for channel in range(3))
        head = blue & ~red & ~green
        body = (red ^ green) & ~blue
        matte: np.ndarray = np.stack([head, body, ~(head | body)], axis=2).astype(np.uint8) * 255
        return matte

    @cached_property
    def background(self) -> UInt8[np.ndarray, "height width 3"]:
        """The plate behind the person."""
        return self._picture("bc.jpg", 3)

    def torso_over_background(self, i: int) -> Float[np.ndarray, "height width 3"]:
        """What stands behind the head in [0, 1]: the torso layer over the plate (SPEC 1.8)."""
        layer = self.torso(i)
        return laid_over(layer[..., :3], self.background, layer[..., 3:])

    def landmarks(self, i: int) -> Float[np.ndarray, "68 2"]:
        """The 68 landmarks (u along columns, v along rows).

        Raises:
            ClipError: the file is missing, or does not hold 68 points.
        """
        path = self.folder / "ori_imgs" / f"{int(self.frame_ids[i])}.lms"
        try:
            points = np.loadtxt(path, dtype=np.float64)
        except (OSError, ValueError) as cause:
            raise ClipError(f"The landmarks {path} cannot be read ({cause}).") from cause
        if points.shape != (68, 2) or not np.isfinite(points).all():
            raise ClipError(f"{path} must hold 68 lines of two numbers.")
        return points

    def eyes_closed(self) -> Float[Tensor, "frames"]:
        """ER-NeRF's eye condition: OpenFace's blink intensity between 0 and 2, halved (SPEC 1.5).

        Raises:
            ClipError: au.csv is missing, or lacks the column or a frame.
        """
        path = self.folder / "au.csv"
        try:
            column = [number(row["AU45_r"]) for row in table_rows(read_text(path), ("AU45_r",)).values()]
        except ValueError as cause:  # an InputError is one
            raise ClipError(
                f"{path} must be a CSV file of OpenFace with the column AU45_r, one row a frame ({cause}). Run OpenFace's "
                "FeatureExtraction on the video."
            ) from cause
        if int(self.frame_ids.max()) >= len(column):
            raise ClipError(f"{path} has {len(column)} rows, but there is a frame {int(self.frame_ids.max())}.")
        intensity = torch.tensor(column)[self.frame_ids].clamp(0, EYES_CLOSED_AU45)
        return (intensity / EYES_CLOSED_AU45).float()

    def eye_areas(self) -> Float[Tensor, "frames"]:
        """RAD-NeRF's eye condition: the area of both eyes' outlines in per cent of the picture (SPEC 1.5)."""
        return torch.tensor([eye_area(self.landmarks(i), self.camera) for i in range(self.n_frames)])

    def _picture(self, name: str, channels: int) -> UInt8[np.ndarray, "height width channels"]:
        path = self.folder / name
        try:
            pixels = read_image(path)
        except InputError as cause:
            raise ClipError(f"{cause} Run its program's preprocessing again.") from cause
        if pixels.shape[2] < channels:
            raise ClipError(f"{path} lacks an alpha channel.")
        if pixels.shape[:2] != (self.camera.height, self.camera.width):  # as the loaders do
            pixels = cv2.resize(pixels, (self.camera.width, self.camera.height), interpolation=cv2.INTER_AREA)
        return pixels[..., :channels]


def read_landmark_file(path: Path) -> Float[Tensor, "frames 68 3"]:
    """GeneFace's landmarks as R2-Talker reads them: [F, 68, 3] of ``aud_idexp.npy``, or [1, F, 204] (SPEC 7.2, 7.5).

    To train on (`loquent train --landmarks`), or, cut into windows by `loquent.nn.landmarks.landmark_windows`, for
    :meth:`loquent.portrait.Portrait.landmark_conditions` of an imported head. Such a head sees zeros for what lies outside
    [-1, 1]; nothing is clamped.

    Raises:
        ClipError: the file is missing, holds NaN, or something of another shape.
    """
    try:
        values = read_array(path)
    except InputError as cause:
        raise ClipError(str(cause)) from cause
    is_flat = values.ndim == 3 and values.shape[0] == 1 and values.shape[2] == 204
    if not is_flat and (values.ndim != 3 or values.shape[1:] != (68, 3)):
        raise ClipError(
            f"{path} must hold 68 points of three numbers per frame, as [frames, 68, 3] or [1, frames, 204]; "
            f"it has the shape {list(values.shape)}."
        )
    return torch.from_numpy(values.reshape(-1, 68, 3))


def eye_area(points: Float[np.ndarray, "68 2"], camera: Camera) -> float:
    """Area of both eyes' outlines in per cent of the picture (SPEC 1.5)."""
    both = polygon_area(points[36:42]) + polygon_area(points[42:48])
    return 100 * both / (camera.height * camera.width)


def polygon_area(points: Float[np.ndarray, "points 2"]) -> float:
    """Area inside a closed outline (shoelace formula)."""
    u, v = points.T
    return 0.5 * abs(float(np.dot(u, np.roll(v, -1)) - np.dot(v, np.roll(u, -1))))


def _check_order(folder: Path, ids: Int[Tensor, "frames"], moments: Int[Tensor, "frames"]) -> None:
    """Refuse frames that are not in the order of time, or whose sound is another frame's."""
    before = torch.cat([torch.tensor([-1]), ids[:-1]])
    if (ids <= before).any():
        i = int((ids <= before).int().argmax())
        raise ClipError(
            f"{folder / TRAIN} and then {VAL} must list frames in the order of time, but img_id {int(ids[i])} comes after "
            f"{int(before[i])}. Sort the frames; those that train come first."
        )
    if (ids != moments).any():
        i = int((ids != moments).int().argmax())
        raise ClipError(
            f"{folder / TRAIN} or {VAL} gives the frame with img_id {int(ids[i])} the sound of another moment (aud_id "
            f"{int(moments[i])}). A clip has one number for a frame's picture and sound; make the two equal."
        )


def _read_transforms(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as cause:
        raise ClipError(
            f"{path} cannot be read ({cause}). A folder for RAD-NeRF or ER-NeRF holds {TRAIN} and {VAL}."
        ) from cause
    if not isinstance(facts, dict) or not isinstance(facts.get("frames"), list):
        raise ClipError(f"{path} lists no frames.")
    return facts


def _camera(facts: dict[str, Any]) -> Camera:
    """Size, focal lengths and principal point by the loaders' rules (SPEC 1.2)."""
    if "h" in facts and "w" in facts:
        height, width = int(facts["h"]), int(facts["w"])
    else:
        height, width = 2 * int(facts["cy"]), 2 * int(facts["cx"])
    if "focal_len" in facts:
        fx = fy = float(facts["focal_len"])
    elif "fl_x" in facts or "fl_y" in facts:
        fx = float(facts["fl_x"] if "fl_x" in facts else facts["fl_y"])
        fy = float(facts["fl_y"] if "fl_y" in facts else facts["fl_x"])
    else:
        angle = float(facts["camera_angle_x"])
        fx = fy = width / (2 * np.tan(angle / 2))
    camera = Camera(height, width, fx, fy, float(facts.get("cx", width / 2)), float(facts.get("cy", height / 2)))
    if camera.height < 1 or camera.width < 1 or not fx > 0 or not fy > 0:
        raise ValueError(f"size {camera.width} x {camera.height} and focal length {fx:g} make no camera")
    return camera
