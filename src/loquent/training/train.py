"""From a clip folder to a portrait file: fit what moves the lips, train the head, train the torso, write one file.

Read this file from top to bottom to know what training does; a stage's single step is in `head.py` and `torso.py`, the loop
around it in `loop.py`.
"""

import datetime
import json
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from loquent import __version__
from loquent.data.clip import Clip
from loquent.data.frame_store import FrameStore, spread_frames
from loquent.devices import device_name, find_device
from loquent.errors import ClipError, InputError, OutputError
from loquent.face.expression import detrend_shape
from loquent.fields.kinds import head_for_new_frames, make_head, make_torso, torso_for_new_frames
from loquent.fields.torso_follow import TorsoFollow
from loquent.motion import Motion
from loquent.nn.lip_predictor import heard_windows
from loquent.portrait import Portrait
from loquent.portrait_file import check_portrait_place
from loquent.progress import Progress
from loquent.rendering.torso import TorsoOccupancy
from loquent.speech.kinds import PARTS, speech_kind
from loquent.speech.windows import frame_contexts
from loquent.storage import file_digest, locked, remove_abandoned, write_json
from loquent.training.budget import Budget
from loquent.training.checkpoints import CHECKPOINT, HEAD_DONE, RUN, Checkpoint, check_same_run
from loquent.training.head import HeadTrainer
from loquent.training.landmark_generator import LandmarkFit, fit_landmark_generator
from loquent.training.landmarks import TrainingLandmarks, fit_landmarks
from loquent.training.lips import LipFit, fit_lip_predictor, opening_in_full
from loquent.training.loop import run_stage, snapshot
from loquent.training.presets import Preset, TorsoStageConfig
from loquent.training.torso import TorsoTrainer

N_CODES = 10_000
"""Appearance codes of the papers' models (SPEC 2.4); more when a clip has more frames."""
TORSO_FRAMES = 800
"""Most frames whose torso layers are kept in memory."""
CLOSING_S = 4.0
"""Seconds of a time budget kept for writing the portrait."""
CLOSED_SHARE = 0.1
"""Share of the training frames, those with the smallest openings, whose mean is the shape of closed lips."""
REVISION = 5
"""Counts the changes of training itself: a run that an earlier one began cannot go on under another."""
FEW_STEPS = 500
"""Steps of head training below which a head is soft and its lips may hardly open: after 271 the lips of the demo's actor moved
by a quarter of the real motion, after 735 by all of it (docs/results.md)."""
LOADING_SHARE = 1.6
"""Reading torso layers and starting up take about this much of the time that reading frames took, in all."""


def train(
    clip: Clip,
    out: Path,
    preset: Preset,
    *,
    minutes: float | None = None,
    landmarks: Float[Tensor, "moments points 3"] | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Portrait:
    """Train a portrait of `clip` and write it to `out`; a run that was interrupted goes on where it stopped.

    A run that is finished is not repeated: a line says so, and its portrait is read. What a run needs to go on lies in the
    folder ``<out>.run`` beside the portrait, with curves for TensorBoard and preview pictures; the folder can be deleted when
    the portrait is there.

    Args:
        clip: the opened clip folder.
        out: the portrait file to write.
        preset: what to do; see `loquent.training.presets`.
        minutes: time budget instead of the preset's; 0 = count the preset's steps.
        landmarks: of every frame of the film's timeline, as another program measured them, instead of the clip's own; for
            presets whose head is moved by landmarks.
        seed: of all random numbers.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for the best there is.

    Raises:
        InputError: `out` is there and no portrait, the run folder belongs to another run or is in use, the device is not there,
            or the landmarks fit neither the clip nor the preset.
        ClipError: a file of the clip is damaged.
        DivergenceError: training did not converge.
    """
    if minutes is not None:
        preset = replace(preset, minutes=minutes)
    check_portrait_place(out)
    run = _Run(clip, out, preset, landmarks, seed, find_device(device))
    with locked(run.folder / ".lock", f"`loquent train` is working in {run.folder}"):
        if run.is_finished():
            print(f"{out} is finished already. Delete {run.folder} to train it again.", flush=True)
            return Portrait.load(out).to(run.device)
        try:
            return run.finish()
        except (ClipError, OutputError):
            run.discard_if_unused()
            raise


def few_steps_note(portrait: Portrait) -> str | None:
    """What to know of a freshly trained portrait if its minutes sufficed for few steps only; None if not."""
    minutes, steps = portrait.record["preset"]["minutes"], portrait.record["head_steps"]
    if minutes <= 0 or steps >= FEW_STEPS:
        return None
    enough = math.ceil(minutes * FEW_STEPS / max(steps, 1))
    return (
        f"Only {steps} steps of training fitted into {minutes:g} minutes: expect a soft face, and lips that hardly open. "
        f"Leave the computer alone while it trains, and give it more time: --minutes {enough}."
    )


class _Run:
    """One training run: its folder, its clock and its stages."""

    def __init__(
        self,
        clip: Clip,
        out: Path,
        preset: Preset,
        measured: Float[Tensor, "moments points 3"] | None,
        seed: int,
        device: torch.device,
    ) -> None:
        self.clip, self.out, self.preset, self.seed, self.device = clip, out, preset, seed, device
        self.landmarks = fit_landmarks(clip, preset, measured) if preset.condition == "landmarks" else None
        if measured is not None and self.landmarks is None:
            raise InputError(
                f"Landmarks were given, but the preset {preset.name!r} trains a head that {preset.condition} moves. "
                "Choose the preset r2_talker or geneface, or leave the landmarks out."
            )
        self.folder = out.with_name(out.name + ".run")
        self.made_folder = not self.folder.exists()
        self.facts = self._facts()
        self.frames = spread_frames(clip.train_frames, preset.max_frames)
        self.lips: LipFit | None = None
        self.generator: LandmarkFit | None = None
        self.loading_s = 0.0

    def finish(self) -> Portrait:
        """Everything from here to the portrait file."""
        self._claim_folder()
        print(self._opening(), flush=True)
        torch.manual_seed(self.seed)
        if self.preset.condition == "expression":
            self.lips = self._fit_lips()
        if self.landmarks is not None:
            self.generator = self._fit_generator(self.landmarks)
        curves = SummaryWriter(str(self.folder / "curves"))
        try:
            head = self._train_head(curves)
            torso = self._train_torso(self.preset.torso, head, curves) if self.preset.torso else None
        finally:
            curves.close()
        portrait = self._portrait(head, torso)
        portrait.save(self.out)
        write_json(self.folder / RUN, {**self.facts, "portrait": file_digest(self.out)})
        (self.folder / CHECKPOINT).unlink(missing_ok=True)
        (self.folder / HEAD_DONE).unlink(missing_ok=True)
        return portrait

    def _opening(self) -> str:
        """What is going to be done, in one line."""
        steps = sum(stage.steps for stage in self.preset.head) + (self.preset.torso.steps if self.preset.torso else 0)
        length = f"{self.preset.minutes:g} minutes" if self.preset.minutes > 0 else f"{steps} steps"
        what = f"for {length} on {len(self.frames)} frames of {self.clip.folder}, on {device_name(self.device)}"
        if self._is_unfinished():
            return f"Going on with a training {what}."
        replaced = f"; {self.out} stays as it is until then" if self.out.exists() else ""
        return f"Training {what}{replaced}."

    def is_finished(self) -> bool:
        """Whether this very run wrote the portrait that is there."""
        try:
            known = json.loads((self.folder / RUN).read_text())
            is_same = known == {**self.facts, "portrait": file_digest(self.out)}
        except (OSError, ValueError):
            return False
        return is_same and not self._is_unfinished()

    def discard_if_unused(self) -> None:
        """Remove the run folder if this run made it and left nothing in it that is worth resuming."""
        if self.made_folder and not self._is_unfinished():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _fit_lips(self) -> LipFit:
        """The path from sound to lips comes first: it takes a second."""
        train_part = slice(0, self.clip.info.n_train)
        ids = self.clip.track.frame_ids[train_part]
        windows = heard_windows(self.clip.speech_features(), ids)
        parts = PARTS.get(self.clip.info.speech_kind)
        wanted = self.clip.track.expression[train_part]
        return fit_lip_predictor(windows, wanted, ids, self.clip.info.fps, parts, opening_in_full)

    def _fit_generator(self, landmarks: TrainingLandmarks) -> LandmarkFit:
        """The same path for heads that landmarks move."""
        return fit_landmark_generator(
            self.clip.speech_features(),
            self.clip.track.frame_ids[: self.clip.info.n_train],
            landmarks.landmarks,
            self.clip.info.fps,
            parts=PARTS.get(self.clip.info.speech_kind),
        )

    def _head_inputs(self, frames: Sequence[int]) -> Float[Tensor, "frames ..."]:
        """What moves the lips in training `frames`: tracked landmarks, tracked expression, or windows of sound."""
        if self.landmarks is not None:
            return self.landmarks.windows[list(frames)]
        if self.preset.condition == "expression":
            return self._expression()[list(frames)]
        return frame_contexts(self.clip.speech_features(), self.clip.track.frame_ids[list(frames)])

    def _predicted(self) -> Float[Tensor, "frames ..."] | None:
        """What stands in for them now and then: see `LipFit.with_tracked_opening`."""
        return self.lips.with_tracked_opening(self._expression())[list(self.frames)] if self.lips is not None else None

    def _expression(self) -> Float[Tensor, "frames coefficients"]:
        """Tracked coefficients of the training frames, as the head learns from them."""
        track, train_part = self.clip.track, slice(0, self.clip.info.n_train)
        steady = detrend_shape(
            track.expression[train_part].numpy(), track.frame_ids[train_part].numpy(), self.clip.info.fps
        )
        return torch.from_numpy(steady).float()

    def _input_sizes(self) -> dict[str, int]:
        """Sizes of :meth:`_head_inputs`, by their names in the heads' configs."""
        if self.landmarks is not None:
            return {"n_landmarks": self.landmarks.windows.shape[2]}
        return {
            "audio_width_in": speech_kind(self.clip.info.speech_kind).width,
            "expression_width_in": self.clip.track.expression.shape[1],
        }

    def _train_head(self, curves: SummaryWriter) -> HeadTrainer:
        started = time.monotonic()
        with Progress("Reading frames", len(self.frames), unit="frame") as bar:
            store = FrameStore.load(self.clip, self.frames, bar.advance)
        self.loading_s = time.monotonic() - started
        head = make_head(
            {
                "condition": self.preset.condition,
                **self._input_sizes(),
                "eye_width": 1 + self.preset.brows,
                "n_codes": max(N_CODES, self.clip.n_frames),
                **self.preset.method,
            }
        )
        trainer = HeadTrainer(
            self.clip,
            store,
            head,
            self._head_inputs(self.frames),
            self._predicted(),
            self.preset,
            self.device,
            self.seed,
        )
        done = Checkpoint.load(self.folder / HEAD_DONE)
        if done is not None:
            trainer.restore(done.tensors, done.facts["trainer"])
            trainer.settle()
            return trainer
        for number, stage in enumerate(self.preset.head):
            self._run_stage(stage.name, number, stage, trainer, curves)
        snapshot(len(self.preset.head) - 1, trainer).save(self.folder / HEAD_DONE)
        trainer.settle()
        return trainer

    def _train_torso(self, stage: TorsoStageConfig, head: HeadTrainer, curves: SummaryWriter) -> TorsoTrainer:
        frames = spread_frames(self.clip.train_frames, min(TORSO_FRAMES, self.preset.max_frames))
        torso = make_torso({"n_codes": max(N_CODES, self.clip.n_frames), **self.preset.torso_method})
        with Progress("Reading torso layers", len(frames), unit="frame") as bar:
            trainer = TorsoTrainer(
                self.clip,
                frames,
                torso,
                stage,
                self.preset,
                self.device,
                self.seed,
                condition=self._condition(head, frames) if torso.is_told_of_lips else None,
                tick=bar.advance,
            )
        self._run_stage("torso", len(self.preset.head), stage, trainer, curves)
        return trainer

    @torch.no_grad()
    def _condition(self, head: HeadTrainer, frames: Sequence[int]) -> Float[Tensor, "frames condition_width"]:
        """What a torso is told of the lips: what the sound alone gives, where the head is moved by expression.

        The opening, too, though not enlarged as in a film (`LipFit.gain`): such a torso listens, but draws no lips.
        """
        heard = self._head_inputs(frames) if self.lips is None else self.lips.out_of_fold[list(frames)]
        return head.field.encode(heard.to(self.device))

    def _run_stage(
        self, name: str, number: int, stage: Any, trainer: HeadTrainer | TorsoTrainer, curves: SummaryWriter
    ) -> None:
        """Run one stage, or what an interrupted run left of it."""
        working_s = max(self.preset.minutes * 60 - LOADING_SHARE * self.loading_s - CLOSING_S, self.preset.minutes * 30)
        budget = Budget(stage.steps, seconds=stage.share * working_s)
        checkpoint = Checkpoint.load(self.folder / CHECKPOINT)
        if checkpoint is not None and checkpoint.facts["stage"] > number:
            return
        if checkpoint is not None and checkpoint.facts["stage"] == number:
            trainer.restore(checkpoint.tensors, checkpoint.facts["trainer"])
            budget.done_steps, budget.spent_s = checkpoint.facts["done_steps"], checkpoint.facts["spent_s"]
        preview = trainer.preview if isinstance(trainer, HeadTrainer) else None
        run_stage(name, number, stage, trainer, budget, self.folder, curves, preview)

    def _portrait(self, head: HeadTrainer, torso: TorsoTrainer | None) -> Portrait:
        small_torso = None
        if torso is not None:
            torso.settle()
            small_torso = torso_for_new_frames(torso.field, self._code(torso.field.codes, torso.frames.tolist()))
        return Portrait(
            head=head_for_new_frames(head.field, self._code(head.field.codes, self.frames)),
            torso=small_torso,
            occupied=head.grid.occupied.clone(),
            torso_occupancy=torso.grid if torso else TorsoOccupancy(),
            torso_follow=torso.follow if torso else TorsoFollow(),
            background=torch.from_numpy(self.clip.background.copy()),
            camera=self.clip.camera,
            track=Motion(self.clip.track.world_from_camera, self.clip.eye[:, : 1 + self.preset.brows]),
            track_frame_ids=self.clip.track.frame_ids,
            speech_kind=self.clip.info.speech_kind,
            lips=self.lips.predictor if self.lips else None,
            landmark_basis=self.landmarks.basis if self.landmarks else None,
            landmarks=self.generator.generator if self.generator else None,
            rest=self._rest(),
            march=head.march,
            record={
                "clip": self.clip.info.name,
                "train_frames": self.clip.info.n_train,
                "preset": asdict(self.preset),
                "seed": self.seed,
                "device": device_name(self.device),
                "threads": torch.get_num_threads(),
                "head_steps": head.n_steps,
                "torso_steps": torso.n_steps if torso else 0,
                "lip_correlation": self._lip_correlations(),
                "loquent": __version__,
                "torch": torch.__version__,
                "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            },
            licences={"code": "MIT (Loquent)", "person": "the clip's; ask whoever is shown"},
        ).to(self.device)

    def _lip_correlations(self) -> dict[str, float]:
        """How well the sound foretells each motion that moves the head, out of fold; the lips' opening is called so."""
        fit = self.lips or self.generator
        values = fit.correlation if fit else ()
        first = "opening" if self.lips else "motion 1"
        return {first if i == 0 else f"motion {i + 1}": round(r, 3) for i, r in enumerate(values)}

    def _rest(self) -> Tensor | None:
        """What brings the lips to rest: what moves them on average over the training frames in which they are closed most."""
        if self.lips is None and self.landmarks is None:
            return None
        expression = self._expression()
        closed = expression[:, 0] <= torch.quantile(expression[:, 0], CLOSED_SHARE)
        inputs = expression if self.landmarks is None else self.landmarks.landmarks
        return inputs[closed].mean(dim=0)

    def _code(self, codes: Tensor, frames: Sequence[int]) -> Float[Tensor, "code_width"]:
        """The appearance code for new frames, from those of the frames that trained."""
        return codes.detach()[list(frames)].mean(dim=0) if self.preset.mean_code else codes.detach()[0]

    def _facts(self) -> dict[str, Any]:
        """What tells this run from others, as JSON values."""
        facts = {
            "loquent": __version__,
            "revision": REVISION,
            "clip": str(self.clip.folder.resolve()),
            **{name: file_digest(self.clip.folder / name) for name in ("clip.json", "track.safetensors")},
            "preset": asdict(self.preset),
            **({"landmarks": self.landmarks.digest} if self.landmarks else {}),
            "seed": self.seed,
            "device": self.device.type,  # its random numbers cannot go on on another one
        }
        return dict(json.loads(json.dumps(facts)))

    def _claim_folder(self) -> None:
        """Write down what this run is, or check that it is the one that goes on."""
        if self._is_unfinished():
            check_same_run(self.folder / RUN, self.facts)
        write_json(self.folder / RUN, self.facts)
        for name in (CHECKPOINT, HEAD_DONE):
            remove_abandoned(self.folder / name)

    def _is_unfinished(self) -> bool:
        return any((self.folder / name).exists() for name in (CHECKPOINT, HEAD_DONE))
