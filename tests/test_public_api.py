"""The public list is pinned, every name resolves, and importing the package does nothing."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import loquent

PUBLIC = {
    "PRESETS": "loquent.training.presets",
    "Clip": "loquent.data.clip",
    "LoquentError": "loquent.errors",
    "Portrait": "loquent.portrait",
    "PrepareConfig": "loquent.config",
    "evaluate": "loquent.evaluation.evaluate",
    "examine": "loquent.prepare.doctor",
    "prepare_clip": "loquent.prepare.steps",
    "render": "loquent.speak",
    "train": "loquent.training.train",
}
HEAVY = ("av", "cv2", "jaxtyping", "mediapipe", "numba", "numpy", "rich", "safetensors", "scipy", "torch", "tyro")
IMPORT_ALL = (
    "import importlib, pkgutil, loquent\n"
    "for module in pkgutil.walk_packages(loquent.__path__, 'loquent.'):\n"
    "    importlib.import_module(module.name)\n"
)


def loaded_after(code: str, names: tuple[str, ...]) -> set[str]:
    """Which of the modules `names` a fresh interpreter has loaded after `code`."""
    report = f"{code}\nimport sys; print('loaded:', *[name for name in {names!r} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(finished.stdout.splitlines()[-1].removeprefix("loaded:").split())


def test_the_public_list_is_pinned_and_sorted() -> None:
    assert set(loquent.__all__) == {*PUBLIC, "__version__"}
    capitals_first = sorted(loquent.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert loquent.__all__ == capitals_first
    assert set(loquent.__all__) <= set(dir(loquent))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_resolves_to_its_home(name: str) -> None:
    home = importlib.import_module(PUBLIC[name])
    value = getattr(loquent, name)
    assert value is getattr(home, "speak" if name == "render" else name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Portrayt'"):
        loquent.Portrayt  # noqa: B018 (the access is the test)


def test_the_version_is_the_installed_one() -> None:
    assert importlib.metadata.version("loquent") == loquent.__version__


def test_the_package_says_that_it_is_typed() -> None:
    assert loquent.__file__ is not None
    assert (Path(loquent.__file__).parent / "py.typed").is_file()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import loquent", HEAVY) == set()


def test_that_test_can_fail() -> None:
    assert {"torch", "numpy", "safetensors"} <= loaded_after("import loquent; loquent.Portrait", HEAVY)


def test_importing_every_module_starts_neither_face_networks_nor_the_gpu() -> None:
    code = f"{IMPORT_ALL}import sys, torch\nassert not torch.cuda.is_initialized()"
    assert loaded_after(code, ("mediapipe", "torchvision", "torchaudio")) == set()
