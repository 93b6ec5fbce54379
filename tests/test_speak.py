"""Speaking: a film as long as its sound, the same each time, in flat memory; options do what they say or are refused."""

import copy
import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.cli import main
from loquent.data.clip import Clip
from loquent.errors import InputError, MediaError, OutputError
from loquent.media.audio import read_waveform, write_wav
from loquent.media.images import read_image, write_image
from loquent.media.probe import probe
from loquent.media.video import read_frames
from loquent.media.writer import VideoWriter
from loquent.motion import read_motion, write_motion
from loquent.portrait import Portrait
from loquent.speak import speak, speak_still
from loquent.testing import make_random_portrait, make_tiny_clip

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def portrait(clip: Clip) -> Portrait:
    """Someone whose torso covers only the lowest quarter of the picture, so that the background shows."""
    made = make_random_portrait(clip)
    made.torso_occupancy.alpha.zero_()
    made.torso_occupancy.alpha[-4:] = 1
    return made


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.31 s of a tone that swells: no whole number of frames."""
    time = np.arange(round(1.31 * RATE_HZ)) / RATE_HZ
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    write_wav(path, (0.5 * np.sin(2 * np.pi * 300 * time) * np.sin(9 * time) ** 2).astype(np.float32), RATE_HZ)
    return path


@pytest.fixture(scope="module")
def film(portrait: Portrait, sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    assert speak(portrait, sound, path) == 33
    return path


def frames(path: Path) -> np.ndarray:
    return np.stack([frame.image for frame in read_frames(path)])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_film_is_as_long_as_its_sound_and_has_it(film: Path, sound: Path) -> None:
    facts = probe(film)
    assert (facts.height, facts.width, facts.fps) == (32, 32, 25.0)
    assert frames(film).shape == (33, 32, 32, 3)
    assert facts.has_sound
    assert abs(facts.duration_s - 1.31) <= 0.04
    heard, said = read_waveform(film), read_waveform(sound)
    assert abs(len(heard) - len(said)) <= RATE_HZ / 25 + 1024
    n = min(len(heard), len(said))
    assert np.corrcoef(heard[:n], said[:n])[0, 1] > 0.99
    assert names(film.parent) == ["film.mp4"]


def test_the_same_arguments_give_the_same_film(portrait: Portrait, sound: Path, film: Path, tmp_path: Path) -> None:
    speak(portrait, sound, tmp_path / "again.mp4")
    assert np.array_equal(frames(tmp_path / "again.mp4"), frames(film))
    # The clip lasts 12 frames, so the film must find its way back at least once, and the seed says how.
    assert (np.diff(frames(film).astype(int), axis=0) != 0).any(axis=(1, 2, 3)).all()


def test_size_is_the_number_of_rows(portrait: Portrait, sound: Path, tmp_path: Path) -> None:
    speak(portrait, sound, tmp_path / "big.mp4", size=47)
    facts = probe(tmp_path / "big.mp4")
    assert (facts.height, facts.width) == (48, 48)  # H.264 stores even sizes
    for size in (31, 5000, -1):
        with pytest.raises(InputError, match="--size must lie between"):
            speak(portrait, sound, tmp_path / "no.mp4", size=size)
    assert names(tmp_path) == ["big.mp4"]


@pytest.mark.parametrize(
    ("background", "wanted"),
    [
        ("green", (0, 177, 64)),
        ("White", (255, 255, 255)),
        ("#10A0f0", (16, 160, 240)),
        ("plate.png", (200, 30, 90)),
        (None, (60, 90, 120)),
    ],
)
def test_background(
    portrait: Portrait,
    sound: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    background: str | None,
    wanted: tuple[int, int, int],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "plate.png", np.full((50, 20, 4), (200, 30, 90, 255), np.uint8))
    speak_still(portrait, sound, tmp_path / "a.png", at_s=0.2, background=background)
    shown = read_image(tmp_path / "a.png")
    assert shown[0, 0].tolist() == list(wanted)
    assert shown[0, 31].tolist() == list(wanted)
    assert np.abs(shown[12:20, 12:20].astype(int) - wanted).max() > 5


def test_a_wide_background_is_cropped(portrait: Portrait, sound: Path, tmp_path: Path) -> None:
    wide = np.zeros((50, 150, 3), np.uint8)
    wide[:, 50:75], wide[:, 75:100] = (200, 30, 90), (20, 180, 240)
    write_image(tmp_path / "wide.png", wide)
    speak_still(portrait, sound, tmp_path / "a.png", at_s=0.2, background=str(tmp_path / "wide.png"))
    shown = read_image(tmp_path / "a.png")
    assert shown[0, 0].tolist() == [200, 30, 90]
    assert shown[0, 31].tolist() == [20, 180, 240]


@pytest.mark.parametrize("background", ["#12", "#gggggg", "", "no_such.png", "mauve", "broken.png"])
def test_a_background_that_is_none_is_refused(
    portrait: Portrait, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, background: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n half a picture")
    with pytest.raises(InputError, match=r"--background|broken\.png"):
        speak(portrait, sound, tmp_path / "no.mp4", background=background)
    assert names(tmp_path) == ["broken.png"]


def test_motion_from_a_file_moves_the_head(portrait: Portrait, clip: Clip, sound: Path, tmp_path: Path) -> None:
    table = tmp_path / "still.csv"
    header = "time_s,yaw_deg,pitch_deg,roll_deg,right_cm,down_cm,distance_cm,blink,brows\n"
    table.write_text(f"{header}0,0,0,0,0,0,75,0,0\n0.5,0,0,0,0,0,75,0,0\n1.0,0,0,0,12,0,75,0,0\n")
    speak(portrait, sound, tmp_path / "moved.mp4", motion=table, background="white")
    shown = frames(tmp_path / "moved.mp4").astype(float)
    dark = (255 - shown[:, :20]).clip(0).sum(axis=(1, 3))  # per frame and column, above the torso
    centre = (dark * np.arange(32)).sum(axis=1) / dark.sum(axis=1)
    assert np.ptp(centre[:12]) < 1.0
    assert centre[-1] - centre[0] > 2.0
    assert abs(centre[-1] - centre[26]) < 0.5  # the last row holds
    written = read_motion(table, 33, 25.0)
    write_motion(tmp_path / "again.json", written, 25.0)
    again = read_motion(tmp_path / "again.json", 33, 25.0)
    torch.testing.assert_close(again.world_from_camera, written.world_from_camera, atol=1e-4, rtol=0)


@pytest.mark.parametrize("content", ["", "time_s,yaw\n0,1\n", "\x00\xff", None])
def test_a_motion_file_that_is_none_is_refused(
    portrait: Portrait, sound: Path, tmp_path: Path, content: str | None
) -> None:
    table = tmp_path / "motion.csv"
    if content is not None:
        table.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"motion\.csv"):
        speak(portrait, sound, tmp_path / "no.mp4", motion=table)
    assert not (tmp_path / "no.mp4").exists()


def test_still_is_the_films_frame(
    portrait: Portrait, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[np.ndarray] = []
    write = VideoWriter.write
    # What goes into the film, not what comes out: a film compresses, so much at 32 pixels that frames look alike.
    monkeypatch.setattr(VideoWriter, "write", lambda self, image: (shown.append(image), write(self, image)))
    speak(portrait, sound, tmp_path / "film.mp4")
    (tmp_path / "film.mp4").unlink()
    speak_still(portrait, sound, tmp_path / "a.png", at_s=0.81)
    assert [np.array_equal(image, read_image(tmp_path / "a.png")) for image in shown].index(True) == 20
    for at_s in (1.4, -0.1, -0.01, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"outside the sound.*1\.32 s"):
            speak_still(portrait, sound, tmp_path / "b.png", at_s=at_s)
    with pytest.raises(InputError, match=r"\.png or \.jpg"):
        speak_still(portrait, sound, tmp_path / "b.mp4", at_s=0.5)
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize(("seconds", "n_frames"), [(0.01, 1), (0.28, 7), (0.29, 8), (99.0, 33)])
def test_a_film_can_be_only_its_beginning(
    portrait: Portrait, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, n_frames: int
) -> None:
    shown: list[np.ndarray] = []
    write = VideoWriter.write
    monkeypatch.setattr(VideoWriter, "write", lambda self, image: (shown.append(image), write(self, image)))
    assert speak(portrait, sound, tmp_path / "start.mp4", seconds=seconds) == n_frames
    beginning, shown[:] = np.stack(shown), []
    speak(portrait, sound, tmp_path / "whole.mp4")
    assert np.array_equal(beginning, np.stack(shown[:n_frames]))
    assert len(frames(tmp_path / "start.mp4")) == n_frames
    assert probe(tmp_path / "start.mp4").duration_s == pytest.approx(n_frames / 25, abs=0.04)
    heard, said = read_waveform(tmp_path / "start.mp4"), read_waveform(sound)
    assert abs(len(heard) - min(len(said), n_frames * RATE_HZ // 25)) <= RATE_HZ // 25 + 1024


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_beginning_that_cannot_be_is_refused(portrait: Portrait, sound: Path, tmp_path: Path, seconds: float) -> None:
    with pytest.raises(InputError, match="--seconds must be more than 0"):
        speak(portrait, sound, tmp_path / "no.mp4", seconds=seconds)
    portrait.save(tmp_path / "me.portrait")
    words = ["render", str(tmp_path / "me.portrait"), str(sound), "--out", str(tmp_path / "no.png"), "--still", "1"]
    assert main([*words, "--seconds", "1"]) == 2
    assert names(tmp_path) == ["me.portrait"]


def test_still_names_the_frame_that_begins_then(
    portrait: Portrait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times such as 1.16 s, 29 frames, have no exact binary number."""
    write_wav(tmp_path / "voice.wav", np.zeros(round(2.4 * RATE_HZ), np.float32), RATE_HZ)
    asked: list[list[int]] = []
    conditions = Portrait.conditions

    def noted(self: Portrait, features: torch.Tensor, ids: torch.Tensor, **options: float) -> torch.Tensor:
        asked.append(ids.tolist())
        return conditions(self, features, ids, **options)

    monkeypatch.setattr(Portrait, "conditions", noted)
    for at_s in (0.0, 0.0399, 0.04, 1.16, 1.199, 2.28, 2.32):
        speak_still(portrait, tmp_path / "voice.wav", tmp_path / "a.png", at_s=at_s)
    assert asked == [[0], [0], [1], [29], [29], [57], [58]]


def test_mouth_gain_says_how_far_lips_move(portrait: Portrait, sound: Path, tmp_path: Path) -> None:
    portrait.save(tmp_path / "me.portrait")
    write_wav(tmp_path / "silence.wav", np.zeros(round(1.31 * RATE_HZ), np.float32), RATE_HZ)
    shown = {}
    for voice in (sound, tmp_path / "silence.wav"):
        for gain in ("0", "1", "2"):
            words = ["render", str(tmp_path / "me.portrait"), str(voice), "--out", str(tmp_path / "a.png")]
            assert main([*words, "--still", "0.8", "--mouth-gain", gain]) == 0
            shown[voice.stem, gain] = read_image(tmp_path / "a.png")
    assert np.array_equal(shown["tone", "0"], shown["silence", "0"])
    for gain in ("1", "2"):
        assert not np.array_equal(shown["tone", gain], shown["silence", gain])
        assert not np.array_equal(shown["tone", gain], shown["tone", "0"])
    speak_still(portrait, sound, tmp_path / "b.png", at_s=0.8)
    assert np.array_equal(read_image(tmp_path / "b.png"), shown["tone", "1"])


def test_a_mouth_gain_that_cannot_be_is_refused_before_work(
    portrait: Portrait, clip: Clip, sound: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--mouth-gain must lie"):
        speak(portrait, tmp_path / "never_read.wav", tmp_path / "no.mp4", mouth_gain=3.5)
    with pytest.raises(InputError, match="hears the sound itself"):
        speak(make_random_portrait(clip, condition="audio"), sound, tmp_path / "no.mp4", mouth_gain=2.0)
    assert names(tmp_path) == []


def test_what_holds_no_sound_is_refused(portrait: Portrait, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "a.txt").write_text("la la la\n" * 50)
    (tmp_path / "a.mp3").write_bytes(b"")
    write_wav(tmp_path / "a.wav", np.zeros(0, np.float32), RATE_HZ)
    before = names(tmp_path)
    for name in (*before, "missing.wav"):
        with pytest.raises(MediaError, match=name):
            speak(portrait, tmp_path / name, tmp_path / "no.mp4")
        with pytest.raises(MediaError, match=name):
            speak_still(portrait, tmp_path / name, tmp_path / "no.png", at_s=0.0)
    assert names(tmp_path) == before


@pytest.mark.parametrize("name", ["film", "film.avi", "film.wav", "film.png"])
def test_a_film_must_be_called_one(portrait: Portrait, sound: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"--out must end in \.mp4"):
        speak(portrait, sound, tmp_path / name)
    assert names(tmp_path) == []


def test_an_error_on_the_way_leaves_nothing(
    portrait: Portrait, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = Portrait.render
    count = iter(range(100))

    def breaks(self: Portrait, *arguments: object, **options: object) -> object:
        if next(count) == 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rendered(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Portrait, "render", breaks)
    with pytest.raises(OutputError, match="No space left"):
        speak(portrait, sound, tmp_path / "no.mp4")
    assert names(tmp_path) == []


RENDER_AND_MEASURE = """
import resource, sys
from pathlib import Path
from loquent.portrait import Portrait
from loquent.speak import speak
portrait = Portrait.load(Path(sys.argv[1]))
for name in sys.argv[2:]:
    speak(portrait, Path(name), Path(name + ".mp4"), size=96)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_film(portrait: Portrait, tmp_path: Path) -> None:
    few_cells = copy.deepcopy(portrait)  # which are quickly rendered; pictures and sound take what they always take
    few_cells.occupied.zero_()
    few_cells.occupied[15:17, 15:17, 15:17] = True
    few_cells.save(tmp_path / "me.portrait")
    noise = np.random.default_rng(0).normal(0, 0.1, 16 * RATE_HZ).astype(np.float32)
    sounds = [tmp_path / "short.wav", tmp_path / "long.wav"]
    for path, seconds in zip(sounds, (2, 16), strict=True):
        write_wav(path, noise[: seconds * RATE_HZ], RATE_HZ)
    script = [sys.executable, "-c", RENDER_AND_MEASURE, str(tmp_path / "me.portrait"), *map(str, sounds)]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    short_kib, long_kib = map(int, printed.split())
    # 350 more pictures of 96 x 96 x 3, kept, would take 10 MiB as bytes and 37 MiB as numbers. The longer sound with its
    # features, and an encoder that has filled its look-ahead, take 6.
    assert long_kib - short_kib < 12 * 1024
    assert probe(tmp_path / "long.wav.mp4").n_frames == 400
