"""The portrait file: a safetensors file whose tensors are the fields' and the clip's, and whose metadata key ``loquent`` holds
a JSON text with sizes, camera, kind of speech features, training record and licences (docs/data-format.md).

Here is what such a file promises and what older ones looked like; `loquent.portrait_parts` makes the object of it.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from loquent.errors import InputError, PortraitError
from loquent.storage import (
    TensorKind,
    check_file_place,
    check_finite,
    check_frame_ids,
    check_tensors,
    remove_abandoned,
    write_bytes,
)

FORMAT = "loquent.portrait"
VERSION = 6
"""What is written. All earlier ones are read as well, but for those named at `_FIRST_LISTENING`: 1 knew only ER-NeRF's fields,
always with a torso; before 5 lips were predicted by linear regressions alone."""
_FIRST_LISTENING = 3
"""Earlier portraits whose lips are predicted from sound hear longer windows, and are refused."""
_FIRST_WITH_BROWS = 4
"""Before, the eye condition was one number."""
_FIRST_WITH_PARTS = 6
"""Before, windows of sound were compared as wholes, now each description in them by itself: one description is the same."""
_ANSWERS = ("lips.answers", "landmarks.predictor.answers")
_FROM_CLIP: dict[str, TensorKind] = {
    "background": (torch.uint8, ("rows", "columns", 3)),
    "track.world_from_camera": (torch.float32, ("frames", 4, 4)),
    "track.eye": (torch.float32, ("frames", "eye_width")),
    "track.frame_ids": (torch.int64, ("frames",)),
}
"""Type and sizes of what a portrait takes from its clip."""
_BASIS: dict[str, TensorKind] = {
    "landmark_basis.centre": (torch.float32, ("points", 3)),
    "landmark_basis.unit": (torch.float32, ("points", 3)),
    "landmark_basis.limit": (torch.float32, ("points", 3)),
}
"""Type and sizes of what every landmark basis has."""
_OWN_BASIS: dict[str, TensorKind] = {
    **_BASIS,
    "landmark_basis.mean_face": (torch.float32, (478, 3)),
    "landmark_basis.numbers": (torch.int64, ("points",)),
}
"""The same of one that was measured here, not by another program."""


def is_portrait_file(path: Path) -> bool:
    """Whether a file was written as a portrait, by whichever version and for whatever field."""
    try:
        with safe_open(path, framework="pt") as file:
            _facts(path, file)
    except (SafetensorError, OSError, PortraitError):
        return False
    return True


def check_portrait_place(target: Path, *inputs: Path | None) -> None:
    """Check that a portrait can be written to `target`, where at most another portrait is replaced.

    Args:
        target: the file to write.
        inputs: files that it is made from and must not replace.

    Raises:
        InputError: see `loquent.storage.check_file_place`, or it is a file of another kind.
    """
    check_file_place(target, *inputs)
    if target.is_file() and target.stat().st_size > 0 and not is_portrait_file(target):
        raise InputError(
            f"{target} exists and is no portrait, so it is left alone. Name another file with --out, or remove it."
        )


def read_portrait_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts and tensors of a portrait file, those of older versions in today's form.

    Raises:
        PortraitError: the file is missing, damaged, of another kind, or from a newer Loquent.
    """
    facts, tensors = _read(path)
    with telling_damage(path):
        if facts["version"] < _FIRST_WITH_BROWS:
            tensors = {**tensors, "track.eye": tensors["track.eye"][:, None]}
        if facts["version"] < _FIRST_WITH_PARTS:
            tensors = {name: value[None] if name in _ANSWERS else value for name, value in tensors.items()}
        check_tensors(tensors, _FROM_CLIP)
        check_frame_ids("track.frame_ids", tensors["track.frame_ids"])
        if any(name.startswith("landmark_basis.") for name in tensors):
            check_tensors(tensors, _OWN_BASIS if "landmark_basis.mean_face" in tensors else _BASIS)
        for name, values in tensors.items():
            check_finite(name, values)
    return facts, tensors


def write_portrait_file(path: Path, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a portrait file, whole or not at all; format and version are added to `facts`."""
    described = {"format": FORMAT, "version": VERSION, **facts}
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    remove_abandoned(path)
    # Not save_file: on a full disk it raises an error of its own, without the number that says why.
    write_bytes(path, save(whole, metadata={"loquent": json.dumps(described)}))


@contextlib.contextmanager
def telling_damage(path: Path) -> Iterator[None]:
    """Turn what wrong facts and tensors raise into one paragraph about the file.

    Raises:
        PortraitError: the ``with`` block met something missing or of another size, or raised one itself, which stays as it is.
    """
    try:
        yield
    except PortraitError:  # such as of older speech features: nothing is damaged
        raise
    except KeyError as cause:
        raise PortraitError(f"The portrait {path} is damaged: it lacks {cause}. Copy or train it again.") from cause
    except (AttributeError, TypeError, ValueError, RuntimeError) as cause:
        # One paragraph, also where PyTorch lists each tensor on a line of its own.
        reason = " ".join(str(cause).split()).rstrip(".")
        raise PortraitError(f"The portrait {path} is damaged: {reason}. Copy or train it again.") from cause


def _facts(path: Path, file: Any) -> dict[str, Any]:
    """The description in an opened portrait file, of any version."""
    try:
        facts = json.loads((file.metadata() or {})["loquent"])
    except (KeyError, json.JSONDecodeError, RecursionError) as cause:
        raise PortraitError(f"{path} is not a portrait file: it lacks the description Loquent writes.") from cause
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise PortraitError(f"{path} is not a portrait file: it lacks the format {FORMAT!r}.")
    return facts


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if path.is_dir():
        raise PortraitError(f"{path} is a folder, not a portrait file. Name the file that `loquent train` wrote.")
    if not path.is_file():
        raise PortraitError(f"The portrait {path} does not exist. Make one with `loquent train CLIP --out {path}`.")
    try:
        with safe_open(path, framework="pt") as file:
            facts = _facts(path, file)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as cause:
        reason = str(cause).removeprefix("Error while deserializing header: ")
        raise PortraitError(
            f"{path} is not a portrait file, or is cut off or damaged ({reason}). Name one that `loquent train` wrote; the "
            "portrait comes before what it works on: `loquent render PORTRAIT SOUND`."
        ) from cause
    if not isinstance(facts.get("version"), int) or facts["version"] > VERSION:
        raise PortraitError(
            f"The portrait {path} has version {facts.get('version')}; this Loquent reads up to {VERSION}. Update Loquent."
        )
    if facts["version"] < _FIRST_LISTENING and facts.get("lips"):
        raise PortraitError(
            f"The portrait {path} was trained by an earlier Loquent, whose lips heard otherwise. Train it again."
        )
    return facts, tensors
