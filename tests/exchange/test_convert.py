"""Clip folder to data folder and back: what the originals' loaders read of ours, and what we keep of theirs."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from original_files import write_data_folder

from loquent import cli
from loquent.config import PrepareConfig
from loquent.data.clip import Clip
from loquent.errors import ClipError, InputError
from loquent.exchange import adopt as adoption
from loquent.exchange.adopt import adopt
from loquent.exchange.export import export
from loquent.exchange.rad_folder import RadFolder
from loquent.face.indices import MESH_OF_68
from loquent.face.landmarks import LandmarkTrack
from loquent.speech.windows import frame_windows
from loquent.testing import make_tiny_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"), size=48, n_frames=13)


@pytest.fixture(scope="module")
def exported(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "data"
    export(clip, out)
    return out


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces are found everywhere but on the third picture; the tiny clip shows a ball, which is none."""

    def found(pictures: Iterator[np.ndarray]) -> LandmarkTrack:
        n, random = len(list(pictures)), np.random.default_rng(2)
        points = np.tile(random.uniform(10, 40, (478, 3)), (n, 1, 1)) + random.normal(0, 0.5, (n, 478, 3))
        points[2] = np.nan
        return LandmarkTrack(points.astype(np.float32), np.ones(n, np.int64), None)

    monkeypatch.setattr(adoption, "detect_all", found)


def test_the_originals_would_read_our_clip(clip: Clip, exported: Path) -> None:
    theirs = RadFolder.open(exported)
    assert theirs.frame_ids.tolist() == clip.track.frame_ids.tolist(), "numbers keep their place in time"
    assert theirs.n_train == clip.info.n_train
    assert theirs.camera == clip.camera
    torch.testing.assert_close(theirs.world_from_camera, clip.track.world_from_camera, rtol=0, atol=1e-6)
    torch.testing.assert_close(theirs.eyes_closed(), clip.eye[:, 0].float(), rtol=0, atol=1e-4)
    for i in (0, 6, clip.n_frames - 1):
        assert np.array_equal(theirs.frame(i), clip.frame(i))
        assert np.array_equal(theirs.torso(i), clip.torso(i))
        assert np.array_equal(theirs.matte(i), clip.matte(i))
        points = clip.track.landmarks_px[i, list(MESH_OF_68), :2].numpy()
        np.testing.assert_allclose(theirs.landmarks(i), points, atol=1e-5)
    assert np.abs(theirs.background.astype(int) - clip.background).max() <= 3
    assert (exported / "gt_imgs" / "0.jpg").is_file()
    assert (exported / "aud.wav").read_bytes() == (clip.folder / "sound.wav").read_bytes()


def test_speech_windows_stand_where_the_loaders_look(clip: Clip, exported: Path) -> None:
    windows = np.load(exported / "aud.npy")
    assert windows.shape == (clip.info.n_source_frames, 16, 40)
    ids = clip.track.frame_ids
    wanted = frame_windows(clip.speech_features(), ids).transpose(1, 2)
    assert np.array_equal(windows[ids], wanted.numpy())


def test_csv_headers_have_the_leading_space_of_openface(exported: Path) -> None:
    assert (exported / "au.csv").read_text().splitlines()[0].split(",")[-1] == " AU45_r"


def test_a_data_folder_becomes_a_clip(
    clip: Clip, exported: Path, faces: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = torch.randn(2 * clip.info.n_source_frames, 29)
    windows = frame_windows(heard, torch.arange(clip.info.n_source_frames))
    np.save(exported / "aud_ds.npy", windows.transpose(1, 2).numpy())
    assert cli.main(["convert", str(exported), "--out", str(tmp_path / "clip"), "--speech", "deepspeech"]) == 0
    assert "12 frames" in capsys.readouterr().out
    made = Clip.open(tmp_path / "clip")
    kept = [i for i in range(clip.n_frames) if i != 2]
    assert made.track.frame_ids.tolist() == clip.track.frame_ids[kept].tolist()
    assert made.info.n_train == clip.info.n_train - 1
    torch.testing.assert_close(made.track.world_from_camera, clip.track.world_from_camera[kept], rtol=0, atol=1e-6)
    torch.testing.assert_close(made.eye[:, 0], clip.eye[kept, 0].float(), rtol=0, atol=1e-4)
    assert np.array_equal(made.matte(4), clip.matte(5))
    assert np.array_equal(made.torso(4), clip.torso(5))
    assert made.track.expression.shape == (12, 8)
    assert torch.equal(made.speech_features()[: len(heard)], heard)


def test_a_folder_without_au_csv_measures_eyes_on_the_pictures(exported: Path, faces: None, tmp_path: Path) -> None:
    held = (exported / "au.csv").read_bytes()
    (exported / "au.csv").unlink()
    try:
        made = adopt(exported, tmp_path / "clip", "log_mel")
    finally:
        (exported / "au.csv").write_bytes(held)
    assert ((made.track.blink >= 0) & (made.track.blink <= 1)).all()
    assert made.info.speech_kind == "log_mel"
    assert made.speech_features().shape[1] == 40


def test_a_clip_listens_to_what_prepare_would_choose(
    exported: Path, faces: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["convert", str(exported), "--out", str(tmp_path / "clip")]) == 0
    assert Clip.open(tmp_path / "clip").info.speech_kind == PrepareConfig().speech_kind
    assert "12 frames" in capsys.readouterr().out


def test_speech_cannot_be_chosen_for_a_data_folder(
    clip: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["convert", str(clip.folder), "--out", str(tmp_path / "data"), "--speech", "deepspeech"]) == 2
    assert "--speech is for making a clip" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_features_of_another_sound_are_refused(exported: Path, faces: None, tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    shutil.copytree(exported, folder)
    windows = frame_windows(torch.randn(80, 29), torch.arange(40)).transpose(1, 2)
    np.save(folder / "aud_ds.npy", windows.numpy())
    with pytest.raises(InputError, match=r"aud_ds\.npy holds features of 40 frames .* the sound has 14"):
        adopt(folder, tmp_path / "clip", "deepspeech")
    assert [path.name for path in tmp_path.iterdir()] == ["identity"]


def unequal_focal_lengths(folder: Path) -> None:
    path = folder / "transforms_train.json"
    facts = json.loads(path.read_text())
    del facts["focal_len"]
    path.write_text(json.dumps({**facts, "fl_x": 80, "fl_y": 84}))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (unequal_focal_lengths, InputError, "focal lengths 80 and 84"),
        (lambda folder: (folder / "parsing" / "3.png").unlink(), ClipError, "3.png does not exist"),
        (lambda folder: None, InputError, "aud.wav"),
    ],
)
def test_what_cannot_be_converted_leaves_nothing(
    faces: None, tmp_path: Path, spoil: Callable[[Path], object], error: type[Exception], words: str
) -> None:
    folder = write_data_folder(tmp_path / "identity", n_frames=14, n_train=12)
    spoil(folder)
    with pytest.raises(error, match=words):
        adopt(folder, tmp_path / "clip", "log_mel")
    assert [path.name for path in tmp_path.iterdir()] == ["identity"]


def test_pictures_without_faces_are_no_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(pictures: Iterator[np.ndarray]) -> LandmarkTrack:
        n = len(list(pictures))
        return LandmarkTrack(np.full((n, 478, 3), np.nan, np.float32), np.zeros(n, np.int64), None)

    monkeypatch.setattr(adoption, "detect_all", nobody)
    with pytest.raises(InputError, match=r"Hardly any training picture .*: 0 of 3 do"):
        adopt(write_data_folder(tmp_path / "identity"), tmp_path / "clip", "log_mel")


def test_a_folder_in_use_is_left_alone(clip: Clip, exported: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        export(clip, exported)
    with pytest.raises(InputError, match="is there already"):
        adopt(exported, clip.folder, "log_mel")


def test_what_a_killed_conversion_left_is_removed(clip: Clip, exported: Path, faces: None, tmp_path: Path) -> None:
    for name in ("clip", "data"):  # no process has a number above 2**22
        (tmp_path / f".partial-5000000-0123abcd-{name}" / "frames").mkdir(parents=True)
    adopt(exported, tmp_path / "clip", "log_mel")
    export(clip, tmp_path / "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "data"]


def test_a_picture_of_the_clip_that_may_not_be_read_is_named(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "000003.jpg":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ClipError, match=r"000003\.jpg cannot be read: Permission denied"):
        export(clip, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_neither_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["convert", str(tmp_path), "--out", str(tmp_path / "a")]) == 2
    assert "is not a clip folder" in capsys.readouterr().err
