"""`loquent compare`: every system trains and is measured once, the tables set them beside the published figures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loquent import compare as comparison
from loquent.compare import SYSTEMS, TABLES, compare, with_steps
from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.fields.kinds import make_head
from loquent.media.images import read_image
from loquent.portrait import Portrait
from loquent.testing import make_tiny_clip
from loquent.training import train as training
from loquent.training.presets import PAPER, QUICK, Preset


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
    counts = {
        name: sum(p.numel() for p in make_head({"condition": "expression", "n_codes": 1, **system.method}).parameters())
        for name, system in SYSTEMS.items()
    }
    assert len(set(counts.values())) == len(counts), "two systems are the same network"


def test_systems_are_trained_measured_and_written_once(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("er_nerf", "rad_nerf", "mlp_concat")
    records = compare(clip, tmp_path, small(QUICK), names, device="cpu")
    assert [record["name"] for record in records] == list(names)
    assert [record["head_steps"] for record in records] == [4, 4, 4]
    assert Portrait.load(tmp_path / "rad_nerf.portrait").head.kind == "rad_nerf"
    assert Portrait.load(tmp_path / "rad_nerf.portrait").torso is None
    report = (tmp_path / "compare.md").read_text()
    assert "Table 1" in report
    assert "Table 5" in report, "er_nerf is a row of it"
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
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file"):
        compare(clip, tmp_path / "taken", small(QUICK))
