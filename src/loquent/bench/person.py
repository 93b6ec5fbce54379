"""Speed of ER-NeRF's road: a step of training head and torso, a rendered frame, and the folded head.

On nobody: a ball for a head before a block for a torso, trained for a moment so that space is as empty and surfaces are as
opaque as they are for most of a training.
"""

import copy
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from loquent.bench.clock import Case, Competitor, backends, on_backend
from loquent.data.clip import Clip
from loquent.data.frame_store import FrameStore
from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.head import FrozenField, unfolded
from loquent.fields.kinds import freeze, head_for_new_frames, make_torso, torso_for_new_frames
from loquent.geometry.cameras import pixel_rays
from loquent.motion import Motion
from loquent.portrait import Portrait
from loquent.rendering.layers import box_region
from loquent.rendering.occupancy import occupied_box
from loquent.rendering.render import FieldSamples, RenderedRays, render_head
from loquent.testing import make_tiny_clip
from loquent.training.head import GRID_INTERVAL, HeadTrainer
from loquent.training.loop import snapshot
from loquent.training.presets import QUICK, Preset
from loquent.training.torso import TorsoTrainer
from loquent.training.train import N_CODES

STEPS = GRID_INTERVAL
"""Steps of a call: one of them updates the occupancy, as in training."""
WARM_UP_STEPS = 256
"""Steps before anything is measured: after some 80 of them empty space is given up."""


class Person:
    """Trainers of head and torso by `quick`, or the same with smaller stages, and the portrait they have come to."""

    def __init__(
        self, folder: Path, size: int, device: torch.device, steps: int = WARM_UP_STEPS, preset: Preset = QUICK
    ) -> None:
        """Writes a clip of `size` x `size` pixels into `folder` and trains on it, each for `steps` steps."""
        assert preset.torso is not None
        self.device = device
        self.head_stage, self.torso_stage = preset.head[0], preset.torso
        self.clip = make_tiny_clip(folder, size=size)
        frames = tuple(self.clip.train_frames)
        torch.manual_seed(0)
        expression = self.clip.track.expression
        config = ErNerfConfig(
            "expression", eye_width=1 + preset.brows, n_codes=N_CODES, expression_width_in=expression.shape[1]
        )
        store = FrameStore.load(self.clip, frames)
        self.head = HeadTrainer(
            self.clip, store, ErNerfHead(config), expression[list(frames)], None, preset, device, seed=0
        )
        torso = make_torso({"n_codes": N_CODES, **preset.torso_method})
        self.torso = TorsoTrainer(self.clip, frames, torso, self.torso_stage, preset, device, seed=0)
        for _ in range(steps):
            self.head.step(self.head_stage, 0.5)
            self.torso.step(self.torso_stage, 0.5)
        self.n_rays = self.head.n_rays
        self.portrait = _portrait(self.clip, self.head, self.torso).to(device)

    @cached_property
    def moment(self) -> tuple[Float[Tensor, "4 4"], Float[Tensor, "condition_width"], Float[Tensor, "eye_width"]]:
        """Pose, encoded expression and eye condition of one frame."""
        k = len(self.clip.train_frames) // 2
        with torch.inference_mode():
            condition = self.portrait.head.encode(self.clip.track.expression[k][None].to(self.device))[0]
        return self.clip.track.world_from_camera[k], condition, self.portrait.eye_condition(self.clip.eye[k])

    @cached_property
    def rays(self) -> tuple[Float[Tensor, "rays 3"], Float[Tensor, "rays 3"]]:
        """Origins and directions of the rays that a frame's head is rendered with."""
        pose, camera = self.moment[0], self.clip.camera
        region = box_region(occupied_box(self.portrait.occupied.cpu()), pose, camera)
        rows, columns = (axis.to(self.device) for axis in region.pixels())
        return pixel_rays(pose[None].to(self.device), camera, rows, columns)

    def frozen(self, fold: Callable[..., FrozenField] = freeze) -> FrozenField:
        """The head of that moment as rendering asks it, folded or not."""
        _, condition, eye = self.moment
        head = self.portrait.head
        return fold(head, head.test_condition(condition[None], eye[None].to(self.device)))


def _portrait(clip: Clip, head: HeadTrainer, torso: TorsoTrainer) -> Portrait:
    """What new frames are rendered with; the trainers may go on."""
    return Portrait(
        head=head_for_new_frames(head.field, head.field.codes.detach().mean(dim=0)),
        torso=torso_for_new_frames(torso.field, torso.field.codes.detach().mean(dim=0)),
        occupied=head.grid.occupied.clone(),
        torso_occupancy=copy.deepcopy(torso.grid),
        torso_follow=torso.follow,
        background=torch.from_numpy(clip.background.copy()),
        camera=clip.camera,
        track=Motion(clip.track.world_from_camera, clip.eye),
        track_frame_ids=clip.track.frame_ids,
        speech_kind=clip.info.speech_kind,
        march=head.march,
    )


def head_step(person: Person) -> Case:
    """Training the head."""
    return _steps(
        person.head,
        lambda: person.head.step(person.head_stage, 0.5)["loss"],
        f"{person.head_stage.samples} samples",
        person,
    )


def torso_step(person: Person) -> Case:
    """Training the torso."""
    return _steps(
        person.torso,
        lambda: person.torso.step(person.torso_stage, 0.5)["loss"],
        f"{person.torso_stage.pixels} pixels",
        person,
    )


def frame(person: Person) -> Case:
    """A frame with head, torso and background."""
    pose, condition, eye = person.moment
    camera = person.clip.camera

    def render() -> Tensor:
        return person.portrait.render(pose, condition, eye)

    return Case(
        f"head, torso and background, {camera.width}x{camera.height}",
        1,
        "frames",
        {name: Competitor(render, under=partial(on_backend, name)) for name in backends(person.device)},
    )


def folded_head(person: Person) -> Case:
    """The head alone, by the field as it was trained and by its folded form, both on the fastest operations."""
    origins, directions = person.rays
    occupied, march = person.portrait.occupied, person.portrait.march

    def render(field: FrozenField) -> RenderedRays:
        def ask(positions: Tensor, along: Tensor, ray_ids: Tensor) -> FieldSamples:
            return FieldSamples(*field(positions, along, ray_ids))

        return render_head(ask, origins, directions, occupied, march=march)

    camera = person.clip.camera
    return Case(
        f"head of {camera.width}x{camera.height}, {len(origins)} rays",
        1,
        "frames",
        {
            "unfolded": Competitor(lambda: render(person.frozen(unfolded))),
            "folded": Competitor(lambda: render(person.frozen())),
        },
    )


def _steps(trainer: HeadTrainer | TorsoTrainer, step: Callable[[], float], sizes: str, person: Person) -> Case:
    """The same steps again and again, from the same state."""
    state = snapshot(0, trainer)

    def go_back() -> None:
        trainer.restore(state.tensors, state.facts["trainer"])

    def run() -> Tensor:
        return torch.tensor([step() for _ in range(STEPS)])

    return Case(
        f"{STEPS} steps of {sizes} with one update of the occupancy",
        STEPS,
        "steps",
        {name: Competitor(run, go_back, partial(on_backend, name)) for name in backends(person.device)},
    )
