"""Metrics whose weights are missing or damaged say so; the others go on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.errors import InputError
from loquent.evaluation import networks as module
from loquent.evaluation.networks import ALL, BLENDSHAPES, FID, LPIPS_ALEX, open_networks
from loquent.evaluation.weights import ALEXNET, SYNCNET, load_weights, read_tensors
from loquent.pretrained import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def test_an_empty_cache_names_every_file_and_its_place(cache: Path) -> None:
    with open_networks(ALL) as networks:
        assert networks.loaded == {}
        assert set(networks.missing) == set(ALL)
        for words in (ALEXNET.name, ALEXNET.url, ALEXNET.sha256, str(cache / ALEXNET.name)):
            assert words in networks.missing[LPIPS_ALEX]


def test_a_damaged_file_costs_its_own_metric_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / ALEXNET.name).write_bytes(b"half a download")
    monkeypatch.setitem(module._LOADERS, FID, lambda: "a network")
    with open_networks((LPIPS_ALEX, FID)) as networks:
        assert networks.loaded == {FID: "a network"}
        assert "is not the expected alexnet" in networks.missing[LPIPS_ALEX]


def test_weights_are_read_without_running_code(cache: Path) -> None:
    torch.save({"a": torch.ones(2)}, cache / "good.pth")
    assert torch.equal(read_tensors(cache / "good.pth")["a"], torch.ones(2))
    torch.save({"a": Path("code")}, cache / "code.pth")
    with pytest.raises(InputError, match="cannot be read as PyTorch weights"):
        read_tensors(cache / "code.pth")
    torch.save([torch.ones(2)], cache / "list.pth")
    with pytest.raises(InputError, match="no dictionary of tensors"):
        read_tensors(cache / "list.pth")
    with pytest.raises(ImportError, match=SYNCNET.sha256):
        load_weights(SYNCNET)


def test_blendshapes_come_from_the_face_landmarker(monkeypatch: pytest.MonkeyPatch) -> None:
    models = Path(__file__).parents[3] / "shared" / "models"
    if not (models / "face_landmarker.task").is_file():
        pytest.skip("needs ../shared/models, which is not beside this checkout")
    monkeypatch.setenv(CACHE_VARIABLE, str(models))
    with open_networks((BLENDSHAPES,)) as networks:
        assert networks.missing == {}
        shapes = networks.loaded[BLENDSHAPES].shapes(np.zeros((64, 64, 3), np.uint8))
    assert shapes.shape == (52,)
    assert np.isnan(shapes).all()  # nobody is there
