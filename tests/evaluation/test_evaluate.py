"""The whole evaluation on a tiny clip: a portrait without a head, whose pictures are known, and one of random fields."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from loquent.cli import main
from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.evaluation import evaluate as module
from loquent.evaluation import lip_sync
from loquent.evaluation.evaluate import Evaluation, evaluate
from loquent.evaluation.report import print_evaluation, write_report
from loquent.face.expression import detrend_shape
from loquent.face.landmarks import LandmarkTrack
from loquent.media.images import to_bytes
from loquent.testing import make_random_portrait, make_tiny_clip

N_TRAIN, N_HELD_OUT = 10, 9


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    whole = make_tiny_clip(tmp_path_factory.mktemp("tiny"), n_frames=N_TRAIN + N_HELD_OUT)
    return Clip(whole.folder, replace(whole.info, n_train=N_TRAIN), whole.track)


def colour_faces(images: Iterable[np.ndarray]) -> LandmarkTrack:
    """Instead of MediaPipe: a face whose mouth opens with the picture's mean red, and none where the red is zero."""
    layout = np.random.default_rng(0).uniform(5, 25, (478, 3)).astype(np.float32)
    points = []
    for image in images:
        red = float(image[..., 0].mean())
        face = layout.copy()
        face[14, 1] = face[13, 1] + red / 10
        points.append(face if red > 0 else np.full_like(face, np.nan))
    return LandmarkTrack(np.stack(points), np.ones(len(points), np.int64), None)


@pytest.fixture
def _colour_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "detect_all", colour_faces)


@pytest.fixture(scope="module")
def random_evaluation(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    folder = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "detect_all", colour_faces)
        patch.setattr(lip_sync, "LEAST_FRAMES", N_HELD_OUT)
        figures = evaluate(
            make_random_portrait(clip),
            clip,
            frames_dir=folder / "frames",
            sheet=folder / "sheet.png",
            shuffle_sound=True,
        )
    return figures, folder


@pytest.mark.usefixtures("_colour_faces")
def test_an_empty_head_shows_what_is_behind_it(clip: Clip) -> None:
    figures = evaluate(make_random_portrait(clip, has_head=False), clip, settings=("head",))
    whole, head, mouth = [], [], []
    for i in clip.held_out_frames:
        ours, truth = to_bytes(clip.torso_over_background(i)), to_bytes(clip.target(i))
        whole.append(peak_signal_noise_ratio(truth, ours))
        matte = clip.matte(i)[..., 0] / 255.0
        error = ((ours.astype(float) - truth) ** 2).mean(axis=2)
        head.append(10 * np.log10(255**2 / ((error * matte).sum() / matte.sum())))
        lips = clip.track.landmarks_px[
            i, [0, 17, 37, 39, 40, 61, 84, 91, 146, 181, 185, 267, 269, 270, 291, 314, 321, 375, 405, 409], :2
        ]
        low, high = lips.amin(0).numpy(), lips.amax(0).numpy()
        room = 0.25 * (high - low)
        left, top = np.floor(low - room).clip(0).astype(int)
        right, bottom = (np.ceil(high + room) + 1).clip(0, 32).astype(int)
        mouth.append(peak_signal_noise_ratio(truth[top:bottom, left:right], ours[top:bottom, left:right]))
    row = figures.row("head")
    assert row.psnr_db == pytest.approx(np.mean(whole), abs=1e-5)
    assert row.head_psnr_db == pytest.approx(np.mean(head), abs=1e-5)
    assert row.mouth_psnr_db == pytest.approx(np.mean(mouth), abs=1e-5)


def test_the_truth_is_perfect_and_its_own_row(random_evaluation: tuple[Evaluation, Path]) -> None:
    figures, _ = random_evaluation
    truth = figures.row("truth")
    assert truth.psnr_db == truth.head_psnr_db == truth.mouth_psnr_db == np.inf
    assert truth.ssim == pytest.approx(1, abs=1e-9)
    assert truth.lmd_px == 0
    assert truth.lips is not None
    assert truth.lips.correlation == pytest.approx(1)
    assert truth.lips.lag_frames == 0
    assert truth.ms_per_frame is None
    recompressed = figures.row("recompressed")
    assert 20 < recompressed.psnr_db < 60


def test_every_set_of_pictures_has_a_row(random_evaluation: tuple[Evaluation, Path]) -> None:
    figures, _ = random_evaluation
    assert [row.name for row in figures.rows] == ["truth", "recompressed", "head", "full", "head shuffled"]
    assert figures.n_held_out == N_HELD_OUT
    assert figures.fps_setting == "full"
    assert figures.fps > 0
    assert figures.notes == ()
    assert 0.01 < figures.file_mib < 10


def test_shuffled_sound_changes_the_lips(clip: Clip, random_evaluation: tuple[Evaluation, Path]) -> None:
    figures, _ = random_evaluation
    plain, shuffled = figures.row("head").lips, figures.row("head shuffled").lips
    assert plain is not None
    assert shuffled is not None
    assert plain.correlation != shuffled.correlation
    ids = clip.track.frame_ids[N_TRAIN:]
    portrait = make_random_portrait(clip)
    true = portrait.conditions(clip.speech_features(), ids)
    assert torch.equal(module.held_out.conditions(portrait, clip), true)
    assert not torch.allclose(module.held_out.conditions(portrait, clip, is_shuffled=True), true, atol=1e-3)


@pytest.mark.usefixtures("_colour_faces")
def test_tracked_lips_are_those_of_the_frames(clip: Clip) -> None:
    portrait = make_random_portrait(clip)
    shapes = clip.track.expression.numpy()
    steady = torch.from_numpy(detrend_shape(shapes, clip.track.frame_ids.numpy(), clip.info.fps))[N_TRAIN:].float()
    assert torch.equal(steady[:, 0], clip.track.expression[N_TRAIN:, 0])
    assert not torch.allclose(steady[:, 1:], clip.track.expression[N_TRAIN:, 1:], atol=0.01), "their drift is left out"
    assert torch.equal(module.held_out.tracked_conditions(portrait, clip), portrait.head.encode(steady))
    figures = evaluate(portrait, clip, settings=("head",), tracked_lips=True)
    assert [row.name for row in figures.rows] == ["truth", "recompressed", "head", "head tracked"]
    assert figures.row("head tracked").psnr_db != figures.row("head").psnr_db


def test_a_head_that_hears_the_sound_has_no_tracked_lips(clip: Clip) -> None:
    with pytest.raises(InputError, match="moved by audio, not by expression"):
        evaluate(make_random_portrait(clip, condition="audio"), clip, tracked_lips=True)


@pytest.mark.parametrize("setting", ["head", "full"])
def test_the_written_frames_give_the_reported_psnr(
    clip: Clip, random_evaluation: tuple[Evaluation, Path], setting: str
) -> None:
    figures, folder = random_evaluation
    names = sorted(path.name for path in (folder / "frames").iterdir())
    ids = clip.track.frame_ids[N_TRAIN:].tolist()
    assert names == sorted(f"{k:06d}_{kind}.png" for k in ids for kind in ("truth", "head", "full"))
    values = []
    for k in ids:
        truth, ours = (cv2.imread(str(folder / "frames" / f"{k:06d}_{kind}.png")) for kind in ("truth", setting))
        values.append(peak_signal_noise_ratio(truth, ours))
    assert figures.row(setting).psnr_db == pytest.approx(np.mean(values), abs=1e-5)


def test_json_holds_every_figure_as_a_finite_number_or_null(
    random_evaluation: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    figures, _ = random_evaluation
    write_report(tmp_path / "figures.json", figures)
    facts = json.loads((tmp_path / "figures.json").read_text(), parse_constant=pytest.fail)
    assert facts == figures.to_json()
    rows = {row["name"]: row for row in facts["rows"]}
    assert rows["truth"]["psnr_db"] is None
    assert rows["head"]["psnr_db"] == figures.row("head").psnr_db
    assert rows["full"]["lips"]["n_frames"] == N_HELD_OUT
    assert facts["clip"] == "tiny"


def test_the_table_shows_every_row_and_no_nan(
    random_evaluation: tuple[Evaluation, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    figures, _ = random_evaluation
    print_evaluation(replace(figures, notes=("[odd] brackets stay",)))
    text = capsys.readouterr().out
    for word in ("truth", "recompressed", "head shuffled", "∞", f"{figures.row('full').psnr_db:.2f}", "[odd] brackets"):
        assert word in text
    assert "nan" not in text
    whole = [line for line in text.splitlines() if line.startswith("Not measured: ")]
    assert any("https://" in line and "(sha256 " in line for line in whole), "an address is not broken in two"
    assert max(len(line) for line in text.splitlines() if line not in whole) <= 80


def test_the_table_leaves_out_what_no_row_has(
    random_evaluation: tuple[Evaluation, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    figures, _ = random_evaluation
    rows = tuple(replace(row, lips=None, width_correlation=None) for row in figures.rows)
    print_evaluation(replace(figures, rows=rows, notes=("too few frames",)))
    lines = capsys.readouterr().out.splitlines()
    assert not any(line.startswith(("lip correlation", "lip width", "frames with both")) for line in lines)
    table = [k for k, line in enumerate(lines) if line.startswith(("PSNR, whole", "ms per frame"))]
    assert lines[table[-1] + 1] == "Note: too few frames"


def test_the_sheet_shows_eight_columns(random_evaluation: tuple[Evaluation, Path]) -> None:
    _, folder = random_evaluation
    sheet = cv2.imread(str(folder / "sheet.png"))
    assert sheet.shape[1] == 110 + 8 * 204
    assert sheet.shape[0] > 5 * 200 + 3 * 100


def test_progress_counts_every_picture(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "detect_all", colour_faces)
    seen: list[tuple[int, int]] = []
    evaluate(
        make_random_portrait(clip, has_head=False),
        clip,
        settings=("head",),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(k + 1, 3 * N_HELD_OUT) for k in range(3 * N_HELD_OUT)]


def test_pictures_without_a_face_are_counted(clip: Clip) -> None:
    few = Clip(clip.folder, replace(clip.info, n_train=clip.n_frames - 2), clip.track)
    row = evaluate(make_random_portrait(few, has_head=False), few, settings=("head",)).row(
        "head"
    )  # by MediaPipe itself
    assert row.n_faces_missed == 2
    assert row.lmd_px is None
    assert row.lips is None


@pytest.mark.usefixtures("_colour_faces")
def test_a_portrait_that_saw_the_frames_is_noted(clip: Clip) -> None:
    few = Clip(clip.folder, replace(clip.info, n_train=clip.n_frames - 1), clip.track)
    portrait = make_random_portrait(few, has_head=False)
    cases = (
        ({"clip": "tiny", "train_frames": 10_000}, "has seen some"),
        ({"clip": "other", "train_frames": 3}, "'other'"),
        ({}, "does not say"),
    )
    for record, words in cases:
        too_few, note = evaluate(replace(portrait, record=record), few, settings=("head",)).notes
        assert words in note
        assert too_few == "Fewer than 25 frames (1) cannot show whether lips move along: such lines are left out."


def test_what_does_not_fit_is_refused(clip: Clip, tmp_path: Path) -> None:
    portrait = make_random_portrait(clip)
    with pytest.raises(InputError, match=r"16x16, those of the clip .* are 32x32"):
        evaluate(replace(portrait, camera=clip.camera.resized(16, 16)), clip)
    with pytest.raises(InputError, match="listens to 'hubert'"):
        evaluate(replace(portrait, speech_kind="hubert"), clip)
    with pytest.raises(InputError, match="holds no frame back"):
        evaluate(portrait, Clip(clip.folder, replace(clip.info, n_train=clip.n_frames), clip.track))
    with pytest.raises(InputError, match="got none"):
        evaluate(portrait, clip, settings=())
    with pytest.raises(InputError, match="got head, head"):
        evaluate(portrait, clip, settings=("head", "head"))
    with pytest.raises(InputError, match=r"not as 'sheet.txt'"):
        evaluate(portrait, clip, sheet=tmp_path / "sheet.txt")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("here already")
    with pytest.raises(InputError, match="is a file"):
        evaluate(portrait, clip, frames_dir=tmp_path / "file")


def test_the_command_writes_what_it_is_asked_for(
    clip: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_random_portrait(clip, has_head=False).save(tmp_path / "me.portrait")
    wanted = ["--json", str(tmp_path / "f.json"), "--sheet", str(tmp_path / "s.png"), "--frames", str(tmp_path / "all")]
    code = main(["evaluate", str(tmp_path / "me.portrait"), str(clip.folder), "--settings", "head", *wanted])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "head shuffled" in printed.out
    facts = json.loads((tmp_path / "f.json").read_text())
    assert facts["n_held_out"] == 2  # the papers' split of 19 frames
    assert len(list((tmp_path / "all").iterdir())) == 4
    assert (tmp_path / "s.png").is_file()


def test_the_command_says_what_does_not_fit(clip: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    portrait = replace(make_random_portrait(clip), camera=clip.camera.resized(16, 16))
    portrait.save(tmp_path / "me.portrait")
    code = main(["evaluate", str(tmp_path / "me.portrait"), str(clip.folder), "--json", str(tmp_path / "f.json")])
    assert code == 2
    assert "16x16" in capsys.readouterr().err
    assert not (tmp_path / "f.json").exists()
