"""The portrait: everything one needs to make a person speak, in one object; `portrait_parts` knows what its file holds."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from loquent.devices import find_device
from loquent.errors import InputError
from loquent.face.canonical_landmarks import LandmarkBasis
from loquent.fields.head import HeadCondition, HeadField, SpeechHeadConfig
from loquent.fields.kinds import freeze, placement
from loquent.fields.torso_field import TorsoField
from loquent.fields.torso_follow import TorsoFollow
from loquent.geometry.cameras import Camera, pixel_plane, pixel_rays
from loquent.motion import Motion
from loquent.nn.landmark_generator import LandmarkGenerator
from loquent.nn.landmarks import LANDMARK_WINDOW, track_windows
from loquent.nn.lip_predictor import LipPredictor, heard_windows
from loquent.ops.ray_march import Box
from loquent.rendering.layers import Region, box_region, head_over, torso_over
from loquent.rendering.occupancy import occupied_box
from loquent.rendering.render import Field, FieldSamples, MarchSettings, render_head
from loquent.rendering.torso import TorsoOccupancy, render_torso
from loquent.speech.closures import meeting
from loquent.speech.pauses import resting
from loquent.speech.windows import STEPS_PER_FRAME, frame_contexts

CONDITION_FRAMES = 250
"""Consecutive frames whose conditions are computed at once."""
MOST_MOUTH_GAIN = 3.0
"""Most by which predicted lip motion may be enlarged: beyond it mouths leave everything that training showed."""


@dataclass
class Portrait:
    """One person, ready to speak. Rendering changes nothing in it: the same arguments give the same picture."""

    head: HeadField
    """The head field; it keeps one appearance code, the one for new frames."""
    torso: TorsoField | None
    """The torso field; likewise. None where there is but a head, before the plate alone, as in an imported head's portrait."""
    occupied: Bool[Tensor, "cells cells cells"]
    """Cells of the volume where the head may be."""
    torso_occupancy: TorsoOccupancy
    """Part of the picture plane where the torso may be, at rest."""
    torso_follow: TorsoFollow
    """How the torso moves with the head; the identity where the torso field does that alone."""
    background: UInt8[Tensor, "height width 3"]
    """The plate behind the person."""
    camera: Camera
    """The camera of the clip."""
    track: Motion
    """Pose and blink of the clip's usable frames."""
    track_frame_ids: Int[Tensor, "frames"]
    """Their places on the 25 fps timeline."""
    speech_kind: str
    """Which speech features drive it."""
    lips: LipPredictor | None = None
    """From speech features to expression coefficients; None where the head listens to the sound itself."""
    landmark_basis: LandmarkBasis | None = None
    """How tracked landmarks become those that move the head; None where none do, or the head was trained elsewhere."""
    landmarks: LandmarkGenerator | None = None
    """From speech features to the landmarks that move the head; None where none do, or nothing makes them from sound."""
    rest: Float[Tensor, "*values"] | None = None
    """Expression coefficients [coefficients] or landmarks [points, 3] of the person's closed lips, which they take in pauses
    (`loquent.speech.pauses`) and on p, b and m (`loquent.speech.closures`); None = whatever the sound leads to."""
    eye_levels: tuple[float, float] = (0.0, 1.0)
    """The head's eye condition for open and for closed eyes; imported heads may measure eyes otherwise than we do."""
    march: MarchSettings = field(default_factory=MarchSettings)
    """How rays are sampled."""
    record: dict[str, Any] = field(default_factory=dict)
    """How it was trained, on what, and how long."""
    licences: dict[str, str] = field(default_factory=dict)
    """What it builds on, and under which terms."""

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> "Portrait":
        """Read a portrait file.

        Args:
            path: the file.
            device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for the best there is.

        Raises:
            PortraitError: the file is missing, damaged, of another kind, from a newer Loquent, or listens to speech features
                that are computed otherwise now.
            InputError: the device is not there.
        """
        from loquent.portrait_parts import read_portrait  # it makes portraits, so it comes second

        wanted = find_device(device)
        return read_portrait(path).to(wanted)

    def save(self, path: Path) -> None:
        """Write the portrait file, whole or not at all."""
        from loquent.portrait_parts import write_portrait

        write_portrait(path, self)

    def to(self, device: torch.device) -> "Portrait":
        """The same portrait with its fields on another device."""
        self.head.to(device)
        if self.torso is not None:
            self.torso.to(device)
        self.torso_occupancy.to(device)
        self.torso_follow.to(device)
        self.occupied = self.occupied.to(device)
        if self.lips is not None:
            self.lips.to(device)
        if self.landmarks is not None:
            self.landmarks.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where it renders."""
        return self.occupied.device

    @torch.inference_mode()
    def conditions(
        self, features: Float[Tensor, "steps width"], frame_ids: Int[Tensor, "frames"], *, mouth_gain: float = 1.0
    ) -> Float[Tensor, "frames condition_width"]:
        """What moves the lips at the given frames of the timeline.

        Args:
            features: speech features of the whole sound, of this portrait's kind, from time 0.
            frame_ids: moments in units of 1/25 s.
            mouth_gain: scales the predicted motion about the lips' mean shape, 0 to 3; 1 = as predicted. Where nobody speaks,
                and on p, b and m, lips close all the same.

        Raises:
            InputError: landmarks move this head, and nothing here makes landmarks from sound; or see
                :meth:`check_mouth_gain`.
        """
        self.check_mouth_gain(mouth_gain)
        if self.head.inputs == "landmarks":
            return self.head.encode(self._generated_windows(features, frame_ids, mouth_gain).to(self.device))
        if self.lips is None:
            config = self.head.config
            assert isinstance(config, SpeechHeadConfig)
            contexts = frame_contexts(features, frame_ids, length=config.audio_steps)
            return self.head.encode(contexts.to(self.device))
        windows = heard_windows(features, frame_ids).to(self.device)
        # Of the coefficients it predicts, drift was taken out before: their mean is 0.
        coefficients = mouth_gain * self.lips(windows).cpu()
        if self.rest is not None:
            # What is enlarged runs past every mouth that training showed: closing it would open it.
            coefficients[:, 0].clamp_(min=float(self.rest[0]))
        return self.head.encode(self.closed(coefficients, features, frame_ids).to(self.device))

    def each_condition(
        self, features: Float[Tensor, "steps width"], frames: range, *, mouth_gain: float = 1.0
    ) -> Iterator[Float[Tensor, "condition_width"]]:
        """The rows of :meth:`conditions` for `frames` one by one, in memory that does not grow with their number."""
        for first in range(frames.start, frames.stop, CONDITION_FRAMES):
            ids = torch.arange(first, min(first + CONDITION_FRAMES, frames.stop))
            yield from self.conditions(features, ids, mouth_gain=mouth_gain)

    def check_mouth_gain(self, mouth_gain: float) -> None:
        """Check that this portrait's lip motion can be scaled by `mouth_gain`.

        Raises:
            InputError: it lies outside 0 to 3, or is not 1 where the head hears the sound itself.
        """
        if not 0 <= mouth_gain <= MOST_MOUTH_GAIN:
            raise InputError(
                f"--mouth-gain must lie between 0 (lips in their mean shape) and {MOST_MOUTH_GAIN:g}, but is {mouth_gain:g}."
            )
        if mouth_gain != 1 and self.head.inputs != "landmarks" and self.lips is None:
            raise InputError(
                f"This portrait's head ({self.head.kind}) hears the sound itself, so there is no predicted lip motion that "
                f"--mouth-gain {mouth_gain:g} could scale. Leave it out, or train with a preset that predicts lips: quick."
            )

    def _generated_windows(
        self, features: Float[Tensor, "steps width"], frame_ids: Int[Tensor, "frames"], mouth_gain: float
    ) -> Float[Tensor, "frames window points 3"]:
        """Windows of the landmarks that the generator makes of the sound, kept near those of the training frames."""
        if self.landmarks is None:
            raise InputError(
                f"This portrait ({self.head.kind}) is moved by facial landmarks and cannot listen to sound by itself. "
                "Give it landmarks with Portrait.landmark_conditions."
            )
        half = LANDMARK_WINDOW // 2
        end = max(-(-len(features) // STEPS_PER_FRAME), int(frame_ids.max()) + 1)
        around = torch.unique(frame_ids[:, None] + torch.arange(-half, half + 1))
        around = around[(around >= 0) & (around < end)]
        generated = self.landmarks.generate(features, around)
        landmarks = torch.lerp(self.landmarks.motions.mean, generated, mouth_gain).cpu()
        landmarks = self.closed(landmarks, features, around)
        if self.landmark_basis is not None:
            landmarks = torch.from_numpy(self.landmark_basis.limited(landmarks.numpy()))
        return track_windows(landmarks, around)[torch.searchsorted(around, frame_ids)]

    def closed(
        self,
        moved: Float[Tensor, "frames *values"],
        features: Float[Tensor, "steps width"],
        frame_ids: Int[Tensor, "frames"],
    ) -> Float[Tensor, "frames *values"]:
        """Coefficients or landmarks with lips closed where nobody speaks, and where a p, b or m is heard (docs/lips.md).

        Args:
            moved: what was predicted for each frame; returned as it is where this portrait knows no closed lips.
            features: speech features of the whole sound, of this portrait's kind.
            frame_ids: moments in units of 1/25 s.
        """
        if self.rest is None or len(features) == 0:
            return moved
        steps = (STEPS_PER_FRAME * frame_ids.cpu().long()).clamp(0, len(features) - 1)
        share = torch.maximum(
            resting(self.speech_kind, features, steps), meeting(self.speech_kind, features, steps)
        ).reshape(-1, *[1] * self.rest.dim())
        return torch.lerp(moved, self.rest.expand_as(moved), share.expand_as(moved))

    @torch.inference_mode()
    def landmark_conditions(
        self, windows: Float[Tensor, "frames window points 3"]
    ) -> Float[Tensor, "frames condition_width"]:
        """What moves a head that is driven by landmarks: those of the frames around each frame (`loquent.nn.landmarks`).

        Raises:
            InputError: something else moves this head.
        """
        if self.head.inputs != "landmarks":
            raise InputError(f"This portrait ({self.head.kind}) is moved by {self.head.inputs}, not by landmarks.")
        return self.head.encode(windows.to(self.device))

    @torch.inference_mode()
    def expression_conditions(
        self, expression: Float[Tensor, "frames coefficients"]
    ) -> Float[Tensor, "frames condition_width"]:
        """What moves a head that is driven by expression coefficients (`loquent.face.expression`).

        Raises:
            InputError: something else moves this head.
        """
        if self.head.inputs != "expression":
            raise InputError(f"This portrait ({self.head.kind}) is moved by {self.head.inputs}, not by expression.")
        return self.head.encode(expression.to(self.device))

    @torch.inference_mode()
    def render(
        self,
        world_from_camera: Float[Tensor, "4 4"],
        condition: Float[Tensor, "condition_width"],
        eye: Float[Tensor, "eye_width"],
        *,
        camera: Camera | None = None,
        background: Float[Tensor, "height width 3"] | None = None,
        behind: Float[Tensor, "height width 3"] | None = None,
    ) -> Float[Tensor, "height width 3"]:
        """One picture in [0, 1].

        Args:
            world_from_camera: head pose in the volume frame.
            condition: one row of :meth:`conditions`.
            eye: a row of :meth:`eye_condition`.
            camera: the camera if not the clip's own, e.g. ``portrait.camera.resized(...)``.
            background: the plate if not the clip's own, of the camera's size, in [0, 1].
            behind: what stands behind the head instead of torso and plate: the papers' head setting.
        """
        camera = camera or self.camera
        pose = world_from_camera.to(self.device)
        torso = self.torso if behind is None else None
        if behind is None:
            behind = self.plate(camera) if background is None else background
        picture = behind.to(self.device).reshape(-1, 3).clone()
        if torso is not None and not torso.is_in_front:
            picture = self._with_torso(torso, picture, pose, camera, condition)
        if self.march.rounds == "original":  # its rounds depend on the number of all rays
            region = Region(0, camera.height, 0, camera.width)
        else:
            region = box_region(self._occupied_box, world_from_camera, camera)
        rows, columns = (axis.to(self.device) for axis in region.pixels())
        if rows.numel():
            origins, directions = pixel_rays(pose[None], camera, rows, columns)
            condition_row = self.head.test_condition(condition.to(self.device)[None], eye.to(self.device)[None])
            rendered = render_head(
                _field(self.head, condition_row),
                origins,
                directions,
                self.occupied,
                march=self.march,
                place=placement(self.head, condition_row),
            )
            flat = rows * camera.width + columns
            picture[flat] = head_over(rendered.colour, rendered.opacity, picture[flat])
        if torso is not None and torso.is_in_front:
            picture = self._with_torso(torso, picture, pose, camera, condition)
        return picture.clamp_(0, 1).reshape(camera.height, camera.width, 3).cpu()

    def eye_condition(self, eye: Float[Tensor, "*frames 2"]) -> Float[Tensor, "*frames eye_width"]:
        """The head's eye condition for eyes that are this far closed and brows that are this high, all 0 to 1.

        Heads that were not trained on brows pass them over.
        """
        eyes_open, eyes_closed = self.eye_levels
        closed = eyes_open + (eyes_closed - eyes_open) * eye[..., :1]
        return torch.cat([closed, eye[..., 1 : self.head.config.eye_width]], dim=-1)

    def eyes_and_brows(self) -> Float[Tensor, "frames 2"]:
        """The track's eye condition undone: how far eyes are closed and how high brows are; brows at 0 where none are known."""
        eyes_open, eyes_closed = self.eye_levels
        closed = ((self.track.eye[:, :1] - eyes_open) / (eyes_closed - eyes_open)).clamp(0, 1)
        brows = self.track.eye[:, 1:2] if self.head.config.eye_width > 1 else torch.zeros_like(closed)
        return torch.cat([closed, brows], dim=1)

    def plate(self, camera: Camera) -> Float[Tensor, "height width 3"]:
        """The background plate in [0, 1] at the camera's size."""
        plate = self.background.cpu().numpy()
        if plate.shape[:2] != (camera.height, camera.width):
            shrinks = camera.height < plate.shape[0]
            method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            plate = cv2.resize(plate, (camera.width, camera.height), interpolation=method)
        return torch.from_numpy(np.ascontiguousarray(plate)).float() / 255

    def _with_torso(
        self,
        field: TorsoField,
        picture: Float[Tensor, "pixels 3"],
        pose: Float[Tensor, "4 4"],
        camera: Camera,
        condition: Float[Tensor, "condition_width"],
    ) -> Float[Tensor, "pixels 3"]:
        """The torso over `picture`."""
        flat = torch.arange(camera.height * camera.width, device=self.device)
        seen = pixel_plane(flat // camera.width, flat % camera.width, camera)
        coordinates = self.torso_follow(seen, pose[None])
        code, told = field.test_code(1), condition.to(self.device)[None]

        def torso(plane: Tensor) -> tuple[Tensor, Tensor]:
            shown = field(plane, pose[None], code, condition=told)
            return shown.alpha, shown.colour

        alpha, colour = render_torso(torso, coordinates, self.torso_occupancy)
        return torso_over(alpha, colour, picture)

    @cached_property
    def _occupied_box(self) -> Box:
        return occupied_box(self.occupied.cpu())


def _field(head: HeadField, condition: HeadCondition) -> Field:
    """The head under one condition, as the function that rendering asks."""
    frozen = freeze(head, condition)

    def ask(positions: Tensor, directions: Tensor, ray_ids: Tensor) -> FieldSamples:
        return FieldSamples(*frozen(positions, directions, ray_ids))

    return ask
