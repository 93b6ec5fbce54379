"""The whole of training on a tiny clip: it learns, resumes on the same curve, survives kills and NaN, and refuses mix-ups."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loquent import __version__
from loquent.data.clip import Clip, write_info
from loquent.data.frame_store import FrameStore
from loquent.devices import device_name
from loquent.errors import ClipError, DivergenceError, InputError
from loquent.face.expression import detrend_shape
from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.media.images import read_image
from loquent.portrait import Portrait
from loquent.speech.windows import frame_contexts
from loquent.storage import locked
from loquent.testing import make_random_portrait, make_tiny_clip
from loquent.training import loop
from loquent.training import train as training
from loquent.training.head import HeadTrainer
from loquent.training.presets import PAPER, QUICK, Preset
from loquent.training.train import FEW_STEPS, REVISION, few_steps_note, train


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def few_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "N_CODES", 16)


def small(preset: Preset, steps: int) -> Preset:
    """The preset with few and small steps, counted rather than timed."""
    head = tuple(
        replace(stage, steps=steps, rays=256, samples=min(stage.samples, 2048), patch=min(stage.patch, 16))
        for stage in preset.head
    )
    return replace(preset, head=head, torso=replace(preset.torso, steps=steps, pixels=256), minutes=0.0)


def held_out_error(portrait: Portrait, clip: Clip) -> float:
    i = clip.held_out_frames[0]
    condition = portrait.conditions(clip.speech_features(), clip.track.frame_ids[i : i + 1])[0]
    picture = portrait.render(clip.track.world_from_camera[i], condition, portrait.eye_condition(clip.eye[i]))
    return float((picture - torch.from_numpy(clip.target(i))).square().mean())


def test_training_learns_the_clip_and_leaves_one_portrait(clip: Clip, tmp_path: Path) -> None:
    out = tmp_path / "me.portrait"
    barely = train(clip, tmp_path / "barely.portrait", small(QUICK, 2), seed=1)
    trained = train(clip, out, small(QUICK, 100), seed=1)
    assert held_out_error(trained, clip) < 0.5 * held_out_error(barely, clip)
    loaded = Portrait.load(out)
    assert held_out_error(loaded, clip) == pytest.approx(held_out_error(trained, clip), rel=1e-6)
    assert loaded.record["head_steps"] == 200
    assert loaded.record["device"] == device_name(loaded.device)
    assert list(loaded.record["lip_correlation"])[:2] == ["opening", "motion 2"]
    assert not (tmp_path / "me.portrait.run" / "checkpoint.safetensors").exists()
    assert list((tmp_path / "me.portrait.run" / "curves").iterdir())


@pytest.mark.parametrize(
    ("minutes", "steps", "told"),
    [(3.0, 271, "--minutes 6."), (3.0, 0, "--minutes 1500."), (8.0, FEW_STEPS, None), (0.0, 2, None)],
)
def test_minutes_that_sufficed_for_few_steps_are_told(clip: Clip, minutes: float, steps: int, told: str | None) -> None:
    portrait = make_random_portrait(clip)
    portrait.record = {"preset": {"minutes": minutes}, "head_steps": steps}
    note = few_steps_note(portrait)
    assert note is None if told is None else note is not None and note.endswith(told)


def test_a_file_that_is_no_portrait_is_left_alone(clip: Clip, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"hours of work")
    with pytest.raises(InputError, match="no portrait, so it is left alone"):
        train(clip, film, small(QUICK, 1))
    assert film.read_bytes() == b"hours of work"
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_lips_at_rest_are_the_mean_of_the_most_closed(clip: Clip, tmp_path: Path) -> None:
    portrait = train(clip, tmp_path / "x.portrait", small(QUICK, 1))
    n = clip.info.n_train
    shapes = detrend_shape(clip.track.expression[:n].numpy(), clip.track.frame_ids[:n].numpy(), clip.info.fps)
    tracked = clip.track.expression[:n, 0].numpy()
    most_closed = shapes[tracked <= np.quantile(tracked, 0.1)]
    assert 0 < len(most_closed) < n / 4
    assert portrait.rest is not None
    np.testing.assert_allclose(portrait.rest.numpy(), most_closed.mean(axis=0), atol=1e-5)
    assert tracked.min() <= float(portrait.rest[0]) < np.quantile(tracked, 0.1), "as closed as heads were taught"


def test_heads_learn_the_tracked_opening_and_other_motion_without_drift(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor | None]] = []

    class Watched(HeadTrainer):
        def __init__(self, *arguments: Any) -> None:
            seen.append((arguments[3], arguments[4]))
            super().__init__(*arguments)

    monkeypatch.setattr(training, "HeadTrainer", Watched)
    n = clip.info.n_train
    changed = clip.track.expression.clone()
    changed[n:] += 5
    other = replace(clip, track=replace(clip.track, expression=changed))
    train(clip, tmp_path / "x.portrait", small(QUICK, 1))
    train(other, tmp_path / "y.portrait", small(QUICK, 1))
    (inputs, predicted), (other_inputs, other_predicted) = seen
    track = clip.track.expression[:n]
    assert predicted is not None
    assert other_predicted is not None
    assert torch.equal(inputs[:, 0], track[:, 0])
    assert torch.equal(predicted[:, 0], track[:, 0]), "no frame is told of an opening that it does not show"
    steady = detrend_shape(track.numpy(), clip.track.frame_ids[:n].numpy(), clip.info.fps)
    np.testing.assert_allclose(inputs.numpy(), steady, atol=1e-6)
    assert (inputs[:, 1:] - track[:, 1:]).abs().max() > 0.1
    assert (predicted[:, 1:] - inputs[:, 1:]).abs().max() > 0.1, "the rest as sound foretells it"
    assert torch.equal(inputs, other_inputs), "held-out frames do not reach training, not even as drift"
    assert torch.equal(predicted, other_predicted)


def test_a_trained_portrait_lies_whole_on_the_device_it_was_trained_on(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fields are made anew with one code, on the CPU; so it must be moved, which only CUDA would show otherwise."""
    moved: list[tuple[Portrait, torch.device]] = []
    true_to = Portrait.to

    def to(self: Portrait, device: torch.device) -> Portrait:
        moved.append((self, device))
        return true_to(self, device)

    monkeypatch.setattr(Portrait, "to", to)
    portrait = train(clip, tmp_path / "d.portrait", small(QUICK, 2))
    assert any(whole is portrait and device.type == "cpu" for whole, device in moved)
    parts = (portrait.head, portrait.torso, portrait.torso_occupancy, portrait.torso_follow, portrait.lips)
    tensors = [value for part in parts if part is not None for value in part.state_dict().values()]
    assert len(tensors) > 20
    assert {value.device for value in tensors} == {portrait.occupied.device} == {portrait.device}


def test_previews_show_truth_beside_rendering(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PREVIEW_S", 0.0)
    train(clip, tmp_path / "v.portrait", small(QUICK, 3))
    pictures = sorted((tmp_path / "v.portrait.run" / "previews").glob("head-0*.png"))
    assert len(pictures) == 3
    left, right = np.split(read_image(pictures[-1]).astype(float), 2, axis=1)
    assert left.std() > 10
    assert np.abs(left - right).mean() < np.abs(left - left.mean()).mean()


def test_the_paper_preset_runs_with_sound_as_condition(clip: Clip, tmp_path: Path) -> None:
    preset = small(PAPER, 3)
    portrait = train(clip, tmp_path / "p.portrait", preset)
    assert portrait.lips is None
    assert portrait.head.config.condition == "audio"
    assert 0 <= held_out_error(portrait, clip) < 1


@pytest.mark.parametrize("stop_after", [5, 14, 23])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stop_after: int
) -> None:
    preset = small(QUICK, 9)
    whole = train(clip, tmp_path / "whole.portrait", preset, seed=3)

    class Interrupted(loop.Budget):
        taken = 0

        def step_done(self) -> None:
            super().step_done()
            Interrupted.taken += 1
            if Interrupted.taken == stop_after:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "Budget", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(clip, tmp_path / "cut.portrait", preset, seed=3)
    assert not (tmp_path / "cut.portrait").exists()
    assert capsys.readouterr().out.count("Training for 27 steps") == 2
    resumed = train(clip, tmp_path / "cut.portrait", preset, seed=3)
    assert "Going on with a training for 27 steps" in capsys.readouterr().out
    for name, value in whole.head.state_dict().items():
        assert torch.allclose(resumed.head.state_dict()[name], value, atol=2e-5), name
    for name, value in whole.torso.state_dict().items():
        assert torch.allclose(resumed.torso.state_dict()[name], value, atol=2e-5), name
    assert torch.equal(resumed.occupied, whole.occupied)


def test_a_nan_rolls_back_and_training_ends_well(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = {"n": 0}
    true_error = training.HeadTrainer._losses

    def poisoned(self: object, *arguments: object) -> object:
        calls["n"] += 1
        terms, error = true_error(self, *arguments)  # type: ignore[arg-type]
        if calls["n"] == 7:
            terms["colour"] = terms["colour"] * float("nan")
        return terms, error

    monkeypatch.setattr(training.HeadTrainer, "_losses", poisoned)
    portrait = train(clip, tmp_path / "n.portrait", small(QUICK, 12))
    assert "diverged at step 7" in caplog.text
    assert all(torch.isfinite(value).all() for value in portrait.head.state_dict().values())


def test_a_nan_in_a_gradient_alone_reaches_no_weights(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its loss is finite, so without a look at the gradient the weights would turn to NaN and be kept as the last good ones."""
    calls = {"n": 0}
    true_error = training.HeadTrainer._losses

    def poisoned(self: training.HeadTrainer, *arguments: Any) -> Any:
        calls["n"] += 1
        terms, error = true_error(self, *arguments)
        if calls["n"] == 7:
            terms["poison"] = (self.field.codes * 0).abs().sqrt().sum()  # 0, and its slope is infinity times 0
        return terms, error

    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)  # every state counts as good
    monkeypatch.setattr(training.HeadTrainer, "_losses", poisoned)
    portrait = train(clip, tmp_path / "g.portrait", small(QUICK, 12))
    assert "diverged at step 7" in caplog.text
    assert "diverged at step 8" not in caplog.text
    assert all(torch.isfinite(value).all() for value in portrait.head.state_dict().values())


def test_endless_divergence_is_an_error_and_writes_no_portrait(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.HeadTrainer, "step", lambda *_: {"loss": float("nan"), "psnr": 0.0})
    with pytest.raises(DivergenceError, match="diverged"):
        train(clip, tmp_path / "d.portrait", small(QUICK, 50))
    assert not (tmp_path / "d.portrait").exists()


@pytest.fixture
def unfinished(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the portrait of a run will be that was stopped after 5 steps of :func:`small`."""
    out = tmp_path / "x.portrait"
    with monkeypatch.context() as patch:
        patch.setattr(training, "run_stage", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(clip, out, small(QUICK, 5))
    (tmp_path / "x.portrait.run" / "checkpoint.safetensors").write_bytes(b"unfinished")
    return out


def test_an_unfinished_run_of_other_settings_is_refused(clip: Clip, unfinished: Path) -> None:
    with pytest.raises(
        InputError, match=r"unfinished run with other settings .* differs in preset, seed \(0 there, 2 here"
    ):
        train(clip, unfinished, small(QUICK, 6), seed=2)


def test_an_unfinished_run_on_another_device_is_refused(clip: Clip, unfinished: Path) -> None:
    path = unfinished.with_name("x.portrait.run") / "run.json"
    path.write_text(path.read_text().replace('"cpu"', '"cuda"'))
    with pytest.raises(InputError, match=r"differs in device \(cuda there, cpu here\)"):
        train(clip, unfinished, small(QUICK, 5), device="cpu")


@pytest.mark.parametrize(
    ("begun", "named"),
    [
        ({"loquent": "0.0.9"}, "Loquent 0.0.9"),
        ({}, "an earlier Loquent"),
        ({"loquent": __version__, "revision": REVISION - 1}, "an earlier Loquent"),
    ],
)
def test_an_unfinished_run_of_another_loquent_is_refused(
    clip: Clip, unfinished: Path, begun: dict[str, object], named: str
) -> None:
    path = unfinished.with_name("x.portrait.run") / "run.json"
    facts = json.loads(path.read_text())
    del facts["loquent"]
    path.write_text(json.dumps({**facts, **begun}))
    with pytest.raises(InputError, match=rf"unfinished run of {named}, .*delete the folder"):
        train(clip, unfinished, small(QUICK, 5))


def test_a_second_run_of_the_same_portrait_waits(clip: Clip, unfinished: Path) -> None:
    folder = unfinished.with_name("x.portrait.run")
    with (
        locked(folder / ".lock", "run"),
        pytest.raises(InputError, match=r"Another `loquent train` is working in .*run"),
    ):
        train(clip, unfinished, small(QUICK, 5))
    assert (folder / "checkpoint.safetensors").read_bytes() == b"unfinished"
    with pytest.raises(InputError, match="is damaged"):  # nobody is in the way any more
        train(clip, unfinished, small(QUICK, 5))


def test_a_finished_run_is_not_repeated(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.portrait"
    made = train(clip, out, small(QUICK, 2))
    facts = (tmp_path / "x.portrait.run" / "run.json").read_bytes()
    monkeypatch.setattr(training, "run_stage", _interrupt)
    assert train(clip, out, small(QUICK, 2)).record["finished"] == made.record["finished"]
    assert f"{out} is finished already. Delete {out}.run to train it again." in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        train(clip, out, small(QUICK, 2), seed=1)
    assert f"{out} stays as it is until then." in capsys.readouterr().out
    (tmp_path / "x.portrait.run" / "run.json").write_bytes(facts)
    make_random_portrait(clip).save(out)  # not what the run wrote
    with pytest.raises(KeyboardInterrupt):
        train(clip, out, small(QUICK, 2))


def test_a_clip_that_was_prepared_again_is_another_clip(unfinished: Path, clip: Clip) -> None:
    """Its track does not know which sound it was prepared with."""
    before = (clip.folder / "clip.json").read_text()
    write_info(clip.folder, replace(clip.info, sound_offset_s=0.1))
    try:
        with pytest.raises(InputError, match=r"differs in clip\.json\."):
            train(Clip.open(clip.folder), unfinished, small(QUICK, 5))
    finally:
        (clip.folder / "clip.json").write_text(before)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_an_unfinished_run_that_lost_its_description_is_refused(
    clip: Clip, unfinished: Path, content: str | None
) -> None:
    path = unfinished.with_name("x.portrait.run") / "run.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"run\.json is missing or damaged .* Delete the folder"):
        train(clip, unfinished, small(QUICK, 5))


@pytest.mark.parametrize("existed", [True, False])
def test_a_damaged_clip_leaves_no_folder_but_one_that_was_there(tmp_path: Path, existed: bool) -> None:
    clip = make_tiny_clip(tmp_path / "clip", n_frames=3)
    (clip.folder / "frames" / "000001.jpg").write_bytes(b"damaged")
    folder = tmp_path / "y.portrait.run"
    if existed:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
    with pytest.raises(ClipError):
        train(clip, tmp_path / "y.portrait", small(QUICK, 5))
    assert folder.exists() == existed
    assert (folder / "notes.txt").exists() == existed


def test_cuda_without_cuda_is_refused(clip: Clip, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA, so asking for it is no error")
    with pytest.raises(InputError, match="no CUDA device"):
        train(clip, tmp_path / "c.portrait", QUICK, device="cuda")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_papers_smoothness_term_comes_every_sixteenth_step(clip: Clip) -> None:
    frames = tuple(clip.train_frames)
    store = FrameStore.load(clip, frames)
    inputs = frame_contexts(clip.speech_features(), clip.track.frame_ids[list(frames)])
    preset = small(PAPER, 3)
    head = ErNerfHead(ErNerfConfig(audio_width_in=inputs.shape[-2], n_codes=20))
    trainer = HeadTrainer(clip, store, head, inputs, None, preset, torch.device("cpu"), 0)
    terms = [trainer.step(preset.head[0], 0.5).get("jitter") for _ in range(2)]
    assert terms[0] is not None
    assert terms[0] > 0
    assert terms[1] is None
