"""Pretrained files too large or too young to come with the wheels: where they come from, and the folder they are kept in.

Nothing here downloads anything: users put files there, and errors say which and where.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loquent.errors import DependencyError, InputError
from loquent.storage import file_digest

CACHE_VARIABLE: Final = "LOQUENT_CACHE"
"""Environment variable that names the cache folder."""


@dataclass(frozen=True)
class ModelFile:
    """One file of pretrained weights."""

    name: str
    """File name in the cache folder."""
    url: str
    """Where it is published."""
    sha256: str
    """Digest of the file; another content is refused. Empty where none is known: then the content is not checked."""
    licence: str
    """Licence and owner, shown to the user."""
    meaning: str
    """What it does, in one line."""


def cache_folder() -> Path:
    """``$LOQUENT_CACHE``, else ``loquent`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; the folder may not exist yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "loquent"


def cached_model(model: ModelFile) -> Path | None:
    """The file if it is in the cache and whole, else None; nothing is downloaded.

    Raises:
        InputError: a file of that name is there but its content is another one (half a download, another version).
    """
    path = cache_folder() / model.name
    if not path.is_file():
        return None
    digest = file_digest(path)
    if model.sha256 and digest != model.sha256:
        raise InputError(
            f"{path} is not the expected {model.name}: its sha256 is {digest}, wanted was {model.sha256}. "
            f"Delete it, or put there the file from {model.url}."
        )
    return path


def need_model(model: ModelFile) -> Path:
    """The file from the cache.

    Raises:
        DependencyError: it is not there; the message says where it is published and where to put it.
        InputError: the cached file has another content.
    """
    cached = cached_model(model)
    if cached is None:
        digest = f" (sha256 {model.sha256})" if model.sha256 else ""
        raise DependencyError(
            f"the file {model.name} ({model.meaning}; {model.licence}) is not in the model cache: download {model.url}{digest} "
            f"and put it at {cache_folder() / model.name}"
        )
    return cached


__all__ = ["CACHE_VARIABLE", "ModelFile", "cache_folder", "cached_model", "need_model"]
