"""`loquent compare`: every system trains and is measured once, the tables set them beside the published figures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loquent.comparison import compare as comparison
from loquent.comparison.compare import compare, with_steps
from loquent.comparison.published import TABLES
from loquent.comparison.systems import ON_REQUEST, SYSTEMS, System
from loquent.data.clip import Clip, write_track
from loquent.errors import InputError, MediaError
from loquent.evaluation.evaluate import Evaluation
from loquent.evaluation.other_voice import DrivenRow, OtherVoice
from loquent.evaluation.visemes import LipRange, Recall, Visemes
from loquent.fields.kinds import make_head
from loquent.media.audio import write_wav
from loquent.media.images import read_image
from loquent.portrait import Portrait
from loquent.testing import make_tiny_clip
from loquent.training import train as training
from loquent.training.presets import GENEFACE, PAPER, QUICK, R2_TALKER, Preset, ad_nerf


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def few_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "N_CODES", 16)


def small(preset: Preset) -> Preset:
    head = tuple(replace(stage, rays=256, samples=0, patch=min(stage.patch, 16)) for stage in preset.head)
    return with_steps(replace(preset, head=head), 4)


def test_every_row_of_the_tables_is_a_system_that_can_be_made() -> None:
    assert {name for rows in TABLES.values() for name in rows} == set(SYSTEMS)
    made = {}
    for name, system in SYSTEMS.items():
        preset = system.preset(QUICK)
        head = make_head({"condition": preset.condition, "n_codes": 1, **preset.method})
        made[name] = sum(p.numel() for p in head.parameters()), preset.coarse_to_fine
    assert len(set(made.values())) == len(made), "two systems are the same"


def test_systems_bring_what_they_cannot_do_without_and_share_the_budget() -> None:
    assert SYSTEMS["r2_talker"].preset(QUICK) == R2_TALKER
    assert SYSTEMS["geneface"].preset(QUICK) == GENEFACE
    for name in ("er_nerf_joint", "hash_concat_joint"):
        joint = SYSTEMS[name].preset(QUICK)
        assert joint.condition == "audio"
        assert not any(stage.predicted or stage.condition_noise for stage in joint.head), "there are no mouth shapes"
    base = with_steps(QUICK, 70)
    for system in SYSTEMS.values():
        preset = system.preset(base)
        assert sum(stage.steps for stage in preset.head) == 70
        assert sum(stage.share for stage in preset.head) == pytest.approx(sum(stage.share for stage in QUICK.head))
        assert system.preset(replace(QUICK, minutes=3.0)).minutes == 3.0
    assert SYSTEMS["grid_concat"].preset(base) == replace(base, method={"kind": "er_nerf_concat", "backbone": "grid3d"})
    assert set(ON_REQUEST) < set(SYSTEMS)


def test_systems_are_trained_measured_and_written_once(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("er_nerf", "rad_nerf", "mlp_concat", "er_nerf_joint")
    records = compare(clip, tmp_path, small(QUICK), names, device="cpu")
    assert [record["name"] for record in records] == list(names)
    assert [record["head_steps"] for record in records] == [4, 4, 4, 4]
    assert Portrait.load(tmp_path / "rad_nerf.portrait").head.kind == "rad_nerf"
    assert Portrait.load(tmp_path / "rad_nerf.portrait").torso is None
    assert Portrait.load(tmp_path / "er_nerf_joint.portrait").lips is None, "the field hears the sound itself"
    report = (tmp_path / "compare.md").read_text()
    assert "Table 1" in report
    assert "Table 5" in report, "er_nerf is a row of it"
    assert "learned with the field" in report
    measured = records[1]["figures"]["rows"][2]
    assert measured["name"] == "head"
    row = next(line for line in report.splitlines() if line.startswith("| RAD-NeRF |"))
    assert f"| {measured['psnr_db']:.2f} |" in row
    assert "| 33.13 |" in row
    assert read_image(tmp_path / "compare.png").std() > 0
    assert json.loads((tmp_path / "compare.json").read_text()) == json.loads(json.dumps(records))

    def no_training(*_: object, **__: object) -> None:
        raise AssertionError("what is finished must not train again")

    monkeypatch.setattr(comparison, "train", no_training)
    assert compare(clip, tmp_path, small(QUICK), names, device="cpu") == json.loads(json.dumps(records))
    with pytest.raises(AssertionError, match="must not train again"):
        compare(clip, tmp_path, small(QUICK), names, seed=1, device="cpu")


def test_rows_made_elsewhere_or_before_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, out, asked = make_tiny_clip(tmp_path / "clip"), tmp_path / "out", []
    load, measure = Portrait.load, comparison.evaluate

    def evaluate(portrait: Portrait, *rest: Any, **more: Any) -> Evaluation:
        asked.append("measured")
        return measure(portrait, *rest, **more)

    def load_on(path: Path, device: str = "unsaid") -> Portrait:
        asked.append(device)
        return load(path, "cpu")

    def again(clip: Clip, device: str = "cpu") -> list[str]:
        asked.clear()
        compare(clip, out, small(QUICK), ("er_nerf",), device=device)
        return list(asked)

    monkeypatch.setattr(comparison, "evaluate", evaluate)
    monkeypatch.setattr(Portrait, "load", load_on)
    assert again(clip) == ["cpu", "measured"]
    assert again(clip) == []

    def no_training(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(comparison, "train", no_training)
    monkeypatch.setattr(comparison, "__version__", "99")
    assert again(clip) == ["cpu", "measured"], "another version"
    monkeypatch.setattr(comparison, "device_name", lambda device: "another processor")
    assert again(clip) == ["cpu", "measured"], "another device"
    assert again(clip) == []
    monkeypatch.setattr(comparison, "find_device", torch.device)
    with pytest.raises(AssertionError, match="trained again"):
        again(clip, "cuda")
    write_track(clip.folder, replace(clip.track, blink=1 - clip.track.blink))
    with pytest.raises(AssertionError, match="trained again"):
        again(Clip.open(clip.folder))


def test_landmarks_and_ad_nerf_are_rows_and_few_frames_leave_lips_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = make_tiny_clip(tmp_path / "clip", n_frames=44)
    points = long.track.landmarks_px.clone()
    points[:, [14, 17, 84, 314, 87, 317], 1] += long.track.expression[:, :1]
    write_track(long.folder, replace(long.track, landmarks_px=points))
    long = Clip.open(long.folder)
    assert len(long.held_out_frames) == 4

    def narrow(base: Preset) -> Preset:
        return replace(ad_nerf(base), method={"kind": "ad_nerf", "hidden": 8, "n_coarse": 4, "n_fine": 4})

    monkeypatch.setattr(comparison, "SYSTEMS", {**SYSTEMS, "ad_nerf": System("AD-NeRF", narrow)})
    monkeypatch.setattr(training, "N_CODES", 44)
    names, out = ("r2_talker", "ad_nerf"), tmp_path / "out"
    records = compare(long, out, small(QUICK), names, held_out=2, device="cpu")
    assert [record["figures"]["n_held_out"] for record in records] == [2, 2]
    assert all(row["lips"] is None for record in records for row in record["figures"]["rows"])
    assert records[0]["figures"]["lips_from"] == "sound"
    assert [record["head_steps"] for record in records] == [4, 4]
    report = (out / "compare.md").read_text()
    rows = {line.split(" | ")[0]: line for line in report.splitlines() if line.startswith("| ")}
    assert "Only 2 of 4 held-out frames were measured" in report
    assert "Preset `r2_talker`, `ad_nerf`, 4 steps" in report
    assert rows["| R2-Talker"].endswith("| – | – | – |")
    assert rows["| AD-NeRF"].endswith("| 30.75 | 0.103 | 3.345 |")

    def no_training(*_: object, **__: object) -> None:
        raise AssertionError("what is trained must not train again")

    monkeypatch.setattr(comparison, "train", no_training)
    again = compare(long, out, small(QUICK), ("ad_nerf",), device="cpu")
    assert again[0]["figures"]["n_held_out"] == 4, "other frames are measured without training again"
    assert "Only" not in (out / "compare.md").read_text()


def test_a_damaged_record_is_measured_again(clip: Clip, tmp_path: Path) -> None:
    first = compare(clip, tmp_path, small(QUICK), ("er_nerf",), device="cpu")
    (tmp_path / "er_nerf.json").write_text("[1]")
    again = compare(clip, tmp_path, small(QUICK), ("er_nerf",), device="cpu")
    assert again[0]["figures"]["rows"][2]["psnr_db"] == pytest.approx(
        first[0]["figures"]["rows"][2]["psnr_db"], abs=1e-3
    )


def test_the_papers_own_recipe_can_be_compared_too(clip: Clip, tmp_path: Path) -> None:
    records = compare(clip, tmp_path, small(PAPER), ("rad_nerf",), device="cpu")
    assert records[0]["settings"]["preset"]["condition"] == "audio"


def test_unknown_systems_and_files_for_folders_are_refused(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wav2lip"):
        compare(clip, tmp_path, small(QUICK), ("wav2lip",))
    with pytest.raises(InputError, match="--held-out must be"):
        compare(clip, tmp_path, small(QUICK), held_out=-2)
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file"):
        compare(clip, tmp_path / "taken", small(QUICK))


def other_voice(sound: str) -> OtherVoice:
    """Figures as the measurement would give them."""
    lips = Visemes(9, Recall(0.8, 0.3, 0.5), Recall(0.7, 0.2, 0.4), 8, 0.6, 0.1, 7, 0.3, 0.75, 0.5, 12)
    rows = tuple(
        DrivenRow(name, 50, 0, lips, 0.12, 0.9, 0.03, None, sync_confidence=sync, ms_per_frame=20.0)
        for name, sync in (("person", 7.1), ("head", 5.25))
    )
    person = LipRange(0.01, 0.15, 0.0, 0.2)
    return OtherVoice(
        rows=rows,
        notes=("a note",),
        missing={"FID": "it is away"},
        clip="tiny",
        sound=sound,
        phones="heard",
        seconds=2.0,
        height=32,
        width=32,
        person=person,
        device="cpu",
        n_threads=1,
    )


def test_another_sound_adds_table_2_and_is_measured_once(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def measure(portrait: Portrait, _: Clip, sound: Path, phones: Path | None, **__: object) -> OtherVoice:
        asked.append((portrait.head.kind, sound.name))
        return other_voice(sound.name)

    monkeypatch.setattr(comparison, "measure_other_voice", measure)
    for name, level in (("one", 0.1), ("two", 0.2)):
        write_wav(tmp_path / f"{name}.wav", np.full(32_000, level, np.float32), 16_000)
    out, names = tmp_path / "out", ("er_nerf", "mlp_concat")
    compare(clip, out, small(QUICK), names, device="cpu")
    assert "Table 2" not in (out / "compare.md").read_text()
    for _ in range(2):
        records = compare(clip, out, small(QUICK), names, drive=tmp_path / "one.wav", device="cpu")
    assert asked == [("er_nerf", "one.wav"), ("er_nerf_concat", "one.wav")]
    assert records[1]["driven"]["rows"][1]["sync_confidence"] == 5.25
    lines = (out / "compare.md").read_text().partition("Table 2")[2].splitlines()
    rows = {line.split(" | ")[0]: line for line in lines if line.startswith("| ")}
    assert list(rows) == [
        "| system",
        "| person",
        "| ER-NeRF: hashed planes, channel attention",
        "| MLP, concatenated",
    ]
    assert rows["| person"].startswith("| person | 7.10 | – | – | 0.70 (0.20) | 0.80 (0.30) | 0.60 | 0.30 |")
    assert rows["| ER-NeRF: hashed planes, channel attention"].endswith("| 6.242, 6.830 | 6.254, 8.150 |")
    assert rows["| MLP, concatenated"].endswith("| – | – |")
    assert "Not measured: FID; it is away." in lines

    compare(clip, out, small(QUICK), names, drive=tmp_path / "two.wav", device="cpu")
    assert [name for _, name in asked[2:]] == ["two.wav", "two.wav"], "another sound is measured anew"
    with pytest.raises(InputError, match="belongs to --drive"):
        compare(clip, out, small(QUICK), names, phones=tmp_path / "one.wav")
    (tmp_path / "text.wav").write_text("no sound")
    for wrong in ("none.wav", "text.wav"):
        with pytest.raises(MediaError, match=wrong):
            compare(clip, tmp_path / "untouched", small(QUICK), names, drive=tmp_path / wrong)
    assert not (tmp_path / "untouched").exists(), "refused before anything was trained"
