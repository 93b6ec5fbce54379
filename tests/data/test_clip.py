"""The clip folder: what is written is read back, and what is missing or damaged is named."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from loquent.data.clip import (
    Clip,
    ClipInfo,
    ClipTrack,
    default_train_count,
    write_info,
    write_speech_features,
    write_track,
)
from loquent.data.findings import Finding
from loquent.errors import ClipError
from loquent.media.audio import write_wav
from loquent.media.images import write_image
from loquent.storage import write_bytes

FRAME_IDS = (0, 1, 5)
SIZE = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole clip of three random frames."""
    rng = np.random.default_rng(0)
    n = len(FRAME_IDS)
    track = ClipTrack(
        frame_ids=torch.tensor(FRAME_IDS),
        world_from_camera=torch.eye(4).repeat(n, 1, 1),
        landmarks_px=torch.from_numpy(rng.uniform(0, SIZE, (n, 478, 3)).astype(np.float32)),
        blink=torch.tensor([[0.0, 0.2], [1.0, 0.8], [0.5, 0.5]]),
        brows=torch.tensor([0.3, 0.0, 1.0]),
        expression=torch.zeros(n, 8),
    )
    info = ClipInfo("toy", SIZE, SIZE, 30.0, 7, 2, findings=(Finding("length", "0.3 s", "warn", "short", "film more"),))
    write_track(tmp_path, track)
    write_info(tmp_path, info)
    write_image(tmp_path / "background.png", rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8))
    for frame_id in FRAME_IDS:
        head = rng.integers(0, 128, (SIZE, SIZE), dtype=np.uint8)
        body = rng.integers(0, 127, (SIZE, SIZE), dtype=np.uint8)
        write_image(tmp_path / f"frames/{frame_id:06d}.jpg", np.full((SIZE, SIZE, 3), 10 * frame_id, np.uint8))
        write_image(tmp_path / f"mattes/{frame_id:06d}.png", np.dstack([head, body, 255 - head - body]))
        write_image(tmp_path / f"torso/{frame_id:06d}.png", rng.integers(0, 255, (SIZE, SIZE, 4), dtype=np.uint8))
    write_wav(tmp_path / "sound.wav", np.zeros(7 * 640, np.float32), 16000)
    write_bytes(tmp_path / "speech/log_mel.safetensors", save({"features": torch.zeros(14, 40)}))
    return tmp_path


def test_features_of_another_version_are_refused(folder: Path) -> None:
    """The same name, other numbers: what a portrait learned from them would not fit what is computed when it speaks."""
    clip, path = Clip.open(folder), folder / "speech/log_mel.safetensors"
    assert clip.speech_features().shape == (14, 40), "files from before there were versions hold the first"
    write_speech_features(path, "log_mel", torch.ones(14, 40))
    assert float(clip.speech_features().mean()) == 1
    write_bytes(path, save({"features": torch.zeros(14, 40)}, {"version": "7"}))
    with pytest.raises(ClipError, match=r"version 7 .* computes version 1.*prepare"):
        clip.speech_features()


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"feature": torch.zeros(14, 40)}, "it lacks 'features'"),
        ({"features": torch.zeros(14, 64)}, "features must be float32 [steps, 40], but is float32 [14, 64]"),
        ({"features": torch.full((14, 40), float("nan"))}, "features holds numbers that are not finite"),
    ],
)
def test_damaged_features_are_refused(folder: Path, tensors: dict[str, Tensor], words: str) -> None:
    write_bytes(folder / "speech/log_mel.safetensors", save(tensors))
    with pytest.raises(ClipError, match=rf"log_mel\.safetensors is damaged: {re.escape(words)}.*loquent prepare"):
        Clip.open(folder).speech_features()


def test_what_is_written_is_read_back(folder: Path) -> None:
    clip = Clip.open(folder)
    assert clip.n_frames == 3
    assert clip.info.findings[0].cure == "film more"
    assert list(clip.train_frames) == [0, 1]
    assert list(clip.held_out_frames) == [2]
    torch.testing.assert_close(clip.eye, torch.tensor([[0.1, 0.3], [0.9, 0.0], [0.5, 1.0]]))
    assert abs(int(clip.frame(2).mean()) - 50) <= 1
    assert (clip.matte(1).astype(int).sum(axis=-1) == 255).all()
    write_info(folder, clip.info)
    assert Clip.open(folder).info == clip.info


def test_same_track_same_bytes(folder: Path, tmp_path: Path) -> None:
    track = Clip.open(folder).track
    contents = set()
    for k in range(8):
        (tmp_path / str(k)).mkdir()
        write_track(tmp_path / str(k), track)
        contents.add((tmp_path / str(k) / "track.safetensors").read_bytes())
    assert len(contents) == 1


def test_layers_are_composited_by_their_alpha(folder: Path) -> None:
    clip = Clip.open(folder)
    behind = clip.matte(0)[3, 4, 2] / 255
    by_hand = (clip.frame(0)[3, 4] * (1 - behind) + clip.background[3, 4] * behind) / 255
    np.testing.assert_allclose(clip.target(0)[3, 4], by_hand, atol=1e-5)
    layer = clip.torso(0)[3, 4].astype(float) / 255
    by_hand = layer[:3] * layer[3] + clip.background[3, 4] / 255 * (1 - layer[3])
    np.testing.assert_allclose(clip.torso_over_background(0)[3, 4], by_hand, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "clip.json",
        "track.safetensors",
        "background.png",
        "sound.wav",
        "speech/log_mel.safetensors",
        "frames/000005.jpg",
        "mattes/000001.png",
        "torso/000000.png",
    ],
)
def test_missing_file_is_named_with_the_cure(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ClipError, match=name.replace(".", r"\.")) as caught:
        Clip.open(folder)
    assert "loquent prepare" in str(caught.value)


def test_what_is_no_folder_is_told_as_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"does not exist\. Make one with `loquent prepare"):
        Clip.open(tmp_path / "nobody")
    (tmp_path / "me.mp4").write_bytes(b"film")
    with pytest.raises(ClipError, match=r"me\.mp4 is a file, not a clip folder") as caught:
        Clip.open(tmp_path / "me.mp4")
    assert "--out me.mp4" not in str(caught.value)  # it would replace the video


@pytest.mark.parametrize("name", ["clip.json", "track.safetensors"])
def test_damaged_file_is_named(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ClipError, match=f"{name.split('.')[0]}.* is damaged"):
        Clip.open(folder)


def test_damaged_picture_is_named_when_it_is_read(folder: Path) -> None:
    (folder / "frames/000001.jpg").write_bytes(b"\xff\xd8half")
    clip = Clip.open(folder)
    with pytest.raises(ClipError, match=r"000001\.jpg.*loquent prepare"):
        clip.frame(1)
    write_image(folder / "frames/000001.jpg", np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(ClipError, match="the clip promises"):
        clip.frame(1)
    (folder / "background.png").write_bytes(b"\x89PNG half")
    with pytest.raises(ClipError, match=r"background\.png.*loquent prepare"):
        _ = clip.background


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 99}, "Update Loquent"),
        ({"format": "other"}, "'loquent.clip' was expected"),
        ({"n_train": 9}, "9 frames train"),
        ({"colour": 1}, "is damaged"),
        ({"n_train": "2"}, r"clip\.json is damaged \(n_train cannot be '2'\)"),
        ({"n_train": True}, "n_train cannot be True"),
        ({"name": 3}, "name cannot be 3"),
        ({"height": 12.5}, "height cannot be 12.5"),
        ({"width": 0}, "width must be positive, but is 0"),
        ({"focal_px": float("nan")}, "focal_px must be positive, but is nan"),
        ({"fps": None}, "fps cannot be None"),
        ({"fps": 30.0}, r"clip\.json says that the clip has 30 frames a second, but clips have 25"),
        ({"fps": float("nan")}, "has nan frames a second"),
        ({"source": []}, r"source cannot be \[\]"),
        ({"findings": [{"name": "length"}]}, "is damaged"),
        ({"n_source_frames": 5}, r"the film has 5 frames, but .* has a frame 5"),
    ],
)
def test_clip_json_of_another_kind(folder: Path, change: dict[str, object], words: str) -> None:
    values = json.loads((folder / "clip.json").read_text())
    (folder / "clip.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(ClipError, match=words):
        Clip.open(folder)


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("frame_ids", lambda ids: ids.float(), "frame_ids must be int64 [frames], but is float32 [3]"),
        ("frame_ids", lambda ids: ids.flip(0), "frame_ids must rise"),
        ("frame_ids", lambda ids: ids - 1, "frame_ids must rise from frame to frame and not be negative"),
        ("frame_ids", lambda ids: ids * 0, "frame_ids must rise"),
        ("frame_ids", lambda ids: ids[:0], "no usable frame"),
        (
            "world_from_camera",
            lambda poses: poses[:2],
            "world_from_camera must be float32 [3, 4, 4], but is float32 [2, 4, 4]",
        ),
        ("world_from_camera", lambda poses: poses[:, :3], "but is float32 [3, 3, 4]"),
        (
            "world_from_camera",
            lambda poses: poses * float("inf"),
            "world_from_camera holds numbers that are not finite",
        ),
        ("landmarks_px", lambda points: points[:, :68], "landmarks_px must be float32 [3, 478, 3]"),
        ("blink", lambda blink: blink.double(), "blink must be float32 [3, 2], but is float64 [3, 2]"),
        ("blink", lambda blink: blink[:, 0], "blink must be float32 [3, 2], but is float32 [3]"),
        (
            "expression",
            lambda values: values[:, :0],
            "expression must be float32 [3, coefficients], but is float32 [3, 0]",
        ),
    ],
)
def test_a_track_that_does_not_fit_together_is_refused(
    folder: Path, name: str, edit: Callable[[Tensor], Tensor], words: str
) -> None:
    path = folder / "track.safetensors"
    tensors = load_file(path)
    tensors[name] = edit(tensors[name]).contiguous()
    path.write_bytes(save(tensors))
    with pytest.raises(ClipError, match=re.escape(words)):
        Clip.open(folder)


def test_default_split_is_the_papers() -> None:
    assert [default_train_count(n) for n in (500, 200, 1258, 1)] == [454, 181, 1143, 1]
