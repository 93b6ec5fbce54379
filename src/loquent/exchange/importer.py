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
from loquent.exchange.rad_folder import SPEECH_FILES, RadFolder
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
        track=Motion(scene.world_from_camera, scene.eye),
        track_frame_ids=scene.frame_ids,
        speech_kind=_speech_kind(model.head.config, stored),
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
    track = clip.track
    return Scene(
        clip.info.name,
        clip.camera,
        clip.background,
        track.frame_ids,
        track.world_from_camera,
        clip.eye,
        clip.info.n_train,
    )


def _scene_of_rad_folder(folder: RadFolder, model: Model) -> Scene:
    """Eyes as the program measures them; RAD-NeRF and R2-Talker also smooth the track when they render (SPEC 5)."""
    poses = folder.world_from_camera
    if model.head.kind == "er_nerf":
        eye = folder.eyes_closed()
    else:
        poses, eye = smooth_path(poses), smooth_eyes(folder.eye_areas())
    return Scene(
        folder.folder.resolve().name, folder.camera, folder.background, folder.frame_ids, poses, eye, folder.n_train
    )


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
