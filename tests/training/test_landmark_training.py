"""Heads that landmarks move: training on a tiny clip whose lips open with the ball's brightness, and what becomes of it."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from loquent.cli import main
from loquent.data.clip import Clip, write_track
from loquent.errors import InputError, PortraitError
from loquent.evaluation import evaluate as evaluation
from loquent.evaluation.evaluate import evaluate
from loquent.evaluation.held_out import landmark_conditions
from loquent.evaluation.report import print_evaluation
from loquent.face.landmarks import LandmarkTrack
from loquent.nn.landmark_generator import LandmarkGenerator, LandmarkMotions
from loquent.nn.landmarks import LANDMARK_WINDOW, landmark_windows
from loquent.portrait import Portrait
from loquent.testing import make_tiny_clip
from loquent.training import loop
from loquent.training import train as training
from loquent.training.landmarks import fit_landmarks
from loquent.training.presets import PAPER, PRESETS, QUICK, Preset, r2_talker
from loquent.training.train import train

LOWER_LIP = [14, 17, 84, 314, 87, 317]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """The tiny clip with lips that say how bright the ball is."""
    tiny = make_tiny_clip(tmp_path_factory.mktemp("tiny"), n_frames=22)
    points = tiny.track.landmarks_px.clone()
    points[:, LOWER_LIP, 1] += tiny.track.expression[:, :1]
    write_track(tiny.folder, replace(tiny.track, landmarks_px=points))
    return Clip.open(tiny.folder)


@pytest.fixture(autouse=True)
def few_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "N_CODES", 24)


def small(name: str, *steps: int) -> Preset:
    """The preset of that name with so many and small steps in each of the head's stages, and small grids."""
    preset = PRESETS[name]
    head = tuple(
        replace(stage, steps=count, rays=256, samples=min(stage.samples, 2048), patch=min(stage.patch, 16))
        for stage, count in zip(preset.head, steps, strict=True)
    )
    method = {**preset.method, "levels": 8, "log2_entries": 12}
    assert preset.torso is not None
    torso = replace(preset.torso, steps=2, pixels=256)
    return replace(preset, head=head, torso=torso, method=method, minutes=0.0)


def held_out_error(portrait: Portrait, clip: Clip, *, is_swapped: bool = False) -> float:
    """Squared error inside the ball of the held-out frames; swapped, each is moved by the other one's landmarks."""
    conditions = landmark_conditions(portrait, clip)
    conditions = conditions.flip(0) if is_swapped else conditions
    errors = []
    for i, condition in zip(clip.held_out_frames, conditions, strict=True):
        picture = portrait.render(clip.track.world_from_camera[i], condition, portrait.eye_condition(clip.eye[i]))
        is_head = torch.from_numpy(clip.matte(i)[..., 0] > 128)
        errors.append(float((picture - torch.from_numpy(clip.target(i)))[is_head].square().mean()))
    return float(np.mean(errors))


@pytest.fixture(scope="module")
def trained(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "r2.portrait"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "N_CODES", 24)
        train(clip, out, small("r2_talker", 60, 2))
    return out


def test_the_head_learns_to_obey_landmarks(clip: Clip, trained: Path) -> None:
    portrait = Portrait.load(trained)
    assert portrait.head.kind == "r2_talker"
    assert portrait.lips is None
    assert held_out_error(portrait, clip) < 0.5 * held_out_error(portrait, clip, is_swapped=True)


def test_a_portrait_is_the_same_after_loading_and_has_all_levels(clip: Clip, tmp_path: Path) -> None:
    made = train(clip, tmp_path / "a.portrait", small("r2_talker", 3, 1))
    loaded = Portrait.load(tmp_path / "a.portrait")
    for portrait in (made, loaded):
        assert torch.equal(portrait.head.level_weights, torch.ones(8))
    assert made.landmark_basis is not None
    assert loaded.landmark_basis is not None
    for name in ("centre", "unit", "limit", "mean_face", "numbers"):
        np.testing.assert_array_equal(getattr(made.landmark_basis, name), getattr(loaded.landmark_basis, name))
    assert held_out_error(loaded, clip) == pytest.approx(held_out_error(made, clip), rel=1e-6)
    assert loaded.record["preset"]["coarse_to_fine"] == 0.25
    assert next(iter(loaded.record["lip_correlation"])) == "motion 1"


@pytest.mark.parametrize("name", ["geneface", "r2_talker_dense", "r2_talker_at_once"])
def test_the_other_presets_train_and_render(clip: Clip, tmp_path: Path, name: str) -> None:
    portrait = train(clip, tmp_path / "b.portrait", small(name, 2, 1))
    assert portrait.head.config.n_landmarks == (468 if name == "r2_talker_dense" else 68)  # type: ignore[attr-defined]
    assert 0 <= held_out_error(portrait, clip) < 1


def test_levels_come_in_over_a_quarter_of_the_heads_steps(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[float] = []
    true_step = training.HeadTrainer.step

    def step(self: Any, stage: Any, progress: float) -> dict[str, float]:
        figures = true_step(self, stage, progress)
        weights.append(float(self.field.level_weights.sum()))
        return figures

    monkeypatch.setattr(training.HeadTrainer, "step", step)
    train(clip, tmp_path / "c.portrait", small("r2_talker", 14, 2))
    assert len(weights) == 16
    assert weights[0] == 4
    assert weights[1] < weights[2] < weights[3] < weights[4] == 8  # 4 of 16 steps are a quarter
    assert set(weights[4:]) == {8.0}


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = small("r2_talker", 8, 1)
    whole = train(clip, tmp_path / "whole.portrait", preset, seed=3)

    class Interrupted(loop.Budget):
        taken = 0

        def step_done(self) -> None:
            super().step_done()
            Interrupted.taken += 1
            if Interrupted.taken == 2:  # while levels are still coming in
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "Budget", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(clip, tmp_path / "cut.portrait", preset, seed=3)
    with pytest.raises(InputError, match=r"other settings .* differs in landmarks"):
        train(clip, tmp_path / "cut.portrait", preset, landmarks=another_programs(clip), seed=3)
    resumed = train(clip, tmp_path / "cut.portrait", preset, seed=3)
    for name, value in whole.head.state_dict().items():
        assert torch.allclose(resumed.head.state_dict()[name], value, atol=2e-5), name


def test_windows_of_training_frames_know_nothing_of_held_out_ones(clip: Clip) -> None:
    changed = clip.track.landmarks_px.clone()
    changed[clip.info.n_train :, LOWER_LIP, 1] += 3.0
    other = replace(clip, track=replace(clip.track, landmarks_px=changed))
    ours, theirs = (fit_landmarks(one, PRESETS["r2_talker"]) for one in (clip, other))
    assert torch.equal(ours.windows, theirs.windows)
    assert (ours.windows[-1, LANDMARK_WINDOW // 2 + 1 :] == 0).all()
    assert ours.windows.shape == (clip.info.n_train, LANDMARK_WINDOW, 68, 3)


def another_programs(clip: Clip) -> Tensor:
    """Landmarks of every moment as GeneFace might have measured them: the lips' offsets in some unit of its own."""
    moments = torch.zeros(clip.info.n_source_frames, 68, 3)
    moments[clip.track.frame_ids, 66, 1] = 0.4 * clip.track.expression[:, 0]
    return moments + 0.1


@pytest.mark.parametrize("is_measured", [False, True])
def test_eyes_and_brows_rest_where_the_head_is_told_of_them(clip: Clip, is_measured: bool) -> None:
    measured = torch.randn(clip.info.n_source_frames, 68, 3, generator=torch.Generator().manual_seed(0))
    around_eyes = [*range(17, 27), *range(36, 48)]
    for preset, rest in ((PRESETS["r2_talker"], True), (r2_talker(PAPER), False)):
        landmarks = fit_landmarks(clip, preset, measured if is_measured else None).landmarks
        assert bool(landmarks[:, 48:].any()), "lips move"
        assert bool(landmarks[:, around_eyes].any()) != rest


def test_another_programs_landmarks_can_move_the_head(clip: Clip, tmp_path: Path) -> None:
    file, out, figures = tmp_path / "aud_idexp.npy", tmp_path / "d.portrait", tmp_path / "figures.json"
    np.save(file, another_programs(clip).reshape(1, -1, 204).numpy())
    preset = small("r2_talker", 3, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "r2_talker", preset)
        patch.setattr(evaluation, "detect_all", no_faces)
        command = ["train", str(clip.folder), "--preset", "r2_talker", "--landmarks", str(file), "--out", str(out)]
        assert main(command) == 0
        words = ["evaluate", str(out), str(clip.folder), "--settings", "head", "--json", str(figures)]
        assert main([*words, "--landmarks", str(file)]) == 0
        assert json.loads(figures.read_text())["lips_from"] == "landmark file"
        assert main(words) == 0
        assert json.loads(figures.read_text())["lips_from"] == "sound"
    portrait, theirs = Portrait.load(out), another_programs(clip)
    right, wrong = (landmark_conditions(portrait, clip, moments) for moments in (theirs, theirs.flip(0)))
    assert not torch.allclose(right, wrong)


def test_landmarks_that_do_not_fit_are_refused_before_anything_is_written(clip: Clip, tmp_path: Path) -> None:
    theirs, out = another_programs(clip), tmp_path / "e.portrait"
    with pytest.raises(InputError, match=r"landmarks end after 12 frames, but the film .* has 23"):
        train(clip, out, PRESETS["r2_talker"], landmarks=theirs[:12])
    with pytest.raises(InputError, match="wants the clip's own dense landmarks"):
        train(clip, out, PRESETS["r2_talker_dense"], landmarks=theirs)
    with pytest.raises(InputError, match="'quick' trains a head that expression moves"):
        train(clip, out, QUICK, landmarks=theirs)
    assert list(tmp_path.iterdir()) == []


def no_faces(images: Iterable[np.ndarray]) -> LandmarkTrack:
    """Instead of MediaPipe, which finds no face in a ball either."""
    count = sum(1 for _ in images)
    return LandmarkTrack(np.full((count, 478, 3), np.nan, np.float32), np.zeros(count, np.int64), None)


def test_a_report_says_that_tracked_landmarks_moved_the_lips(
    clip: Clip, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "detect_all", no_faces)
    deaf = replace(Portrait.load(trained), landmarks=None)
    figures = evaluate(deaf, clip, settings=("head",), shuffle_sound=True)
    assert figures.lips_from == "tracked landmarks"
    assert figures.to_json()["lips_from"] == "tracked landmarks"
    assert [row.name for row in figures.rows] == ["truth", "recompressed", "head"], (
        "sound that moves nothing was shuffled"
    )
    assert any("not by sound" in note for note in figures.notes)
    print_evaluation(figures)
    shown = " ".join(capsys.readouterr().out.split())
    assert "LIPS MOVED BY TRACKED LANDMARKS, NOT BY SOUND" in shown
    assert "come from the sound" not in shown


def test_a_generator_from_before_descriptions_were_compared_one_by_one_is_read(
    clip: Clip, trained: Path, tmp_path: Path
) -> None:
    with safe_open(trained, framework="pt") as file:
        facts = json.loads(file.metadata()["loquent"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    tensors["landmarks.predictor.answers"] = tensors["landmarks.predictor.answers"][0]
    save_file(tensors, tmp_path / "old.portrait", metadata={"loquent": json.dumps({**facts, "version": 5})})
    ids, now, old = (
        torch.arange(4),
        Portrait.load(trained).landmarks,
        Portrait.load(tmp_path / "old.portrait").landmarks,
    )
    assert now is not None
    assert old is not None
    features = clip.speech_features()
    assert torch.equal(old.generate(features, ids), now.generate(features, ids))


class Mouth(LandmarkGenerator):
    """Stands for a generator of landmarks: the lower lip follows the first speech feature, without limit."""

    def __init__(self) -> None:
        super().__init__()
        self.motions = LandmarkMotions.empty(68, 1)
        self.motions.mean[:, 2] = torch.linspace(-0.02, 0.02, 68)
        self.asked: list[list[int]] = []

    def generate(self, features: Tensor, frame_ids: Tensor) -> Tensor:
        self.asked.append(frame_ids.tolist())
        landmarks = self.motions.mean.repeat(len(frame_ids), 1, 1)
        landmarks[:, 66, 1] += features[(2 * frame_ids).clamp(max=len(features) - 1), 0]
        return landmarks

    def describe(self) -> dict[str, Any]:
        return {"kind": "mouth"}


def test_a_generator_of_landmarks_makes_the_head_listen(clip: Clip, trained: Path, tmp_path: Path) -> None:
    silent = replace(Portrait.load(trained), landmarks=None)
    features = torch.zeros(40, 4)
    with pytest.raises(InputError, match="cannot listen to sound by itself"):
        silent.conditions(features, torch.arange(3))
    portrait = replace(silent, landmarks=Mouth())
    assert portrait.landmark_basis is not None
    limit = float(portrait.landmark_basis.limit[66, 1])
    features[:, 0] = torch.arange(40) / 40 * limit * 0.99
    whole = portrait.conditions(features, torch.arange(20))
    # As if windows had been cut of the whole sequence, wherever a film is cut into parts.
    parts = [portrait.conditions(features, ids) for ids in (torch.arange(7), torch.tensor([7, 9]), torch.tensor([19]))]
    torch.testing.assert_close(torch.cat(parts), whole[[*range(7), 7, 9, 19]])
    assert portrait.landmarks.asked[1:] == [[*range(9)], [5, 6, 7, 8, 9, 10, 11], [17, 18, 19]]  # type: ignore[union-attr]
    loud = features * 1000
    assert torch.equal(
        portrait.conditions(loud, torch.arange(12, 14)), portrait.conditions(10 * loud, torch.arange(12, 14))
    )
    portrait.save(tmp_path / "f.portrait")
    with pytest.raises(PortraitError, match="no kind of landmark generator called 'mouth'"):
        Portrait.load(tmp_path / "f.portrait")


def test_mouth_gain_scales_generated_landmarks_about_their_rest_within_limits(trained: Path) -> None:
    portrait = replace(Portrait.load(trained), landmarks=Mouth())
    assert portrait.landmark_basis is not None
    assert portrait.landmarks is not None
    limit = portrait.landmark_basis.limit
    features = torch.zeros(40, 4)
    features[:, 0] = torch.linspace(-1.5, 1.5, 40) * float(limit[66, 1])  # beyond the limits at its ends
    rest = portrait.landmarks.motions.mean.numpy()
    generated = portrait.landmarks.generate(features, torch.arange(20)).numpy()
    found = {}
    for gain in (0.0, 0.5, 1.0, 3.0):
        scaled = np.clip(rest + gain * (generated - rest), -limit, limit)
        with torch.inference_mode():
            wanted = portrait.head.encode(landmark_windows(torch.from_numpy(scaled.astype(np.float32))))
        found[gain] = portrait.conditions(features, torch.arange(20), mouth_gain=gain)
        torch.testing.assert_close(found[gain], wanted, rtol=1e-4, atol=1e-6)
    assert torch.equal(found[1.0], portrait.conditions(features, torch.arange(20)))
    assert torch.equal(found[0.0][2:-2], found[0.0][2:3].expand(16, -1)), "at rest, whatever is said"
    assert not torch.allclose(found[3.0], found[1.0], atol=1e-3)
