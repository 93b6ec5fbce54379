"""Files that are either whole or not there: every result is written under a temporary name beside its place, then renamed."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.errors import InputError, OutputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors that only writing meets."""
_REFUSED = (*_FULL, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
"""Errors that say, of a place to write to, that it cannot be had."""
TensorKind = tuple[torch.dtype, tuple[int | str, ...]]
"""Type and sizes that a tensor must have, see :func:`check_tensors`."""


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path with the same suffix; on success rename it to `target`, on failure remove it.

    The parent folder is made. A killed process may leave a ``.partial-*`` file or folder behind, never a half `target`; see
    :func:`remove_abandoned`.

    Raises:
        OutputError: the disk is full, or the place cannot be written. What else fails inside the ``with`` block, such as
            reading a file that is not allowed, stays as it is.
    """
    temporary = target.with_name(f".partial-{os.getpid()}-{secrets.token_hex(4)}-{target.name}")
    try:
        with _named(target, lambda cause: cause.errno in _REFUSED):
            target.parent.mkdir(parents=True, exist_ok=True)
        with _named(target, lambda cause: cause.errno in _FULL or _is_below(temporary, cause)):
            yield temporary
        with _named(target, lambda cause: cause.errno in _REFUSED):
            os.replace(temporary, target)
    finally:
        _remove(temporary)


def check_file_place(target: Path, *inputs: Path | None) -> None:
    """Check that the file `target` can be made where it is wanted, before hours are spent on its content.

    Args:
        target: the file to write.
        inputs: files that it is made from and must not replace, whatever links lead to them.

    Raises:
        InputError: a folder is there already, what should be a folder above it is a file, or it is one of the inputs.
    """
    if target.is_dir():
        raise InputError(f"{target} is a folder, but a file is wanted there. Name a file in it, or another place.")
    for source in inputs:
        if source is not None and source.exists() and target.exists() and target.samefile(source):
            raise InputError(f"{target} is read here, and would be replaced by what is written. Name another place.")
    check_folder_place(target.absolute().parent)


def check_json_place(target: Path, *inputs: Path | None) -> None:
    """The same for a report, whose name must end like JSON: another one is a slip, and may be a file that nobody wants to lose.

    Raises:
        InputError: as :func:`check_file_place`, or another ending.
    """
    check_file_place(target, *inputs)
    if target.suffix.lower() != ".json":
        raise InputError(
            f"{target} would become a JSON file, but does not end like one. Name it {target.with_suffix('.json')}."
        )


def check_folder_place(target: Path) -> None:
    """Check that the folder `target` is there or can be made.

    Raises:
        InputError: it, or what should be a folder above it, is a file.
    """
    there = next(folder for folder in (target, *target.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise InputError(f"{there} is a file, but a folder is wanted there. Name another place.")


def remove_abandoned(target: Path) -> None:
    """Remove what processes that were killed left of the file or folder `target`; what belongs to running ones stays."""
    if not target.parent.is_dir():
        return
    for path in target.parent.iterdir():
        made_by = re.fullmatch(r"\.partial-(\d+)-[0-9a-f]{8}-(.+)", path.name)
        if made_by and made_by[2] == target.name and not Path("/proc", made_by[1]).exists():
            _remove(path)


@contextlib.contextmanager
def locked(lock: Path, work: str) -> Iterator[None]:
    """Keep other processes from the same work while the ``with`` block runs; a process that is killed lets go.

    The file `lock` and its folder are made and stay.

    Raises:
        InputError: another process holds it; `work` says what it does and where.
        OutputError: the file cannot be made.
    """
    with _named(lock, lambda cause: cause.errno in _REFUSED):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"Another {work}. Wait for it, or stop it.") from None
        yield


@contextlib.contextmanager
def _named(target: Path, is_about: Callable[[OSError], bool]) -> Iterator[None]:
    """Turn the errors that are about writing `target` into ours."""
    try:
        yield
    except OSError as cause:
        if cause.errno is None or not is_about(cause):
            raise
        raise OutputError(
            f"Cannot write {target}: {os.strerror(cause.errno)}. "
            "Nothing was left half-written; free some space or choose another place."
        ) from cause


def _is_below(folder: Path, cause: OSError) -> bool:
    """Whether the refused file is `folder` itself or lies in it."""
    names = [name for name in (cause.filename, cause.filename2) if isinstance(name, str | bytes | os.PathLike)]
    return cause.errno in _REFUSED and any(Path(os.fsdecode(name)).is_relative_to(folder) for name in names)


def _remove(path: Path) -> None:
    """Remove a file or folder as far as possible; it need not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # e.g. a "folder" on the way that is a file
            path.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a small file whole or not at all.

    `durable` waits until the disk has it, so that a power cut after this call loses nothing. Leave it out for one of many
    files whose loss is noticed and mended anyway.
    """
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def write_json(target: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused."""
    write_bytes(target, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_array(path: Path) -> Float[np.ndarray, "..."]:
    """The finite numbers of a `.npy` file that another program wrote, as float32; nothing in the file is run.

    Raises:
        InputError: it is missing, damaged, holds objects, or values that are not finite.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as cause:
        raise InputError(f"{path} cannot be read as an array ({cause}). Copy it again.") from cause
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu" or values.size == 0:
        raise InputError(f"{path} must hold one array of numbers.")
    bad = ~np.isfinite(values.reshape(len(values) if values.ndim else 1, -1)).all(axis=1)
    if bad.any():
        raise InputError(
            f"{path} holds values that are not numbers (NaN or infinite), first in frame {int(bad.argmax())}. Compute it again."
        )
    return values.astype(np.float32)


def check_tensors(tensors: Mapping[str, Tensor], wanted: Mapping[str, TensorKind]) -> None:
    """Hold the tensors of a file against what such a file promises.

    Args:
        tensors: by name; those that are not wanted are not looked at.
        wanted: type and sizes of each. A word stands for any size above 0, the same wherever the word stands.

    Raises:
        ValueError: one is missing, has another type or size, or holds numbers that are not finite; the message names it.
    """
    sizes: dict[str, int] = {}
    for name, (kind, shape) in wanted.items():
        if name not in tensors:
            raise ValueError(f"it lacks {name!r}")
        found, known = tensors[name], dict(sizes)
        fits = found.dtype == kind and found.ndim == len(shape)
        for wish, size in zip(shape, found.shape, strict=False):
            fits = fits and size > 0 and size == (known.setdefault(wish, size) if isinstance(wish, str) else wish)
        if not fits:
            promised = ", ".join(str(sizes.get(wish, wish)) if isinstance(wish, str) else str(wish) for wish in shape)
            raise ValueError(
                f"{name} must be {_short(kind)} [{promised}], but is {_short(found.dtype)} {list(found.shape)}"
            )
        check_finite(name, found)
        sizes = known


def check_finite(name: str, values: Tensor) -> None:
    """See that a tensor of a file holds neither NaN nor infinity.

    Raises:
        ValueError: it does; the message says `name`.
    """
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"{name} holds numbers that are not finite")


def _short(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def check_frame_ids(name: str, frame_ids: Int[Tensor, "frames"]) -> None:
    """Hold numbers of frames against what they are: places on the timeline from 0, ascending.

    Raises:
        ValueError: they are not; the message says `name`.
    """
    if int(frame_ids[0]) < 0 or bool((frame_ids.diff() <= 0).any()):
        raise ValueError(f"{name} must rise from frame to frame and not be negative")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
