"""Every error Loquent raises on purpose.

    LoquentError                 the user can do something about it; the command line prints it as one paragraph
    ├── InputError               a file or value given by the user cannot be used
    │   ├── MediaError           a video or sound file cannot be read, or lacks what is needed
    │   ├── ClipError            a clip folder is incomplete, damaged or of another version
    │   └── PortraitError        a portrait file is incomplete, damaged or of another version
    ├── OutputError              a result could not be written (full disk, no permission)
    ├── PreparationError         a step of `prepare` failed on this video
    ├── DivergenceError          training produced values that are not finite and could not be rolled back
    └── DependencyError          an optional package or model file is not installed

Messages say which input, what was wanted, what came instead and what to do.
"""

import importlib
from types import ModuleType


class LoquentError(Exception):
    """Base of all errors that are meant for the user."""


class InputError(LoquentError, ValueError):
    """A file or value given by the user cannot be used."""


class MediaError(InputError):
    """A video or sound file cannot be read, or lacks what is needed."""


class ClipError(InputError):
    """A clip folder is incomplete, damaged or of another version."""


class PortraitError(InputError):
    """A portrait file is incomplete, damaged or of another version."""


class OutputError(LoquentError, OSError):
    """A result could not be written."""


class PreparationError(LoquentError):
    """A step of `prepare` failed on this video."""


class DivergenceError(LoquentError, ArithmeticError):
    """Training produced values that are not finite and could not be rolled back."""


class DependencyError(LoquentError, ImportError):
    """An optional package or model file is not installed."""


def need(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say which command installs it.

    Args:
        module: the importable name, e.g. ``"transformers"``.
        extra: the extra of this package that brings it, e.g. ``"speech"``.

    Raises:
        DependencyError: the package is not installed, or fails to import.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise DependencyError(
            f"This needs the package {module!r}, which cannot be imported ({cause}). "
            f"Install it with: pip install 'loquent[{extra}]'"
        ) from cause
