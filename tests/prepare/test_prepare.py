"""The whole road from a video to a clip, on the procedural actor, against what is known of him."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.actor.film import film
from loquent.config import PrepareConfig
from loquent.data.clip import Clip
from loquent.errors import MediaError
from loquent.geometry.cameras import project
from loquent.media.audio import read_waveform
from loquent.prepare.doctor import examine
from loquent.prepare.judge import worst
from loquent.prepare.sound import recorded_frames
from loquent.prepare.steps import prepare_clip

SIZE = 160
SECONDS = 3.0


class Watch:
    """Remembers which steps ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.skipped: list[str] = []

    def plan(self, efforts: Sequence[float]) -> None:
        self.n_steps = len(efforts)

    def start(self, title: str, number: int) -> None:
        assert 1 <= number <= self.n_steps

    def advance(self, done: int, total: int) -> None:
        assert done >= 0

    def finish(self, step: str, number: int, *, skipped: bool) -> None:
        (self.skipped if skipped else self.ran).append(step)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """actor.mp4, his truth.npz, and the clip made of them."""
    folder = tmp_path_factory.mktemp("stage")
    film(folder / "actor.mp4", duration_s=SECONDS, size=SIZE, seed=1, truth=folder / "truth.npz")
    prepare_clip(folder / "actor.mp4", folder / "clip", PrepareConfig(size=SIZE))
    return folder


def test_every_frame_is_usable_and_in_place(stage: Path) -> None:
    clip = Clip.open(stage / "clip")
    assert clip.track.frame_ids.tolist() == list(range(75))
    assert clip.info.n_train == int(75 * 10 / 11)
    assert len(read_waveform(stage / "clip" / "sound.wav")) == 3 * 16000
    assert len(clip.speech_features()) == 150
    assert (stage / "clip" / "preview.jpg").stat().st_size > 10_000
    assert {path.name for path in (stage / "clip" / "steps").glob("*.json")} >= {
        "survey.json",
        "mattes.json",
        "clip.json",
    }


def test_pose_explains_the_landmarks_and_turns_like_the_actor(stage: Path) -> None:
    clip = Clip.open(stage / "clip")
    assert clip.info.figures["reprojection_error_px"] < 1.5
    truth = torch.from_numpy(np.load(stage / "truth.npz")["world_from_camera"]).float()
    found, true = clip.track.world_from_camera[:, :3, :3], truth[:, :3, :3]
    # Only motion can be compared: where a face's own axes point is a convention.
    turn = (found[0].T @ found).mT @ (true[0].T @ true)
    angle_deg = torch.rad2deg(torch.arccos(((turn.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)))
    assert float(angle_deg.median()) < 1.5
    middle = project(torch.zeros(75, 1, 3), clip.track.world_from_camera, clip.camera)[:, 0]
    inside = clip.track.landmarks_px[:, :468, :2]
    assert ((middle > inside.amin(1)) & (middle < inside.amax(1))).all()


def test_mattes_cover_the_head(stage: Path) -> None:
    clip = Clip.open(stage / "clip")
    truth = np.load(stage / "truth.npz")["matte"]
    overlaps = []
    for i in range(0, 75, 15):
        found, true = clip.matte(i)[..., 0] >= 128, truth[i, ..., 0] >= 128
        overlaps.append((found & true).sum() / (found | true).sum())
    assert np.median(overlaps) > 0.88


def test_second_run_repeats_nothing_and_missing_pictures_are_restored(stage: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    shutil.copytree(stage / "clip", clip)
    watch = Watch()
    prepare_clip(stage / "actor.mp4", clip, PrepareConfig(size=SIZE), watch)
    assert watch.ran == []
    before = (clip / "torso" / "000007.png").read_bytes()
    (clip / "torso" / "000007.png").unlink()
    watch = Watch()
    prepare_clip(stage / "actor.mp4", clip, PrepareConfig(size=SIZE), watch)
    # The same pictures come out, so what reads them is not repeated; clip.json is always written anew.
    assert watch.ran == ["torso", "clip"]
    assert (clip / "torso" / "000007.png").read_bytes() == before


def test_given_sound_offset_moves_the_sound_only(stage: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    shutil.copytree(stage / "clip", clip)
    watch = Watch()
    moved = prepare_clip(stage / "actor.mp4", clip, PrepareConfig(size=SIZE, sound_offset_s=0.03), watch)
    assert watch.ran == ["sound", "speech", "preview", "clip"]
    assert moved.info.sound_offset_s == 0.03
    source, sound = read_waveform(stage / "actor.mp4"), read_waveform(clip / "sound.wav")
    np.testing.assert_allclose(sound[:30000], source[480:30480], atol=2e-4)
    assert not sound[-480:].any()


def test_frames_without_sound_are_left_out(stage: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    shutil.copytree(stage / "clip", clip)
    moved = prepare_clip(stage / "actor.mp4", clip, PrepareConfig(size=SIZE, sound_offset_s=0.4))
    assert moved.track.frame_ids.tolist() == list(range(67)), "0.4 s of sound are missing, of which 0.08 are forgiven"
    assert moved.info.n_train < 67
    usable = next(finding for finding in moved.info.findings if finding.name == "usable frames")
    assert usable.figure == "89.3 % (67 of 75, 8 without sound)"


@pytest.mark.parametrize(
    ("seconds", "from_s", "frames"),
    [
        (3.0, 0.0, range(75)),
        (3.0, 0.05, range(75)),
        (3.0, 0.1, range(74)),
        (3.0, 0.5, range(64)),
        (3.0, -0.03, range(75)),
        (3.0, -0.5, range(11, 75)),
        (1.0, 0.0, range(27)),
        (9.0, 2.0, range(75)),
        (1.0, 2.0, range(0)),
        (1.0, -9.0, range(75, 75)),
    ],
)
def test_frames_whose_sound_was_recorded(seconds: float, from_s: float, frames: range) -> None:
    assert recorded_frames(round(seconds * 16000), from_s, 75) == frames


def test_doctor_agrees_with_prepare(stage: Path) -> None:
    by_doctor = {finding.name: finding for finding in examine(stage / "actor.mp4")}
    by_prepare = {finding.name: finding for finding in Clip.open(stage / "clip").info.findings}
    assert list(by_doctor) == list(by_prepare)
    assert worst(tuple(by_doctor.values())) != "no-go"
    for name in ("length", "frame rate", "face size", "usable frames", "cuts", "loudness", "sound"):
        assert by_doctor[name].figure == by_prepare[name].figure


def test_part_without_a_whole_second_is_refused(stage: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"actor\.mp4 cannot be used: length"):
        prepare_clip(stage / "actor.mp4", tmp_path / "clip", PrepareConfig(size=SIZE, start_s=2.5))
    assert not (tmp_path / "clip").exists()
