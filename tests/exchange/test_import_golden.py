"""An ER-NeRF checkpoint, imported, renders the whole frame that the original program rendered (stored golden arrays)."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from original_files import write_data_folder
from torch import Tensor

from loquent.exchange.importer import import_checkpoint
from loquent.portrait import Portrait

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


@pytest.fixture(scope="module")
def gen() -> ModuleType:
    if not GOLDEN.is_dir():
        pytest.skip("needs ../shared/golden, which is not beside this checkout")
    spec = importlib.util.spec_from_file_location("golden_files", GOLDEN / "gen.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frame(gen: ModuleType) -> dict[str, Tensor]:
    with np.load(GOLDEN / "golden_er_head.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files if name != "weights_crc"}


@pytest.fixture(scope="module")
def folder(frame: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    fx, fy, cx, cy = frame["intrinsics"].tolist()
    camera = {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "h": 48, "w": 48}
    return write_data_folder(tmp_path_factory.mktemp("identity"), size=(48, 48), camera=camera)


def picture(portrait: Portrait, frame: dict[str, Tensor]) -> Tensor:
    with torch.inference_mode():
        condition = portrait.head.encode(frame["aud"][None])[0]
    return portrait.render(
        frame["pose"], condition, frame["eye"].reshape(1), background=frame["bg_color"].view(48, 48, 3)
    )


@pytest.mark.parametrize("kind", ["epoch", "best"])
def test_the_frame_of_an_imported_head(
    gen: ModuleType, frame: dict[str, Tensor], folder: Path, tmp_path: Path, kind: str
) -> None:
    gen.write("er_head", str(tmp_path / "ngp.pth"), kind=kind, numpy_stats=kind == "best")
    import_checkpoint(tmp_path / "ngp.pth", folder).save(tmp_path / "a.portrait")
    portrait = Portrait.load(tmp_path / "a.portrait")
    camera = portrait.camera
    assert [camera.fx, camera.fy, camera.cx, camera.cy] == frame["intrinsics"].tolist()
    error = (picture(portrait, frame) - frame["image"].view(48, 48, 3)).abs().max().item()
    print(f"largest error {error:.2e}")
    allowed = json.loads((GOLDEN / "tolerances.json").read_text())["er_head"]["image"]["suggest_atol"]
    assert error <= allowed


def test_the_average_is_nine_tenths_of_the_raw_weights(gen: ModuleType, folder: Path, tmp_path: Path) -> None:
    path = Path(gen.write("er_head", str(tmp_path / "ngp.pth")))
    raw, averaged = (import_checkpoint(path, folder, ema=ema).head.state_dict() for ema in (False, True))
    for name, value in raw.items():
        torch.testing.assert_close(averaged[name], value * 0.9, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["er_head_torso", "rad_head", "rad_head_torso", "r2_head"])
def test_the_other_files_are_read_whole(gen: ModuleType, folder: Path, tmp_path: Path, name: str) -> None:
    """Their golden numbers are kept elsewhere; every trained tensor must arrive, and the picture be one."""
    portrait = import_checkpoint(Path(gen.write(name, str(tmp_path / "ngp.pth"))), folder)
    model = gen.build(name)
    n_trained = sum(value.size for key, value in model.items() if gen.is_param(key))
    n_codes = sum(value.size - value[0].size for key, value in model.items() if key.startswith("individual_codes"))
    fields = [field for field in (portrait.head, portrait.torso) if field is not None]
    n_ours = sum(values.numel() for field in fields for values in field.parameters())
    assert n_ours == n_trained - n_codes
    assert (portrait.torso is not None) == name.endswith("_torso")
    shape = {"er": (1, 8, 29, 16), "rad": (1, 8, 44, 16), "r2": (1, 5, 68, 3)}[name.split("_")[0]]
    inputs = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        condition = portrait.head.encode(inputs)[0]
    shown = portrait.render(portrait.track.world_from_camera[0], condition, torch.tensor([0.37]))
    assert torch.isfinite(shown).all()
    assert shown.std() > 0.05
