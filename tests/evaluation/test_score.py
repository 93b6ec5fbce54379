"""Any video against the real one: known differences give known figures; what cannot be compared is refused."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.cli import main
from loquent.errors import InputError
from loquent.evaluation import networks
from loquent.evaluation import score as module
from loquent.evaluation.report import print_score, write_report
from loquent.evaluation.score import Score, score
from loquent.evaluation.syncnet import SyncNet
from loquent.face.landmarks import LandmarkTrack
from loquent.media.audio import write_wav
from loquent.media.writer import VideoWriter
from loquent.pretrained import CACHE_VARIABLE

SIDE, N_FRAMES = 64, 12


def write_video(path: Path, *, n_frames: int = N_FRAMES, side: int = SIDE, lift: int = 0, sound: bool = False) -> Path:
    """Grey pictures, each a little lighter than the one before, `lift` levels lighter than without."""
    wav = path.with_suffix(".wav")
    if sound:
        write_wav(wav, np.random.default_rng(0).normal(0, 0.1, n_frames * 640).astype(np.float32), 16000)
    with VideoWriter(path, height=side, width=side, fps=25.0, sound=wav if sound else None) as writer:
        for k in range(n_frames):
            writer.write(np.full((side, side, 3), 80 + 2 * k + lift, np.uint8))
    return path


def one_face(images: Iterable[np.ndarray]) -> LandmarkTrack:
    """Instead of MediaPipe: the same face on every picture."""
    layout = np.random.default_rng(0).uniform(16, 48, (478, 3)).astype(np.float32)
    n_frames = sum(1 for _ in images)
    return LandmarkTrack(np.tile(layout, (n_frames, 1, 1)), np.ones(n_frames, np.int64), None)


class HalfPerson:
    """Instead of MediaPipe: the lower half of every picture is a person."""

    def __enter__(self) -> "HalfPerson":
        return self

    def __exit__(self, *_: object) -> None: ...

    def matte(self, image: np.ndarray) -> np.ndarray:
        matte = np.zeros(image.shape[:2], np.float32)
        matte[SIDE // 2 :] = 1
        return matte


@pytest.fixture(autouse=True)
def _no_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "empty"))
    monkeypatch.setattr(module, "detect_all", one_face)
    monkeypatch.setattr(module, "PersonSegmenter", HalfPerson)


@pytest.fixture
def lifted(tmp_path: Path) -> Score:
    real = write_video(tmp_path / "real.mp4", sound=True)
    return score(write_video(tmp_path / "lifted.mp4", lift=10), real)


def test_a_lift_of_ten_levels_is_what_it_is_worth(lifted: Score) -> None:
    truth, ours = lifted.rows
    assert (truth.name, ours.name) == ("truth", "lifted.mp4")
    assert (lifted.n_frames, lifted.height, lifted.width) == (N_FRAMES, SIDE, SIDE)
    assert truth.psnr_db == np.inf
    assert truth.flip == 0
    assert ours.psnr_db == pytest.approx(20 * np.log10(255 / 10), abs=1.5)  # within the codec's rounding
    assert ours.person_psnr_db == pytest.approx(ours.psnr_db, abs=0.5)
    assert 0 < ours.flip < 0.3
    assert ours.lmd_px == 0
    assert ours.n_faces_missed == 0
    assert ours.silence_opening is None


def test_what_is_missing_is_named_with_its_cure(lifted: Score, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(lifted.missing) == {"LPIPS (alex)", "LPIPS (vgg)", "FID", "Sync", "blendshape error", "AUE"}
    print_score(lifted)
    text = " ".join(capsys.readouterr().out.split())
    assert "Not measured: FID; the file pt_inception-2015-12-05-6726825d.pth" in text
    assert "lifted.mp4 is silent; it was judged with the sound of real.mp4" in text
    assert "LPIPS (alex) " not in text  # no line of dashes
    assert "nan" not in text


def test_json_holds_the_table(lifted: Score, tmp_path: Path) -> None:
    write_report(tmp_path / "s.json", lifted)
    facts = json.loads((tmp_path / "s.json").read_text(), parse_constant=pytest.fail)
    assert facts == lifted.to_json()
    assert facts["rows"][0]["psnr_db"] is None
    assert facts["rows"][1]["psnr_db"] == lifted.rows[1].psnr_db


class MeanDifference:
    """Instead of LPIPS."""

    def distance(self, ours: np.ndarray, truth: np.ndarray) -> float:
        return float(np.abs(ours.astype(float) - truth).mean())


class MeanColour:
    """Instead of Inception."""

    def features(self, picture: np.ndarray) -> np.ndarray:
        return picture.mean(axis=(0, 1))


class MeanBrightness(SyncNet):
    """Lips and sound are one number each."""

    def of_lips(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.mean(dim=(1, 2, 3, 4))[:, None].expand(-1, 1024)

    def of_sound(self, coefficients: torch.Tensor) -> torch.Tensor:
        return coefficients.mean(dim=(1, 2, 3))[:, None].expand(-1, 1024)


class TwoShapes:
    """Instead of the Face Landmarker."""

    def shapes(self, picture: np.ndarray) -> np.ndarray:
        return np.full(52, picture.mean() / 255, np.float32)


def test_networks_that_are_there_fill_their_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaders = {
        networks.LPIPS_ALEX: MeanDifference,
        networks.LPIPS_VGG: MeanDifference,
        networks.FID: MeanColour,
        networks.SYNC: MeanBrightness,
        networks.BLENDSHAPES: TwoShapes,
    }
    monkeypatch.setattr(networks, "_LOADERS", loaders)
    real = write_video(tmp_path / "real.mp4", n_frames=30, sound=True)
    figures = score(write_video(tmp_path / "lifted.mp4", n_frames=30, lift=10), real)
    assert set(figures.missing) == {"AUE"}
    truth, ours = figures.rows
    assert (truth.lpips_alex, truth.lpips_vgg, truth.blendshape_error) == (0, 0, 0)
    assert truth.fid == pytest.approx(0, abs=1e-9)
    assert ours.lpips_alex == ours.lpips_vgg == pytest.approx(10, abs=1)
    assert ours.fid == pytest.approx(3 * 10**2, rel=0.2)
    assert ours.blendshape_error == pytest.approx(52 * (10 / 255) ** 2, rel=0.2)
    assert truth.sync_distance is not None
    assert ours.sync_distance is not None
    assert ours.sync_distance > truth.sync_distance  # lighter pictures are farther from this sound


def test_videos_of_different_length_are_compared_only_when_asked(tmp_path: Path) -> None:
    short, long = write_video(tmp_path / "short.mp4", n_frames=8), write_video(tmp_path / "long.mp4")
    with pytest.raises(InputError, match=r"short.mp4 has 8 frames .*long.mp4 has 12.*--trim"):
        score(short, long)
    figures = score(long, short, trim=True)
    assert figures.n_frames == 8
    assert figures.rows[1].psnr_db > 45
    assert figures.notes == ("The last 4 frames of long.mp4 were left out, since the other ends before.",)


def test_videos_of_different_size_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, large = write_video(tmp_path / "small.mp4", side=32), write_video(tmp_path / "large.mp4")
    assert main(["score", str(small), "--against", str(large), "--json", str(tmp_path / "f.json")]) == 2
    assert "32x32 pixels" in capsys.readouterr().err
    assert not (tmp_path / "f.json").exists()


def test_action_units_come_from_both_files(tmp_path: Path) -> None:
    from loquent.evaluation.action_units import ACTION_UNITS

    names = ",".join(f" AU{unit:02d}_r" for unit in ACTION_UNITS)
    for name, value, n_rows in (("a.csv", 1.5, N_FRAMES), ("b.csv", 1.0, N_FRAMES), ("c.csv", 1.0, 3)):
        (tmp_path / name).write_text("\n".join([names, *[",".join([str(value)] * 17)] * n_rows]))
    video = write_video(tmp_path / "v.mp4")
    figures = score(video, video, action_units=(tmp_path / "a.csv", tmp_path / "b.csv"))
    assert [row.aue for row in figures.rows] == [0.0, pytest.approx(17 * 0.25)]
    assert "AUE" not in figures.missing
    with pytest.raises(InputError, match="one has 12 and the other 3"):
        score(video, video, action_units=(tmp_path / "a.csv", tmp_path / "c.csv"))
