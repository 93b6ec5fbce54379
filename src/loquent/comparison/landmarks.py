"""`loquent compare --landmarks`: generators of landmarks from sound, fitted to one clip and held against its other frames.

Each hears the training frames' sound and landmarks and nothing else. They are measured twice: on the held-out frames, and on
the training frames in five folds, each predicted by a generator that was fitted without it and what lies close to it;
held-out frames are few, and the folds say more about which is better.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.evaluation.landmark_motion import MotionScore, nearest_neighbours, score_motion
from loquent.face.canonical_landmarks import LandmarkBasis
from loquent.face.indices import MESH_OF_68
from loquent.face.surface import points_in_camera
from loquent.media.audio import read_waveform
from loquent.nn.landmark_generator import BOTH_SIDES, CAUSAL, Listening
from loquent.progress import Progress
from loquent.speech.kinds import PARTS, extract
from loquent.storage import check_folder_place, write_bytes, write_json
from loquent.training.landmark_generator import fit_landmark_generator
from loquent.training.lips import GUARD_FRAMES
from loquent.training.motion_vae import fit_motion_vae

N_FOLDS = 5
LEAST_TRAIN = N_FOLDS * (GUARD_FRAMES + 1)
"""With fewer training frames a fold and its neighbourhood are nearly all there is."""


Prediction = Float[Tensor, "frames points 3"]
SAMPLED = 0.667
"""Temperature of the auto-encoder's sampled row."""
WHAT_THEY_MEAN = (
    "Errors are mean distances from the tracked landmarks in percent of the distance between the outer eye corners, head "
    "pose taken out; mouth means lips and jaw. The tracked landmarks keep their slow drift (posture, tracking), which no "
    "generator is meant to follow. Lip correlation is that of the opening, above 0.5 Hz. Speed is the way that lip points "
    "travel, over that of the real ones: what errs least moves less than the person does. Causal generators hear no step after "
    "the frame; log-mel itself needs 0.02 s of sound to come, phonetic_causal 0.08 s."
)


@dataclass(frozen=True)
class Sound:
    """Speech features of a clip's whole sound."""

    features: Float[Tensor, "steps width"]
    """From time 0, 50 a second."""
    parts: tuple[int, ...] | None
    """Widths of the descriptions that they lay side by side."""


@dataclass(frozen=True)
class Known:
    """Frames that may be learned from."""

    frame_ids: Int[Tensor, "frames"]
    """Ascending."""
    landmarks: Float[Tensor, "frames points 3"]
    """Free of head pose, in distances between the outer eye corners."""
    fps: float
    """Of the timeline."""


@dataclass(frozen=True)
class Split:
    """Frames, counted from 0, that are learned from, and those that are asked for."""

    known: Int[np.ndarray, "known"]
    asked: Int[np.ndarray, "asked"]


Learner = Callable[[Known, Mapping[str, Sound], Int[Tensor, "asked"], int], dict[str, Prediction]]
"""From known frames, the sounds, the moments asked for and a seed to landmarks, by the name of what made them."""


def compare_landmarks(clip: Clip, folder: Path, *, seed: int = 0) -> dict[str, list[MotionScore]]:
    """Fit every generator to `clip`, and write ``landmarks.md`` and ``landmarks.json``.

    Args:
        clip: the opened clip folder.
        folder: gets the report.
        seed: of all random numbers.

    Returns:
        Scores on the held-out frames (``"held out"``) and out of fold on the training frames (``"folds"``).

    Raises:
        InputError: the clip holds no frame back, or has too few training frames for folds; or `folder` is a file.
        ClipError: a file of the clip is damaged.
    """
    check_folder_place(folder)
    if not clip.held_out_frames or len(clip.train_frames) < LEAST_TRAIN:
        raise InputError(
            f"The clip {clip.folder} has {len(clip.train_frames)} training and {len(clip.held_out_frames)} held-out "
            f"frames; at least {LEAST_TRAIN} and 1 are needed to compare generators. Prepare a longer video."
        )
    track = clip.track
    faces = points_in_camera(track.landmarks_px.numpy(), track.world_from_camera.numpy(), clip.camera)
    landmarks = LandmarkBasis.fit(faces, clip.info.n_train).without_pose(faces)
    whole = Known(track.frame_ids, torch.from_numpy(landmarks).float(), clip.info.fps)
    train, held_out = np.array(clip.train_frames), np.array(clip.held_out_frames)
    guard = GUARD_FRAMES + 1
    folds = [
        Split(np.concatenate([train[: max(0, fold[0] - guard)], train[fold[-1] + guard :]]), fold)
        for fold in np.array_split(train, N_FOLDS)
    ]
    sounds = _sounds(clip)
    with Progress("Fitting", (N_FOLDS + 1) * len(LEARNERS), unit="generator") as bar:
        scores = {
            name: _scores(whole, sounds, splits, seed, bar)
            for name, splits in (("held out", [Split(train, held_out)]), ("folds", folds))
        }
    write_json(
        folder / "landmarks.json",
        {
            "clip": clip.info.name,
            "speech_kind": clip.info.speech_kind,
            "seed": seed,
            "scores": {name: [score.to_json() for score in rows] for name, rows in scores.items()},
        },
    )
    write_bytes(folder / "landmarks.md", markdown(scores, clip.info.name, clip.info.speech_kind).encode())
    return scores


def markdown(scores: Mapping[str, Sequence[MotionScore]], clip_name: str, speech_kind: str) -> str:
    """One table for the held-out frames, one for the folds."""
    parts = [f"# Landmarks from sound on {clip_name}\n", f"Speech features `{speech_kind}`. {WHAT_THEY_MEAN}\n"]
    for name, rows in scores.items():
        where = "training frames, out of fold" if name == "folds" else "held-out frames"
        parts.append(f"## {rows[0].n_frames} {where}\n")
        parts.append(
            "| generator | error | mouth | lip correlation | at lag | by chance below | speed |\n|" + "---|" * 7
        )
        parts += [_row(row) for row in rows]
        parts.append("")
    return "\n".join(parts)


def _row(score: MotionScore) -> str:
    lips, cells = score.lips, ["–", "–", "–"]
    if lips is not None:
        chance = lips.chance_correlation
        cells = [
            f"{lips.correlation:.2f}",
            f"{lips.best_correlation:.2f} ({lips.lag_frames:+d} frames)",
            "–" if chance is None else f"{chance:.2f}",
        ]
    cells = [score.name, f"{100 * score.error:.2f}", f"{100 * score.mouth_error:.2f}", *cells, f"{score.speed:.2f}"]
    return f"| {' | '.join(cells)} |"


def _scores(
    whole: Known,
    sounds: Mapping[str, Sound],
    splits: Sequence[Split],
    seed: int,
    bar: Progress,
) -> list[MotionScore]:
    """Each generator's score on what all splits ask for together; they ask in the order of time."""
    asked = np.concatenate([split.asked for split in splits])
    scores = []
    for learner in LEARNERS:
        pieces = []
        for split in splits:
            seen = Known(whole.frame_ids[split.known], whole.landmarks[split.known], whole.fps)
            pieces.append(learner(seen, sounds, whole.frame_ids[split.asked], seed))
            bar.advance()
        for name in pieces[0]:
            predicted = torch.cat([piece[name] for piece in pieces]).double().numpy()
            truth = whole.landmarks[asked].double().numpy()
            ids = whole.frame_ids[asked].numpy()
            scores.append(score_motion(name, predicted, truth, MESH_OF_68, ids, whole.fps))
    return scores


def _sounds(clip: Clip) -> dict[str, Sound]:
    """The clip's own features, and those that a stream has almost at once."""
    waveform = read_waveform(clip.folder / "sound.wav")
    spectra, causal = extract("log_mel", waveform), extract("phonetic_causal", waveform)
    return {
        "own": Sound(clip.speech_features(), PARTS.get(clip.info.speech_kind)),
        "log_mel": Sound(spectra, None),
        "causal": Sound(torch.cat([spectra, causal], dim=1), (spectra.shape[1], causal.shape[1])),
    }


def _mean(known: Known, sounds: Mapping[str, Sound], asked: Tensor, seed: int) -> dict[str, Prediction]:
    return {"mean of the training frames": known.landmarks.mean(dim=0).expand(len(asked), -1, -1)}


def _nearest(known: Known, sounds: Mapping[str, Sound], asked: Tensor, seed: int) -> dict[str, Prediction]:
    theirs, ours = (BOTH_SIDES.windows(sounds["own"].features, ids) for ids in (known.frame_ids, asked))
    return {"nearest neighbour in sound": known.landmarks[nearest_neighbours(ours, theirs)]}


def _regressions(name: str, heard: str, listening: Listening) -> Learner:
    def learn(known: Known, sounds: Mapping[str, Sound], asked: Tensor, seed: int) -> dict[str, Prediction]:
        sound = sounds[heard]
        fit = fit_landmark_generator(
            sound.features, known.frame_ids, known.landmarks, known.fps, listening=listening, parts=sound.parts
        )
        return {name: fit.generator.generate(sound.features, asked)}

    return learn


def _vae(known: Known, sounds: Mapping[str, Sound], asked: Tensor, seed: int) -> dict[str, Prediction]:
    features = sounds["own"].features
    vae = fit_motion_vae(features, known.frame_ids, known.landmarks, known.fps, seed=seed)
    predictions = {"auto-encoder with flow prior": vae.generate(features, asked)}
    vae.config = replace(vae.config, temperature=SAMPLED)
    return {**predictions, f"the same at temperature {SAMPLED}": vae.generate(features, asked)}


LEARNERS: tuple[Learner, ...] = (
    _mean,
    _nearest,
    _regressions("regressions", "own", BOTH_SIDES),
    _regressions("regressions, causal: log-mel", "log_mel", CAUSAL),
    _regressions("regressions, causal: log-mel and phonetic_causal", "causal", CAUSAL),
    _vae,
)
"""What is compared, in the order of the tables' rows."""
