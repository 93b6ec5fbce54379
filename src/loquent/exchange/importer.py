"""From a checkpoint of the original programs, and the clip it was trained on, to a portrait that renders the same picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from loquent import __version__
from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.exchange.checkpoint import Checkpoint
from loquent.exchange.conventions import smooth_eyes, smooth_path
from loquent.exchange.models import Model, read_model
from loquent.exchange.rad_folder import SPEECH_FILES, RadFolder, eye_area
from loquent.face.indices import MESH_OF_68
from loquent.fields.head import HeadConfig, SpeechHeadConfig
from loquent.fields.torso_follow import TorsoFollow
from loquent.geometry.cameras import Camera
from loquent.motion import Motion
from loquent.portrait import Portrait
from loquent.rendering.render import MarchSettings
from loquent.speech.kinds import speech_kind
from loquent.storage import file_digest

_GENERATOR_KIND = "hubert_large"
"""Features from which R2-Talker's landmarks are generated (SPEC 7.5)."""

_OPEN_EYES = 0.9
"""Eyes are open most of the time: this quantile of their areas is an open eye's."""


@dataclass(frozen=True)
class Scene:
    """What a checkpoint does not hold: where the camera stands, what is behind the person, how the head moves."""

    name: str
    camera: Camera
    background: UInt8[np.ndarray, "height width 3"]
    frame_ids: Int[Tensor, "frames"]
    world_from_camera: Float[Tensor, "frames 4 4"]
    eye: Float[Tensor, "frames"]
    n_train: int
    eye_levels: tuple[float, float] = (0.0, 1.0)
    """Eye condition of open and of closed eyes."""


def import_checkpoint(checkpoint: Path, clip: Path, *, ema: bool = False) -> Portrait:
    """Make a portrait of a ``.pth`` file of ER-NeRF, RAD-NeRF or R2-Talker.

    Args:
        checkpoint: a per-epoch file or the best one, of a head or torso stage. A head stage's has no torso: the portrait's
            head then stands before the plate.
        clip: the folder it was trained on: one of those programs, or a clip folder of Loquent of the same film.
        ema: take the running average of the weights instead of the last ones.

    Raises:
        InputError: the checkpoint cannot be used; see :class:`Checkpoint` and :func:`read_model`.
        ClipError: the folder cannot be used.
    """
    stored = Checkpoint.read(checkpoint, ema=ema)
    model = read_model(stored)
    scene = _scene(clip, model)
    low, high = stored.take("aabb_infer").float().reshape(2, 3).tolist()
    return Portrait(
        head=model.head,
        torso=model.torso,
        occupied=model.occupied,
        torso_occupancy=model.torso_occupancy,
        torso_follow=TorsoFollow(),
        background=torch.from_numpy(scene.background.copy()),
        camera=scene.camera,
        track=Motion(scene.world_from_camera, scene.eye[:, None]),
        track_frame_ids=scene.frame_ids,
        speech_kind=_speech_kind(model.head.config, stored),
        eye_levels=scene.eye_levels,
        march=MarchSettings(box=(low[0], low[1], low[2], high[0], high[1], high[2]), rounds="original"),
        record={
            "clip": scene.name,
            "train_frames": scene.n_train,
            "imported": {
                "file": checkpoint.name,
                "sha256": file_digest(checkpoint),
                "weights": "running average" if ema else "raw",
                "steps": stored.global_step,
            },
            "loquent": __version__,
        },
        licences={"weights": "those of whoever trained the checkpoint", "person": "the clip's; ask whoever is shown"},
    )


def _scene(folder: Path, model: Model) -> Scene:
    if RadFolder.is_one(folder):
        return _scene_of_rad_folder(RadFolder.open(folder), model)
    clip = Clip.open(folder)
    track, poses, eye, levels = clip.track, clip.track.world_from_camera, clip.eye[:, 0], (0.0, 1.0)
    if model.head.kind != "er_nerf":
        points = track.landmarks_px[:, list(MESH_OF_68), :2].double().numpy()
        poses, eye, levels = _as_rad_nerf(poses, torch.tensor([eye_area(face, clip.camera) for face in points]))
    return Scene(clip.info.name, clip.camera, clip.background, track.frame_ids, poses, eye, clip.info.n_train, levels)


def _scene_of_rad_folder(folder: RadFolder, model: Model) -> Scene:
    poses, levels = folder.world_from_camera, (0.0, 1.0)
    if model.head.kind == "er_nerf":
        eye = folder.eyes_closed()
    else:
        poses, eye, levels = _as_rad_nerf(poses, folder.eye_areas())
    name = folder.folder.resolve().name
    return Scene(name, folder.camera, folder.background, folder.frame_ids, poses, eye, folder.n_train, levels)


def _as_rad_nerf(
    poses: Float[Tensor, "frames 4 4"], areas: Float[Tensor, "frames"]
) -> tuple[Float[Tensor, "frames 4 4"], Float[Tensor, "frames"], tuple[float, float]]:
    """Poses, eyes and eye levels as RAD-NeRF and R2-Talker have them: areas of eyes, and all smoothed to render (SPEC 5)."""
    eye = smooth_eyes(areas)
    is_open = float(eye.quantile(_OPEN_EYES))
    return smooth_path(poses), eye, (is_open, min(float(eye.min()), is_open / 2))


def _speech_kind(config: HeadConfig, checkpoint: Checkpoint) -> str:
    """The kind of speech features, told by their width."""
    if not isinstance(config, SpeechHeadConfig):
        return _GENERATOR_KIND
    kinds = {speech_kind(name).width: name for name in SPEECH_FILES}
    if config.audio_width_in not in kinds:
        known = ", ".join(f"{name} ({width})" for width, name in sorted(kinds.items()))
        raise InputError(
            f"{checkpoint.path} listens to speech features of {config.audio_width_in} values a step. Known are {known}."
        )
    return kinds[config.audio_width_in]
