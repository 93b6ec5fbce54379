"""What users get wrong, through the command line: exit code not 0, one paragraph on stderr, and nothing half-written."""

import errno
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from loquent import cli
from loquent.data.clip import Clip
from loquent.media.audio import write_wav
from loquent.media.images import write_image
from loquent.media.writer import VideoWriter
from loquent.testing import make_random_portrait, make_tiny_clip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip, a portrait, a sound."""
    folder = tmp_path_factory.mktemp("stage")
    clip = make_tiny_clip(folder / "clip")
    make_random_portrait(clip).save(folder / "me.portrait")
    write_wav(folder / "voice.wav", np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), 16000)
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The message of a command that refuses; it must be one paragraph, and no trace."""
    code = cli.main([str(word) for word in words])
    message = capsys.readouterr().err.splitlines()[-1]
    assert code in (1, 2)
    assert message.startswith(f"loquent {words[0]}: ")
    assert "unexpected" not in message
    assert 30 < len(message) < 700
    return message


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def film(path: Path, *, n_frames: int = 60, height: int = 120, width: int = 160, has_sound: bool = True) -> Path:
    """Noise that changes slowly: sound perhaps, but never a face."""
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, n_frames * 640).astype(np.float32) if has_sound else None
    with VideoWriter(path, height=height, width=width, sound=sound) as video:
        picture = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        for i in range(n_frames):
            video.write(np.roll(picture, i, axis=1))
    return path


def without_faststart(path: Path) -> Path:
    """A film whose index stands at its end, as cameras write it."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 120, 160, "yuv420p"
        for _ in range(30):
            picture = av.VideoFrame.from_ndarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8))
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated(path: Path) -> None:
    cut_in_half(without_faststart(path))


def truncated_with_index(path: Path) -> None:
    cut_in_half(film(path))


VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("This is no video.\n" * 50), "video.mp4"),
    "not there": (lambda path: None, "does not exist"),
    "no face": (film, "face"),
    "no sound": (lambda path: film(path, has_sound=False), "sound"),
    "three frames": (lambda path: film(path, n_frames=3), "length 0.1 s. Too short to learn from. Film at least 20 s"),
    "64x48": (
        lambda path: film(path, height=48, width=64),
        "picture size 64x48 pixels. Too small to show a face: 80x80",
    ),
    "truncated": (truncated, "cut off"),
    "truncated, index first": (truncated_with_index, "missing at its end"),
}


@pytest.mark.parametrize("kind", list(VIDEOS))
def test_prepare_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str) -> None:
    make, words = VIDEOS[kind]
    video = tmp_path / "video.mp4"
    make(video)
    before = listing(tmp_path)
    assert words in refusal(capsys, "prepare", video, "--out", tmp_path / "clip")
    assert listing(tmp_path) == before


def test_a_part_beyond_the_end_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The film lasts 2.4 s, so that its last frame begins at 2.36 s."""
    video = film(tmp_path / "video.mp4")
    before = listing(tmp_path)
    for start_s in ("2.37", "2.4", "99"):
        for words in (("prepare", video, "--out", tmp_path / "clip"), ("doctor", video)):
            message = refusal(capsys, *words, "--start-s", start_s)
            assert f"--start-s ({start_s}) leaves no frame of video.mp4: its picture lasts 2.40 s" in message
            assert "--end-s" not in message
    assert "to use ends at 1.01 s" in refusal(capsys, "doctor", video, "--start-s", "1.001", "--end-s", "1.01")
    assert "length 0.0 s" in refusal(capsys, "prepare", video, "--out", tmp_path / "clip", "--start-s", "2.36")
    assert listing(tmp_path) == before


def test_doctor_says_that_a_film_ends_early(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its index comes first, so a film that lost its second half still opens, and half of it plays."""
    cut_in_half(film(tmp_path / "video.mp4", n_frames=200))
    facts = tmp_path / "facts.json"
    assert cli.main(["doctor", str(tmp_path / "video.mp4"), "--json", str(facts)]) == 1
    file, *_ = (fact for fact in json.loads(facts.read_text())["findings"] if fact["name"] == "file")
    assert file["verdict"] == "warn"
    assert "early" in file["figure"]
    assert "8.0 s" in file["message"]
    assert "early" in capsys.readouterr().out


def no_track(clip: Path) -> None:
    (clip / "track.safetensors").unlink()


def no_matte(clip: Path) -> None:
    (clip / "mattes" / "000003.png").unlink()


def text_as_clip_json(clip: Path) -> None:
    (clip / "clip.json").write_text("{")


def future_clip(clip: Path) -> None:
    values = json.loads((clip / "clip.json").read_text())
    (clip / "clip.json").write_text(json.dumps({**values, "version": 99}))


CLIPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "not there": (shutil.rmtree, "does not exist"),
    "no track": (no_track, "track.safetensors"),
    "no matte": (no_matte, "mattes/000003.png"),
    "half a track": (lambda clip: cut_in_half(clip / "track.safetensors"), "track.safetensors is damaged"),
    "half a clip.json": (text_as_clip_json, "clip.json is damaged"),
    "future": (future_clip, "Update Loquent"),
    "half a matte": (lambda clip: cut_in_half(clip / "mattes" / "000003.png"), "000003.png"),
    "half a picture": (lambda clip: (clip / "frames" / "000002.jpg").write_bytes(b"\xff\xd8half"), "000002.jpg"),
    "half the speech features": (lambda clip: cut_in_half(clip / "speech" / "log_mel.safetensors"), "log_mel"),
    "half a background": (lambda clip: cut_in_half(clip / "background.png"), "background.png"),
}


@pytest.mark.parametrize("kind", list(CLIPS))
def test_train_refuses(capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path, kind: str) -> None:
    spoil, words = CLIPS[kind]
    clip = tmp_path / "clip"
    shutil.copytree(stage / "clip", clip)
    spoil(clip)
    out = tmp_path / "out"
    assert words in refusal(capsys, "train", clip, "--out", out / "me.portrait", "--minutes", "0.01")
    left = listing(out) if out.exists() else []
    assert not [name for name in left if ".partial" in name or name.endswith(".portrait")]


def future_portrait(path: Path) -> None:
    with safe_open(path, framework="pt") as whole:
        facts = {**json.loads(whole.metadata()["loquent"]), "version": 99}
        tensors = {name: whole.get_tensor(name) for name in whole.keys()}  # noqa: SIM118 (not a mapping)
    save_file(tensors, path, metadata={"loquent": json.dumps(facts)})


PORTRAITS: dict[str, tuple[Callable[[Path], object], str]] = {
    "not there": (Path.unlink, "does not exist"),
    "half": (cut_in_half, "cut off"),
    "empty": (lambda path: path.write_bytes(b""), "not a portrait"),
    "text": (lambda path: path.write_text("no portrait " * 99), "not a portrait"),
    "future": (future_portrait, "Update Loquent"),
}


@pytest.mark.parametrize("kind", list(PORTRAITS))
def test_render_inspect_and_evaluate_refuse(
    capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path, kind: str
) -> None:
    spoil, words = PORTRAITS[kind]
    portrait = tmp_path / "me.portrait"
    shutil.copy(stage / "me.portrait", portrait)
    spoil(portrait)
    before = listing(tmp_path)
    assert words in refusal(capsys, "render", portrait, stage / "voice.wav", "--out", tmp_path / "film.mp4")
    assert words in refusal(capsys, "inspect", portrait, "--motion", tmp_path / "motion.csv")
    assert words in refusal(capsys, "evaluate", portrait, stage / "clip", "--json", tmp_path / "figures.json")
    assert listing(tmp_path) == before


def test_render_refuses_what_is_no_sound_and_no_place(
    capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.wav").write_text("la " * 99)
    (tmp_path / "file").write_text("in the way")
    before = listing(tmp_path)
    me, voice, out = stage / "me.portrait", stage / "voice.wav", tmp_path / "film.mp4"
    assert "text.wav" in refusal(capsys, "render", me, tmp_path / "text.wav", "--out", out)
    assert "does not exist" in refusal(capsys, "render", me, tmp_path / "no.wav", "--out", out)
    assert "no sound" in refusal(capsys, "render", me, film(stage / "mute.mp4", has_sound=False), "--out", out)
    assert "a folder is wanted" in refusal(capsys, "render", me, voice, "--out", tmp_path / "file" / "film.mp4")
    assert "--size" in refusal(capsys, "render", me, voice, "--out", out, "--size", "3")
    assert "--background" in refusal(capsys, "render", me, voice, "--out", out, "--background", "#12")
    assert listing(tmp_path) == before


def test_evaluate_and_compare_refuse_before_they_work(
    capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    before = listing(tmp_path)
    evaluate = ("evaluate", stage / "me.portrait", stage / "clip")
    compare = ("compare", stage / "clip", "--out", tmp_path / "out")
    voice = stage / "voice.wav"
    assert "a file is wanted" in refusal(capsys, *evaluate, "--json", tmp_path)
    assert "a folder is wanted" in refusal(capsys, *evaluate, "--json", tmp_path / "file" / "a.json")
    assert "a folder is wanted" in refusal(capsys, *evaluate, "--sheet", tmp_path / "file" / "a.png")
    assert "give one of them" in refusal(capsys, *evaluate, "--drive", voice, "--landmarks", tmp_path / "a.npy")
    assert "--minutes above 0" in refusal(capsys, *compare, "--minutes", "nan")
    assert "leave --steps" in refusal(capsys, *compare, "--landmarks", "--drive", voice)
    assert "a folder is wanted" in refusal(capsys, *compare[:3], tmp_path / "file", "--landmarks")
    assert listing(tmp_path) == before


def test_doctor_refuses_a_place_for_its_findings_before_it_looks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """There is no such video, but the place is refused first."""
    (tmp_path / "file").write_text("in the way")
    assert "a folder is wanted" in refusal(
        capsys, "doctor", tmp_path / "no.mp4", "--json", tmp_path / "file" / "facts.json"
    )


def test_no_result_replaces_what_it_is_made_from(
    capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path
) -> None:
    talk, other, plate = film(tmp_path / "talk.mp4"), film(tmp_path / "other.mp4"), tmp_path / "plate.png"
    write_image(plate, np.full((8, 8, 3), 90, np.uint8))
    me, clip, voice, answers = stage / "me.portrait", stage / "clip", stage / "voice.wav", tmp_path / "answers.csv"
    answers.write_text("participant\n")
    (tmp_path / "hard.mp4").hardlink_to(talk)
    (tmp_path / "soft.mp4").symlink_to(talk)
    before = {path: path.read_bytes() for path in (talk, other, plate, me, voice, answers)}
    for words in (
        ("render", me, talk, "--out", talk),
        ("render", me, talk, "--out", tmp_path / "hard.mp4"),
        ("render", me, talk, "--out", tmp_path / "soft.mp4"),
        ("render", me, talk, "--out", stage / ".." / tmp_path.name / "talk.mp4"),
        ("render", me, tmp_path / "soft.mp4", "--out", talk),
        ("render", me, voice, "--still", "0.5", "--background", plate, "--out", plate),
        ("doctor", talk, "--json", talk),
        ("score", talk, "--against", other, "--json", other),
        ("evaluate", me, clip, "--json", me),
        ("evaluate", me, clip, "--drive", talk, "--json", talk),
        ("inspect", me, "--motion", me),
        ("import", me, "--clip", clip, "--out", me),
        ("study", "--out", tmp_path, "--results", answers, "--json", answers),
    ):
        assert "would be replaced" in refusal(capsys, *words)
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "soft.mp4").is_symlink()


def test_no_result_replaces_a_file_of_another_kind(
    capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path
) -> None:
    talk, other, precious = film(tmp_path / "talk.mp4"), film(tmp_path / "other.mp4"), tmp_path / "precious.mp4"
    precious.write_bytes(b"hours of work")
    me, clip = stage / "me.portrait", stage / "clip"
    for words in (
        ("doctor", talk, "--json", precious),
        ("score", talk, "--against", other, "--json", precious),
        ("evaluate", me, clip, "--json", precious),
        ("study", "--out", tmp_path, "--results", tmp_path / "answers.csv", "--json", precious),
    ):
        assert f"Name it {tmp_path / 'precious.json'}" in refusal(capsys, *words)
    checkpoint = tmp_path / "ngp.pth"
    for words in (("train", clip), ("import", checkpoint, "--clip", clip)):
        assert "no portrait, so it is left alone" in refusal(capsys, *words, "--out", precious)
    assert precious.read_bytes() == b"hours of work"


def test_what_another_command_takes_is_said(capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path) -> None:
    me, out = stage / "me.portrait", tmp_path / "out.portrait"
    assert "portrait of Loquent already" in refusal(capsys, "import", me, "--clip", stage / "clip", "--out", out)
    assert "Name a data folder of RAD-NeRF" in refusal(
        capsys, "convert", tmp_path / "nobody", "--out", tmp_path / "out"
    )


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_cannot_be_used_is_named(
    capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path, seed: int
) -> None:
    me, clip, voice, out = stage / "me.portrait", stage / "clip", stage / "voice.wav", tmp_path / "out"
    for words in (
        ("train", clip, "--out", out),
        ("render", me, voice, "--out", tmp_path / "film.mp4"),
        ("compare", clip, "--out", out),
        ("study", voice, "--out", out),
        ("demo", "--out", out),
    ):
        message = refusal(capsys, *words, "--seed", str(seed))
        assert f"--seed must lie between 0 and 4294967295, but is {seed}" in message
    assert listing(tmp_path) == []


def test_a_full_disk(
    capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("loquent.storage.os.fsync", full)
    me, voice = stage / "me.portrait", stage / "voice.wav"
    for words in (
        ("render", me, voice, "--still", "0.5", "--out", tmp_path / "still.png"),
        ("inspect", me, "--motion", tmp_path / "motion.csv"),
        ("train", stage / "clip", "--out", tmp_path / "new.portrait", "--minutes", "0.01"),
        ("prepare", voice, "--out", tmp_path / "new_clip"),
    ):
        assert "No space left" in refusal(capsys, *words)
    assert not [name for name in listing(tmp_path) if (tmp_path / name).is_file()]


def test_only_a_full_disk_is_hushed_in_a_thread(capsys: pytest.CaptureFixture[str]) -> None:
    """TensorBoard writes in a thread and raises the error again in the command, which reports it."""
    for error in (OSError(errno.ENOSPC, "No space left on device"), RuntimeError("odd")):
        cli._report_thread(threading.ExceptHookArgs((type(error), error, None, None)))
    shown = capsys.readouterr().err
    assert "No space" not in shown
    assert "odd" in shown


def test_the_stage_itself_is_sound(capsys: pytest.CaptureFixture[str], stage: Path, tmp_path: Path) -> None:
    """What the tests above spoil works when it is whole."""
    assert Clip.open(stage / "clip").n_frames == 11
    words = ["render", stage / "me.portrait", stage / "voice.wav", "--out", tmp_path / "film.mp4"]
    assert cli.main([str(word) for word in words]) == 0
    assert listing(tmp_path) == ["film.mp4"]
    assert "Wrote" in capsys.readouterr().out
