"""Landmarks that a head learns from: the clip's own with the head's pose taken out, or another program's (SPEC 7.2)."""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.face.canonical_landmarks import LandmarkBasis
from loquent.face.surface import points_in_camera
from loquent.nn.landmarks import track_windows
from loquent.training.presets import Preset


@dataclass(frozen=True)
class TrainingLandmarks:
    """Landmarks of the training frames, and how they were made."""

    basis: LandmarkBasis
    """From measured landmarks to those below."""
    landmarks: Float[Tensor, "frames points 3"]
    """In [-1, 1]."""
    frame_ids: Int[Tensor, "frames"]
    """Their places on the timeline."""

    @property
    def windows(self) -> Float[Tensor, "frames window points 3"]:
        """Those of the frames around each frame, held-out frames left out."""
        return track_windows(self.landmarks, self.frame_ids)

    @property
    def digest(self) -> str:
        """SHA-256 of the landmarks: which they were."""
        return hashlib.sha256(self.landmarks.numpy().tobytes()).hexdigest()


def fit_landmarks(
    clip: Clip, preset: Preset, measured: Float[Tensor, "moments points 3"] | None = None
) -> TrainingLandmarks:
    """Landmarks of `clip`'s training frames, scaled as `preset` says.

    Args:
        clip: the opened clip folder; only its training frames are looked at.
        preset: which landmarks, in which units.
        measured: another program's, of every frame of the film's timeline, instead of the clip's own.

    Raises:
        InputError: there are fewer moments than the clip's timeline has, NaN among them, or other points than `preset` wants;
            or fewer than two frames train.
    """
    n_train, frame_ids = clip.info.n_train, clip.track.frame_ids[list(clip.train_frames)]
    if measured is None:
        track = clip.track
        faces = points_in_camera(track.landmarks_px.numpy(), track.world_from_camera.numpy(), clip.camera)[:n_train]
        basis = LandmarkBasis.fit(
            faces, n_train, preset.landmarks, preset.landmark_scale, has_eyes=preset.landmarks_have_eyes
        )
        landmarks = torch.from_numpy(basis.of_faces(faces))
    else:
        if preset.landmarks != "68":
            raise InputError(
                f"The preset {preset.name!r} wants the clip's own {preset.landmarks} landmarks. Choose another preset, such as "
                "r2_talker, or leave the landmarks out."
            )
        chosen = clip.at_frames(measured, "landmarks")[:n_train].numpy()
        basis = LandmarkBasis.fit_measured(chosen, n_train, preset.landmark_scale, has_eyes=preset.landmarks_have_eyes)
        landmarks = torch.from_numpy(basis.of_measured(chosen))
    return TrainingLandmarks(basis, landmarks, frame_ids)
