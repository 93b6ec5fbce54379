"""Loquent: a neural radiance field of one person that speaks any audio.

The names below are the whole road in Python; each is imported when it is first used, so ``import loquent`` costs nothing:

    findings = loquent.examine(Path("me.mp4"))
    clip = loquent.prepare_clip(Path("me.mp4"), Path("me_clip"))
    portrait = loquent.train(clip, Path("me.portrait"), loquent.PRESETS["quick"], minutes=8)
    loquent.render(portrait, Path("speech.wav"), Path("film.mp4"))
    figures = loquent.evaluate(portrait, clip)
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loquent.config import PrepareConfig
    from loquent.data.clip import Clip
    from loquent.errors import LoquentError
    from loquent.evaluation.evaluate import evaluate
    from loquent.portrait import Portrait
    from loquent.prepare.doctor import examine
    from loquent.prepare.steps import prepare_clip
    from loquent.speak import speak as render
    from loquent.training.presets import PRESETS
    from loquent.training.train import train

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "Clip",
    "LoquentError",
    "Portrait",
    "PrepareConfig",
    "__version__",
    "evaluate",
    "examine",
    "prepare_clip",
    "render",
    "train",
]

_HOMES = {
    "PRESETS": "loquent.training.presets:PRESETS",
    "Clip": "loquent.data.clip:Clip",
    "LoquentError": "loquent.errors:LoquentError",
    "Portrait": "loquent.portrait:Portrait",
    "PrepareConfig": "loquent.config:PrepareConfig",
    "evaluate": "loquent.evaluation.evaluate:evaluate",
    "examine": "loquent.prepare.doctor:examine",
    "prepare_clip": "loquent.prepare.steps:prepare_clip",
    "render": "loquent.speak:speak",  # a name of its own: `loquent.speak` is the module
    "train": "loquent.training.train:train",
}
"""Module and name of each public name, imported when it is first used (PEP 562)."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'loquent' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
