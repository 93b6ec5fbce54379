"""A portrait under another voice: on pictures whose mouths are known, and the whole command on a tiny portrait."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loquent.actor.script import lip_shapes, make_script
from loquent.actor.voice import speak
from loquent.cli import main
from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.evaluation import other_voice as module
from loquent.evaluation.networks import SYNC, MetricNetworks
from loquent.evaluation.other_voice import OtherVoice, measure_other_voice
from loquent.evaluation.report import print_other_voice, write_report
from loquent.evaluation.syncnet import SyncScore
from loquent.face.landmarks import LandmarkTrack
from loquent.media.audio import write_wav
from loquent.media.images import read_image, write_image
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.media.writer import VideoWriter
from loquent.speech.phones import write_phones
from loquent.testing import make_random_portrait, make_tiny_clip

SECONDS = 20.0
N_FRAMES = 500


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"), n_frames=40)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray]:
    """The actor's sound, its phones, and how far the script parts the lips in each frame, 0 to 1."""
    folder, script = tmp_path_factory.mktemp("voice"), make_script(SECONDS, seed=5)
    write_wav(folder / "voice.wav", speak(script), SAMPLE_RATE_HZ)
    ipa = {"_": "", "@": "ə", "S": "ʃ"}
    phones = [(item.start_s, item.end_s, ipa.get(item.phone, item.phone)) for item in script.spoken]
    write_phones(folder / "voice.csv", phones)
    shapes = lip_shapes(script.spoken, np.arange(N_FRAMES) / FPS)
    opening = shapes[:, 0] + 0.3 * shapes[:, 1]
    return folder / "voice.wav", folder / "voice.csv", opening / opening.max()


def level_faces(images: Iterable[np.ndarray], **_: object) -> LandmarkTrack:
    """Instead of MediaPipe: a face whose mouth opens with the picture's mean level, and none where that is zero."""
    layout = np.random.default_rng(0).uniform(5, 25, (478, 3)).astype(np.float32)
    points = []
    for image in images:
        face = layout.copy()
        face[14, :2] = face[13, :2] + [0, float(image.mean()) / 10]
        points.append(face if image.any() else np.full_like(face, np.nan))
    return LandmarkTrack(np.stack(points), np.ones(len(points), np.int64), None)


def painted(openings: np.ndarray) -> Iterator[np.ndarray]:
    for value in openings:
        yield np.full((32, 32, 3), round(20 + 200 * float(value)), np.uint8)


@pytest.fixture
def _level_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "detect_all", level_faces)


def real_lips(opening: np.ndarray) -> np.ndarray:
    """The person's real lips in 40 frames: as far open as the actor's, and each degree as often."""
    return np.quantile(opening, np.linspace(0, 1, 40))


@pytest.fixture
def _real_lips(monkeypatch: pytest.MonkeyPatch, _level_faces: None, voice: tuple[Path, Path, np.ndarray]) -> None:
    monkeypatch.setattr(module.held_out, "real_pictures", lambda *_: painted(real_lips(voice[2])))


def rendered(monkeypatch: pytest.MonkeyPatch, opening: np.ndarray) -> None:
    """Let the portrait's pictures have these mouths, whatever drives it."""

    def pictures(*arguments: Any, **_: Any) -> Iterator[np.ndarray]:
        arguments[4].append(0.01)
        assert sum(1 for _ in arguments[3]) == len(opening), "each picture has a condition"
        return painted(opening)

    monkeypatch.setattr(module.held_out, "rendered_pictures", pictures)


@pytest.mark.usefixtures("_real_lips")
def test_lips_that_do_what_the_actor_says_are_found_to(
    clip: Clip, voice: tuple[Path, Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, phones, opening = voice
    rendered(monkeypatch, opening)
    figures = measure_other_voice(make_random_portrait(clip), clip, sound, phones)
    row = figures.row("head")
    assert figures.phones == "voice.csv"
    assert row.n_frames == N_FRAMES
    assert row.visemes.shut is not None
    assert row.visemes.shut.share > 0.9
    assert row.visemes.vowel_order is not None
    assert row.visemes.vowel_order > 0.9
    silent = np.array([k for k in range(N_FRAMES) if (k + 3) / FPS < 0.3 or k / FPS > SECONDS - 0.1])
    assert silent.size > 3
    levels = np.array([round(20 + 200 * value) for value in opening])
    real = np.round(20 + 200 * real_lips(opening))
    assert row.widest == pytest.approx(np.percentile(levels, 95) / np.percentile(real, 95), rel=1e-3)
    low, high = np.percentile(real, [1, 99])
    assert row.outside == pytest.approx(np.mean((levels < low) | (levels > high)))
    assert row.silence_opening is not None
    assert row.silence_opening < 0.35
    assert row.usual is not None
    assert row.usual.correlation > 0.7
    assert abs(row.usual.lag_frames) <= 1
    assert row.lips is None, "nobody's film came with the sound"

    rendered(monkeypatch, np.roll(opening, N_FRAMES // 2))
    late = measure_other_voice(make_random_portrait(clip), clip, sound, phones).row("head")
    assert late.visemes.shut is not None
    assert late.visemes.shut.chance == pytest.approx(row.visemes.shut.chance, abs=0.05)
    assert late.visemes.shut.share < row.visemes.shut.share - 0.2
    assert late.visemes.vowel_order is not None
    assert late.visemes.vowel_order < 0.8
    assert late.usual is not None
    assert late.usual.correlation < 0.3


@pytest.mark.usefixtures("_real_lips")
def test_a_film_of_the_speaker_adds_their_lips(
    clip: Clip, voice: tuple[Path, Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, phones, opening = voice
    film = tmp_path / "speaker.mp4"
    with VideoWriter(film, height=64, width=64, fps=FPS, sound=sound) as writer:
        for picture in painted(opening):
            writer.write(np.tile(picture, (2, 2, 1)))
    rendered(monkeypatch, np.roll(opening, 3))
    figures = measure_other_voice(make_random_portrait(clip), clip, film, phones)
    assert [row.name for row in figures.rows] == ["person", "speaker", "head"]
    speaker, row = figures.row("speaker"), figures.row("head")
    assert speaker.visemes.shut is not None
    assert speaker.visemes.shut.share > 0.9
    assert row.lips is not None
    assert row.lips.lag_frames == 3
    assert row.lips.best_correlation > 0.95
    assert row.lmd_share is not None
    assert row.lmd_share > 0

    with VideoWriter(film, height=64, width=64, fps=FPS, sound=sound) as writer:
        for _ in range(N_FRAMES):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    monkeypatch.setattr(module, "read_frames", lambda *_, **__: iter(()))
    monkeypatch.setattr(module, "_film", lambda *_: (np.zeros((32, 32, 3), np.uint8) for _ in range(N_FRAMES)))
    faceless = measure_other_voice(make_random_portrait(clip), clip, film, phones)
    assert [row.name for row in faceless.rows] == ["person", "head"]
    assert any("no face" in note for note in faceless.notes)


@pytest.mark.usefixtures("_real_lips")
def test_syncnet_sees_the_pictures_that_were_rendered(
    clip: Clip, voice: tuple[Path, Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, phones, opening = voice
    seen: list[list[int]] = []

    @contextlib.contextmanager
    def networks(_: object) -> Iterator[MetricNetworks]:
        yield MetricNetworks(loaded={SYNC: object()})

    def fake_score(_: object, pictures: Iterable[np.ndarray], points: np.ndarray, heard: np.ndarray) -> SyncScore:
        seen.append([int(picture[0, 0, 0]) for picture in pictures])
        assert len(points) == len(seen[-1])
        assert heard.size == round(SECONDS * SAMPLE_RATE_HZ)
        return SyncScore(6.5, 7.5, 0)

    monkeypatch.setattr(module, "open_networks", networks)
    monkeypatch.setattr(module, "sync_score", fake_score)
    rendered(monkeypatch, opening)
    row = measure_other_voice(make_random_portrait(clip), clip, sound, phones).row("head")
    assert (row.sync_confidence, row.sync_distance) == (6.5, 7.5)
    assert seen == [[round(20 + 200 * float(value)) for value in opening]]

    write_image(tmp_path / f"{N_FRAMES:06d}_head.png", np.zeros((32, 32, 3), np.uint8))
    rendered(monkeypatch, opening)
    measure_other_voice(make_random_portrait(clip), clip, sound, phones, frames_dir=tmp_path)
    assert len(seen[-1]) == N_FRAMES, "what a longer sound left in the folder is no picture of this one"


@pytest.mark.usefixtures("_level_faces")
def test_the_whole_command(
    clip: Clip, voice: tuple[Path, Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real rendering of a tiny portrait, phones as heard."""
    short = tmp_path / "short.wav"
    write_wav(short, speak(make_script(2.0, seed=1)), SAMPLE_RATE_HZ)
    make_random_portrait(clip).save(tmp_path / "tiny.portrait")
    words = ["evaluate", str(tmp_path / "tiny.portrait"), str(clip.folder), "--drive", str(short)]
    assert main([*words, "--json", str(tmp_path / "a.json"), "--sheet", str(tmp_path / "a.png"), "--size", "48",
                 "--frames", str(tmp_path / "frames")]) == 0  # fmt: skip
    printed = capsys.readouterr().out
    assert "lips shut" in printed
    assert "Not measured: Sync" in printed
    figures = json.loads((tmp_path / "a.json").read_text())
    assert [row["name"] for row in figures["rows"]] == ["person", "head", "head shuffled"]
    assert (figures["height"], figures["phones"]) == (48, "heard")
    assert read_image(tmp_path / "a.png").std() > 0
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names[:2] == ["000000_head.png", "000000_head_shuffled.png"]
    assert len(names) == 100
    same = [
        np.array_equal(*(read_image(tmp_path / "frames" / f"{k:06d}_{name}.png") for name in ("head", "head_shuffled")))
        for k in range(50)
    ]
    assert not all(same), "another sound gives other lips"


@pytest.mark.usefixtures("_real_lips")
def test_what_does_not_fit_is_refused(
    clip: Clip, voice: tuple[Path, Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, phones, _ = voice
    portrait = make_random_portrait(clip)
    write_wav(tmp_path / "short.wav", np.full(8000, 0.1, np.float32), SAMPLE_RATE_HZ)
    with pytest.raises(InputError, match=r"lasts 0\.50 s"):
        measure_other_voice(portrait, clip, tmp_path / "short.wav")
    write_wav(tmp_path / "other.wav", np.full(32000, 0.1, np.float32), SAMPLE_RATE_HZ)
    with pytest.raises(InputError, match="another sound"):
        measure_other_voice(portrait, clip, tmp_path / "other.wav", phones)
    with pytest.raises(InputError, match="between 32 and 4096"):
        measure_other_voice(portrait, clip, sound, phones, size=8)
    with pytest.raises(InputError, match=r"written as \.png"):
        measure_other_voice(portrait, clip, sound, phones, sheet=tmp_path / "a.gif")
    portrait.save(tmp_path / "tiny.portrait")
    words = ["evaluate", str(tmp_path / "tiny.portrait"), str(clip.folder)]
    assert main([*words, "--size", "64"]) == 2
    assert "belong to --drive" in capsys.readouterr().err


def test_a_clip_without_faces_has_no_range(
    clip: Clip, voice: tuple[Path, Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "detect_all", level_faces)
    dark = (np.zeros((32, 32, 3), np.uint8) for _ in range(40))
    monkeypatch.setattr(module.held_out, "real_pictures", lambda *_: dark)
    with pytest.raises(InputError, match="0 of 40 real frames"):
        measure_other_voice(make_random_portrait(clip), clip, *voice[:2])


@pytest.mark.usefixtures("_real_lips")
def test_a_sound_with_too_few_phones_is_told(
    clip: Clip, voice: tuple[Path, Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wav(tmp_path / "short.wav", np.full(48000, 0.1, np.float32), SAMPLE_RATE_HZ)
    write_phones(tmp_path / "short.csv", [(0.1, 0.2, "p"), (0.2, 0.4, "a"), (0.5, 0.6, "b"), (0.6, 0.9, "i")])
    rendered(monkeypatch, voice[2][:75])
    few = measure_other_voice(make_random_portrait(clip), clip, tmp_path / "short.wav", tmp_path / "short.csv")
    assert any("3 of each (bilabials: 2, open vowels: 1, close vowels: 1)" in note for note in few.notes)
    rendered(monkeypatch, voice[2])
    enough = measure_other_voice(make_random_portrait(clip), clip, *voice[:2])
    assert not any("Too few" in note for note in enough.notes)


def test_poses_go_to_and_fro() -> None:
    assert module._to_and_fro(4, 9) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert module._to_and_fro(1, 3) == [0, 0, 0]
    assert module._to_and_fro(2, 4) == [0, 1, 0, 1]


@pytest.mark.usefixtures("_real_lips")
def test_figures_can_be_printed_and_read_back(
    clip: Clip, voice: tuple[Path, Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, phones, opening = voice
    rendered(monkeypatch, opening)
    figures: OtherVoice = measure_other_voice(make_random_portrait(clip), clip, sound, phones)
    write_report(tmp_path / "a.json", figures)
    assert json.loads((tmp_path / "a.json").read_text())["rows"][1]["visemes"]["n_bilabials"] > 5
    with (tmp_path / "a.txt").open("w") as stream:
        print_other_voice(figures, stream=stream)
    shown = (tmp_path / "a.txt").read_text()
    assert "lip correlation with the speaker" not in shown
    assert "voice.wav" in shown
    assert torch.get_num_threads() == figures.n_threads
