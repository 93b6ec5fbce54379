"""The portrait: one file that renders what the object renders, refusals in one paragraph, and what rendering promises."""

import errno
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from loquent import portrait as module
from loquent.actor.script import make_script
from loquent.actor.voice import speak
from loquent.data.clip import Clip
from loquent.errors import InputError, OutputError, PortraitError
from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.torso import ErNerfTorso, ErNerfTorsoConfig
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.motion import Motion
from loquent.nn.landmark_generator import RegressedLandmarks, RegressedLandmarksConfig
from loquent.nn.lip_predictor import WINDOW_STEPS, LipPredictor, heard_windows
from loquent.portrait import Portrait
from loquent.portrait_file import VERSION, is_portrait_file
from loquent.rendering.torso import TorsoOccupancy
from loquent.speech.kinds import PARTS, extract, speech_kind
from loquent.speech.phonetic_net import CLASSES
from loquent.testing import make_random_portrait, make_tiny_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"), size=24)


@pytest.fixture(scope="module")
def portrait(clip: Clip) -> Portrait:
    return make_random_portrait(clip)


@pytest.fixture
def file(portrait: Portrait, tmp_path: Path) -> Path:
    path = tmp_path / "me.portrait"
    portrait.save(path)
    return path


def picture(portrait: Portrait, clip: Clip, i: int = 3, **options: Any) -> Tensor:
    """Frame `i` of the clip as the portrait shows it."""
    condition = portrait.conditions(clip.speech_features(), clip.track.frame_ids[i : i + 1])[0]
    return portrait.render(clip.track.world_from_camera[i], condition, clip.eye[i], **options)


@pytest.mark.parametrize("condition", ["audio", "expression"])
def test_a_saved_portrait_renders_the_same_picture(clip: Clip, tmp_path: Path, condition: Any) -> None:
    made = make_random_portrait(clip, condition=condition, seed=5)
    made.torso_follow.weight.normal_(std=0.05)
    made.torso_occupancy.alpha.uniform_()
    made.save(tmp_path / "a.portrait")
    loaded = Portrait.load(tmp_path / "a.portrait")
    assert torch.equal(picture(loaded, clip), picture(made, clip))
    assert loaded.march == made.march
    assert loaded.record == made.record
    assert torch.equal(loaded.track_frame_ids, clip.track.frame_ids)
    loaded.save(tmp_path / "b.portrait")
    assert (tmp_path / "b.portrait").read_bytes() == (tmp_path / "a.portrait").read_bytes()


def change(
    path: Path, facts: dict[str, Any] | None = None, drop: str = "", edit: Callable[[dict[str, Tensor]], object] = id
) -> None:
    """Write the portrait again with other facts, without one tensor, or with others."""
    with safe_open(path, framework="pt") as whole:
        described = json.loads(whole.metadata()["loquent"])
        tensors = {name: whole.get_tensor(name) for name in whole.keys() if name != drop}  # noqa: SIM118
    edit(tensors)
    save_file(tensors, path, metadata={"loquent": json.dumps({**described, **(facts or {})})})


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def speech_facts(name: str, version: int | None) -> dict[str, object]:
    """A kind of features as portraits describe it, of another version, or as before there were versions."""
    facts = {**asdict(speech_kind(name)), "version": version}
    return {key: value for key, value in facts.items() if value is not None}


def other_width(path: Path) -> None:
    change(path, {"speech": {"name": "log_mel", "rate_hz": 50, "width": 99, "look_ahead_s": 0.02}})


def replaced(name: str, edit: Callable[[Tensor], Tensor]) -> Callable[[Path], None]:
    """Write the portrait again with one tensor made into another."""
    return lambda path: change(path, edit=lambda tensors: tensors.update({name: edit(tensors[name]).contiguous()}))


def edited(name: str, **changed: object) -> Callable[[Path], None]:
    """Write the portrait again with some values of one group of facts changed."""

    def edit(path: Path) -> None:
        with safe_open(path, framework="pt") as whole:
            described = json.loads(whole.metadata()["loquent"])
        change(path, {name: {**described[name], **changed}})

    return edit


LIPS_INPUTS = ("lips.mean", "lips.weight", "lips.scale", "lips.examples")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "half": (cut_in_half, "cut off or damaged"),
    "empty": (lambda path: path.write_bytes(b""), "cut off or damaged"),
    "text": (lambda path: path.write_text("Dear diary, this is no portrait. " * 40), "not a portrait"),
    "other tensors": (lambda path: save_file({"a": torch.ones(3)}, path), "not a portrait"),
    "other format": (lambda path: change(path, {"format": "loquent.clip"}), "not a portrait"),
    "facts in a list": (
        lambda path: save_file({"a": torch.ones(3)}, path, metadata={"loquent": "[1]"}),
        "not a portrait",
    ),
    "longer windows": (lambda path: change(path, {"version": 2}), "Train it again"),
    "future": (lambda path: change(path, {"version": VERSION + 1}), "Update Loquent"),
    "unknown speech": (lambda path: change(path, {"speech": {"name": "whale_song"}}), "whale_song"),
    "earlier speech": (lambda path: change(path, {"speech": speech_facts("phonetic", version=1)}), "train it again"),
    "speech of a file that knew no versions": (
        lambda path: change(path, {"speech": speech_facts("phonetic", version=None)}),
        "version 1 of the speech features phonetic",
    ),
    "other speech": (other_width, "speech features"),
    "no background": (lambda path: change(path, drop="background"), "lacks 'background'"),
    "no head tables": (lambda path: change(path, drop="head.planes.tables"), "planes.tables"),
    "no lips": (lambda path: change(path, drop="lips.weight"), "weight"),
    "odd head": (lambda path: change(path, {"head": {"levels": 2, "wings": 2}}), "wings"),
    "short track": (
        replaced("track.eye", lambda eye: eye[:-1]),
        "track.eye must be float32 [11, eye_width], but is float32 [10, 2]",
    ),
    "flat poses": (
        replaced("track.world_from_camera", lambda poses: poses[:, :3]),
        "track.world_from_camera must be float32 [frames, 4, 4], but is float32 [11, 3, 4]",
    ),
    "poses of NaN": (
        replaced("track.world_from_camera", lambda poses: poses * float("nan")),
        "track.world_from_camera holds numbers that are not finite",
    ),
    "frames backwards": (replaced("track.frame_ids", lambda ids: ids.flip(0)), "track.frame_ids must rise"),
    "frames of fractions": (replaced("track.frame_ids", lambda ids: ids.float()), "track.frame_ids must be int64 [11]"),
    "no frames": (replaced("track.frame_ids", lambda ids: ids[:0]), "track.frame_ids must be int64 [11]"),
    "no track": (lambda path: change(path, drop="track.eye"), "lacks 'track.eye'"),
    "grey background": (
        replaced("background", lambda plate: plate[..., 0]),
        "background must be uint8 [rows, columns, 3]",
    ),
    "dark background": (replaced("background", lambda plate: plate / 255), "background must be uint8"),
    "head is text": (lambda path: change(path, {"head": "big"}), "damaged"),
    "head of NaN": (replaced("head.codes", lambda codes: codes / 0), "head.codes holds numbers that are not finite"),
    "torso of NaN": (replaced("torso.codes", lambda codes: codes / 0), "torso.codes holds numbers that are not finite"),
    "lips of NaN": (
        replaced("lips.weight", lambda weight: weight / 0),
        "lips.weight holds numbers that are not finite",
    ),
    "a torso that follows infinitely": (
        replaced("torso_follow.bias", lambda bias: bias + float("inf")),
        "torso_follow.bias",
    ),
    "eyes without brows": (replaced("track.eye", lambda eye: eye[:, :1]), "track.eye's width must be 2"),
    "lips that hear less": (
        lambda path: change(
            path, edit=lambda tensors: tensors.update({k: tensors[k][..., :-40].clone() for k in LIPS_INPUTS})
        ),
        "mean must be float32 [480], but is float32 [440]",
    ),
    "lips that move more": (
        lambda path: change(
            path,
            edit=lambda tensors: tensors.update(
                {"lips.weight": torch.ones(3, 480), "lips.bias": torch.ones(3), "lips.answers": torch.ones(0, 3)}
            ),
        ),
        "weight must be float32 [2, 480], but is float32 [3, 480]",
    ),
    "no lips where they are wanted": (lambda path: change(path, {"lips": False}), "moved by expression"),
    "rest of other lips": (
        lambda path: change(path, edit=lambda tensors: tensors.update({"rest": torch.ones(3)})),
        "rest's shape must be (2,)",
    ),
    "one eye level": (
        lambda path: change(path, {"eye_levels": [0.5, 0.5]}),
        "eye_levels must be two different numbers",
    ),
    "three eye levels": (lambda path: change(path, {"eye_levels": [0.0, 0.5, 1.0]}), "too many values"),
    "a huge camera": (edited("camera", height=10**9), "height must be a whole number from 1 to 8192"),
    "a camera of half columns": (edited("camera", width=23.5), "width must be a whole number"),
    "a camera without focal length": (edited("camera", fx=0.0), "fx must be a finite number of at least 0.001"),
    "a camera that looks nowhere": (edited("camera", cx=float("nan")), "cx must be a finite number"),
    "endless samples": (edited("march", max_samples=10**9), "max_samples must be a whole number from 1 to 4096"),
    "endless steps": (edited("march", step=1e-30), "step must be a finite number of at least 0.0001"),
    "a box inside out": (edited("march", box=[1.0, 1.0, 1.0, -1.0, -1.0, -1.0]), "box must be"),
    "rounds of another program": (edited("march", rounds="odd"), "rounds must be"),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_what_is_no_whole_portrait_is_refused_in_one_paragraph(file: Path, damage: str) -> None:
    spoil, words = DAMAGES[damage]
    spoil(file)
    with pytest.raises(PortraitError) as caught:
        Portrait.load(file)
    message = str(caught.value)
    assert words in message
    assert str(file) in message
    assert "\n" not in message
    assert len(message) < 700


@pytest.mark.parametrize(
    "cause", ["earlier speech", "speech of a file that knew no versions", "longer windows", "future"]
)
def test_a_whole_portrait_of_another_loquent_is_not_called_damaged(file: Path, cause: str) -> None:
    DAMAGES[cause][0](file)
    with pytest.raises(PortraitError) as caught:
        Portrait.load(file)
    assert "damaged" not in str(caught.value)


def test_portraits_from_before_brows_are_read(portrait: Portrait, tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = ErNerfHead(ErNerfConfig("expression", n_codes=1, expression_width_in=2, levels=2))
    old = replace(portrait, head=head, track=Motion(portrait.track.world_from_camera, portrait.track.eye[:, :1]))
    old.save(tmp_path / "old.portrait")
    change(
        tmp_path / "old.portrait",
        {"version": 3},
        edit=lambda tensors: tensors.update(
            {"track.eye": tensors["track.eye"][:, 0].contiguous(), "lips.answers": tensors["lips.answers"][0]}
        ),
    )
    loaded = Portrait.load(tmp_path / "old.portrait")
    assert torch.equal(loaded.track.eye, old.track.eye)
    eyes = torch.tensor([[0.2, 0.7], [1.0, 0.0]])
    assert torch.equal(loaded.eye_condition(eyes), eyes[:, :1]), "a head without brows passes them over"
    assert torch.equal(portrait.eye_condition(eyes), eyes)
    assert torch.equal(loaded.eyes_and_brows()[:, 1], torch.zeros(len(old.track)))


def test_portraits_from_before_descriptions_were_compared_one_by_one_are_read(
    portrait: Portrait, tmp_path: Path
) -> None:
    n_inputs, random = speech_kind(portrait.speech_kind).width * WINDOW_STEPS, torch.Generator().manual_seed(3)
    made = [
        torch.rand(*size, generator=random) for size in ((n_inputs,), (2, n_inputs), (2,), (n_inputs,), (5, n_inputs))
    ]
    answers = torch.rand(1, 5, 2, generator=random)
    old = replace(portrait, lips=LipPredictor(*made[:4], made[4].half(), answers))
    path = tmp_path / "old.portrait"
    old.save(path)
    change(path, {"version": 5}, edit=lambda tensors: tensors.update({"lips.answers": tensors["lips.answers"][0]}))
    loaded = Portrait.load(path).lips
    assert loaded is not None
    windows = torch.rand(4, n_inputs // WINDOW_STEPS, WINDOW_STEPS, generator=random)
    assert old.lips is not None
    assert torch.equal(loaded(windows), old.lips(windows))


def test_a_portrait_of_the_default_features_is_read_as_it_was_written(clip: Clip, tmp_path: Path) -> None:
    listens = replace(clip, info=replace(clip.info, speech_kind="mel_phonetic"))
    made = make_random_portrait(listens, condition="expression")
    kind, random = speech_kind("mel_phonetic"), torch.Generator().manual_seed(3)
    n_inputs, parts = kind.width * WINDOW_STEPS, PARTS["mel_phonetic"]
    scale, answers = torch.full((n_inputs,), 0.02), torch.rand(len(parts), 5, 2, generator=random)
    examples = (scale * torch.rand(5, n_inputs, generator=random)).half()
    assert made.lips is not None
    made.lips = LipPredictor(made.lips.mean, made.lips.weight, made.lips.bias, scale, examples, answers, parts)
    made.save(tmp_path / "me.portrait")
    loaded = Portrait.load(tmp_path / "me.portrait").lips
    assert loaded is not None
    windows = torch.rand(4, kind.width, WINDOW_STEPS, generator=random)
    assert torch.equal(loaded(windows), made.lips(windows))
    linear = (windows.flatten(1) - loaded.mean) @ loaded.weight.T + loaded.bias
    assert (loaded(windows) - linear).abs().max() > 0.1, "the examples count"


@pytest.mark.parametrize(
    ("shape", "parts"),
    [((1, 0, 2), (0,)), ((1, 0, 2), (-1,)), ((2, 0, 2), (1,)), ((1, 0, 2), (1, 2)), ((1, 0, 2), (7,))],
)
def test_answers_that_do_not_go_with_their_descriptions_are_refused(
    shape: tuple[int, ...], parts: tuple[int, ...]
) -> None:
    inputs = torch.zeros(24)
    with pytest.raises(ValueError, match="do not go with descriptions"):
        LipPredictor(
            inputs, torch.zeros(2, 24), torch.zeros(2), inputs, torch.zeros(0, 24).half(), torch.zeros(shape), parts
        )


def test_a_generator_whose_descriptions_do_not_make_up_its_speech_is_refused() -> None:
    with pytest.raises(ValueError, match="do not make up steps of 80"):
        RegressedLandmarks(RegressedLandmarksConfig(80, 10, 4, parts=[20, 20]))


def test_text_that_nests_without_end_is_no_portrait(tmp_path: Path) -> None:
    path = tmp_path / "deep.portrait"
    save_file({"a": torch.ones(3)}, path, metadata={"loquent": "[" * 100_000})
    assert not is_portrait_file(path)
    with pytest.raises(PortraitError, match="lacks the description"):
        Portrait.load(path)


def test_no_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match="is a folder, not a portrait file"):
        Portrait.load(tmp_path)
    with pytest.raises(PortraitError, match=r"does not exist.*loquent train"):
        Portrait.load(tmp_path / "nobody.portrait")


def test_a_full_disk_leaves_the_old_portrait(file: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = file.read_bytes()
    monkeypatch.setattr("loquent.storage.os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        make_random_portrait(clip, seed=9).save(file)
    with pytest.raises(OutputError, match="No space left"):
        make_random_portrait(clip, seed=9).save(file.with_name("new.portrait"))
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == before


def test_a_device_that_is_not_there_is_no_damage(file: Path) -> None:
    with pytest.raises(InputError, match="--device must be"):
        Portrait.load(file, "tpu")
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA, so asking for it is no error")
    with pytest.raises(InputError, match="no CUDA device") as caught:
        Portrait.load(file, "cuda")
    assert not isinstance(caught.value, PortraitError)


@pytest.mark.parametrize("condition", ["audio", "expression"])
def test_conditions_follow_the_sound_around_each_frame(clip: Clip, condition: Any) -> None:
    portrait = make_random_portrait(clip, condition=condition)
    features = clip.speech_features()
    ids = torch.tensor([0, 7, 3])
    found = portrait.conditions(features, ids)
    assert found.shape == (3, portrait.head.config.condition_width)
    assert torch.isfinite(found).all()
    for row, frame in zip(found, ids, strict=True):
        torch.testing.assert_close(portrait.conditions(features, frame[None])[0], row, rtol=1e-4, atol=1e-4)
    assert (found[1] - found[2]).abs().max() > 1e-4
    # Long sound: what is far away does not move the lips; what is near does.
    long = torch.randn(200, features.shape[1], generator=torch.Generator().manual_seed(0))
    far, near = long.clone(), long.clone()
    far[140:] = 9.0
    near[85:115] = 9.0
    frame = torch.tensor([50])
    assert torch.equal(portrait.conditions(far, frame), portrait.conditions(long, frame))
    assert not torch.equal(portrait.conditions(near, frame), portrait.conditions(long, frame))


def test_beyond_the_ends_of_a_sound_the_lips_hear_its_first_and_last_steps(clip: Clip) -> None:
    portrait = make_random_portrait(clip)
    sound = torch.randn(20, clip.speech_features().shape[1], generator=torch.Generator().manual_seed(0))
    longer = torch.cat([sound[:1].expand(24, -1), sound, sound[-1:].expand(24, -1)])
    ids = torch.tensor([0, 8, 9])
    torch.testing.assert_close(portrait.conditions(sound, ids), portrait.conditions(longer, ids + 12))


def test_lips_rest_where_nobody_speaks(clip: Clip, tmp_path: Path) -> None:
    portrait = make_random_portrait(clip, condition="expression")
    assert portrait.lips is not None
    portrait.speech_kind, n_inputs = "mel_phonetic", speech_kind("mel_phonetic").width * WINDOW_STEPS
    parts = PARTS["mel_phonetic"]
    portrait.lips = LipPredictor(torch.zeros(n_inputs), torch.ones(2, n_inputs) / n_inputs, torch.ones(2), parts=parts)
    portrait.rest = torch.tensor([-2.0, 0.5])
    portrait.save(tmp_path / "rests.portrait")
    loaded = Portrait.load(tmp_path / "rests.portrait")
    voice = speak(make_script(3.0, seed=2))
    features = extract("mel_phonetic", np.concatenate([voice, np.zeros(3 * SAMPLE_RATE_HZ, np.float32)]))
    ids = torch.tensor([25, 140])
    spoken, still = loaded.conditions(features, ids)
    closed = portrait.head.encode(portrait.rest[None])[0]
    torch.testing.assert_close(still, closed, atol=1e-4, rtol=1e-4)
    portrait.rest = None
    unrested = portrait.conditions(features, ids)
    torch.testing.assert_close(spoken, unrested[0])
    assert (unrested[1] - closed).abs().max() > 0.01


def test_no_opening_is_smaller_than_that_of_closed_lips(clip: Clip) -> None:
    portrait = make_random_portrait(clip, condition="expression")
    assert portrait.lips is not None
    n_inputs = speech_kind(portrait.speech_kind).width * WINDOW_STEPS
    features, ids = torch.zeros(60, n_inputs // WINDOW_STEPS), torch.tensor([5, 12])
    portrait.rest = torch.tensor([-2.0, 0.5])
    for asked, wanted in ((-3.0, -2.0), (-1.0, -1.0)):
        portrait.lips = LipPredictor(torch.zeros(n_inputs), torch.zeros(2, n_inputs), torch.tensor([asked, asked]))
        told = portrait.head.encode(torch.tensor([[wanted, asked]] * 2))
        torch.testing.assert_close(portrait.conditions(features, ids), told)


def test_lips_meet_where_a_bilabial_is_heard(clip: Clip) -> None:
    portrait = make_random_portrait(clip, condition="expression")
    assert portrait.lips is not None
    portrait.speech_kind, n_inputs = "phonetic", 64 * WINDOW_STEPS
    portrait.lips = LipPredictor(torch.zeros(n_inputs), torch.ones(2, n_inputs) / n_inputs, torch.ones(2))
    portrait.rest = torch.tensor([-2.0, 0.5])
    features = torch.zeros(120, 64)
    features[60:70, CLASSES.index("bilabial")] = 1.0
    ids, closed = torch.tensor([20, 32]), portrait.head.encode(portrait.rest[None])[0]
    for gain in (1.0, 2.0):
        free, met = portrait.conditions(features, ids, mouth_gain=gain)
        torch.testing.assert_close(met, closed)
        assert (free - closed).abs().max() > 0.01
    portrait.rest = None
    assert (portrait.conditions(features, ids)[1] - closed).abs().max() > 0.01


def test_conditions_one_by_one_are_computed_some_at_a_time(
    portrait: Portrait, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = clip.speech_features()
    whole = portrait.conditions(features, torch.arange(2, 12), mouth_gain=2.0)
    asked: list[list[int]] = []
    conditions = Portrait.conditions

    def noted(self: Portrait, features: Tensor, ids: Tensor, **options: float) -> Tensor:
        asked.append(ids.tolist())
        return conditions(self, features, ids, **options)

    monkeypatch.setattr(Portrait, "conditions", noted)
    monkeypatch.setattr(module, "CONDITION_FRAMES", 4)
    rows = portrait.each_condition(features, range(2, 12), mouth_gain=2.0)
    assert asked == []
    first = next(rows)
    assert asked == [[2, 3, 4, 5]]
    torch.testing.assert_close(torch.stack([first, *rows]), whole)
    assert asked == [[2, 3, 4, 5], [6, 7, 8, 9], [10, 11]]


def test_mouth_gain_scales_predicted_lips_about_their_mean_shape(clip: Clip) -> None:
    portrait = make_random_portrait(clip)
    features, ids = clip.speech_features(), torch.tensor([0, 4, 9])
    assert portrait.lips is not None
    windows = heard_windows(features, ids)
    with torch.inference_mode():
        predicted = portrait.lips(windows)
        wanted = {gain: portrait.head.encode(gain * predicted) for gain in (0.0, 1.0, 2.5)}
        as_predicted = portrait.head.encode(predicted)
    assert torch.equal(portrait.conditions(features, ids), as_predicted), "left out, nothing is scaled"
    assert torch.equal(wanted[1.0], as_predicted)
    for gain, condition in wanted.items():
        assert torch.equal(portrait.conditions(features, ids, mouth_gain=gain), condition)
    assert not torch.allclose(wanted[2.5], wanted[1.0], atol=1e-3)
    other = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(portrait.conditions(other, ids, mouth_gain=0.0), wanted[0.0]), "the mean shape, whatever is said"


def test_a_mouth_gain_that_cannot_be_is_refused(clip: Clip) -> None:
    portrait, listening = make_random_portrait(clip), make_random_portrait(clip, condition="audio")
    features, ids = clip.speech_features(), torch.arange(2)
    for gain in (-0.1, 3.01, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"--mouth-gain must lie between 0 .* and 3, but is"):
            portrait.conditions(features, ids, mouth_gain=gain)
    assert torch.equal(listening.conditions(features, ids, mouth_gain=1.0), listening.conditions(features, ids))
    with pytest.raises(InputError, match=r"hears the sound itself.*--mouth-gain 0\.5.*Leave it out"):
        listening.conditions(features, ids, mouth_gain=0.5)


def test_rendering_is_repeatable_and_follows_sound_and_eyes(portrait: Portrait, clip: Clip) -> None:
    first = picture(portrait, clip)
    assert first.shape == (24, 24, 3)
    assert 0 <= float(first.min()) < float(first.max()) <= 1
    other = portrait.conditions(clip.speech_features(), torch.tensor([9]))[0]
    assert not torch.equal(portrait.render(clip.track.world_from_camera[3], other, clip.eye[3]), first)
    assert torch.equal(picture(portrait, clip), first)


def test_another_size_shows_the_same_view(portrait: Portrait, clip: Clip) -> None:
    big = picture(portrait, clip, camera=portrait.camera.resized(72, 72))
    assert big.shape == (72, 72, 3)
    pooled = torch.nn.functional.avg_pool2d(big.permute(2, 0, 1), 3).permute(1, 2, 0)
    # Random fields are rough, so pixels differ; the picture as a whole must not.
    seen = picture(portrait, clip)
    assert float((pooled - seen).abs().mean()) < 0.06
    assert float((pooled.flip(1) - seen).abs().mean()) > float((pooled - seen).abs().mean())
    assert picture(portrait, clip, camera=portrait.camera.resized(33, 47)).shape == (33, 47, 3)


def test_the_background_shines_through_where_nobody_is(clip: Clip) -> None:
    portrait = make_random_portrait(clip)
    portrait.torso_occupancy.alpha.zero_()
    portrait.torso_occupancy.alpha[-4:] = 1  # only the lowest quarter may show a torso
    red = torch.tensor([1.0, 0.0, 0.0]).expand(24, 24, 3)
    own, on_red = picture(portrait, clip), picture(portrait, clip, background=red)
    assert torch.equal(on_red[0, 0], red[0, 0])
    torch.testing.assert_close(own[0, 0], torch.from_numpy(clip.background[0, 0]) / 255)
    assert (own[12, 12] - clip.background[12, 12] / 255).abs().max() > 0.05  # the head
    assert (own[23, 2] - clip.background[23, 2] / 255).abs().max() > 0.01  # the torso


def test_behind_replaces_torso_and_plate(portrait: Portrait, clip: Clip) -> None:
    behind = torch.rand(24, 24, 3, generator=torch.Generator().manual_seed(1))
    kept = behind.clone()
    shown = picture(portrait, clip, behind=behind)
    assert torch.equal(shown[0], behind[0])
    assert torch.equal(shown[23], behind[23])
    assert (shown - behind).abs()[8:16, 8:16].max() > 0.05
    assert torch.equal(behind, kept)


def test_an_empty_volume_shows_no_head(clip: Clip) -> None:
    behind = torch.rand(24, 24, 3)
    assert torch.equal(picture(make_random_portrait(clip, has_head=False), clip, behind=behind), behind)


def test_a_full_size_portrait_takes_a_few_mebibytes(portrait: Portrait, tmp_path: Path) -> None:
    full = replace(
        portrait,
        head=ErNerfHead(ErNerfConfig(condition="expression", expression_width_in=2, n_codes=1)),
        torso=ErNerfTorso(ErNerfTorsoConfig(n_codes=1)),
        occupied=torch.zeros(128, 128, 128, dtype=torch.bool),
        torso_occupancy=TorsoOccupancy(),
        background=torch.zeros(512, 512, 3, dtype=torch.uint8),
    )
    full.save(tmp_path / "full.portrait")
    assert 1 < (tmp_path / "full.portrait").stat().st_size / 2**20 < 14


def test_eyes_are_told_in_the_heads_own_measure(portrait: Portrait, tmp_path: Path) -> None:
    eyes = torch.tensor([[0.0, 0.6], [0.25, 0.7], [1.0, 0.8]])
    assert torch.equal(portrait.eye_condition(eyes), eyes)
    by_area = replace(portrait, eye_levels=(0.3, 0.1))
    torch.testing.assert_close(by_area.eye_condition(eyes), torch.tensor([[0.3, 0.6], [0.25, 0.7], [0.1, 0.8]]))
    by_area.save(tmp_path / "a.portrait")
    assert Portrait.load(tmp_path / "a.portrait").eye_levels == (0.3, 0.1)
