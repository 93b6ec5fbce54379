"""A `.pth` file of the original programs, read without running anything in it."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loquent.errors import InputError
from loquent.portrait_file import is_portrait_file

_BUFFERS = ("aabb_train", "aabb_infer", "density_grid", "density_bitfield", "density_grid_torso", "step_counter")
"""Tensors of a model that are not trained, besides the offsets of its grids."""
_SCALAR_DTYPES = (np.float64, np.float32, np.int64, np.int32, np.bool_)
_HOW_TO = "Wanted is a checkpoint of ER-NeRF, RAD-NeRF or R2-Talker such as ngp_ep0028.pth or ngp.pth."

_UNREADABLE = f"cannot be read as a checkpoint: it is cut off, damaged or of another kind. {_HOW_TO}"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says that matters for rendering."""

    path: Path
    tensors: Mapping[str, Tensor]
    """The model by the names the program gave, on the CPU; trained tensors in float32."""
    global_step: int
    """Training steps done."""

    @classmethod
    def read(cls, path: Path, *, ema: bool = False) -> "Checkpoint":
        """Read a checkpoint.

        Args:
            path: a ``.pth`` file.
            ema: take the running average of the weights, which only per-epoch files hold. The originals evaluate the raw
                weights, whatever the file (SPEC 4.3).

        Raises:
            InputError: the file is missing, cut off, not a checkpoint, holds code instead of tensors, holds values that are
                not finite, or lacks the average that was asked for.
        """
        state = _load(path)
        model = state.get("model") if isinstance(state, dict) else None
        if not isinstance(model, dict) or not model or not all(isinstance(v, Tensor) for v in model.values()):
            raise InputError(f"{path} is not a checkpoint of those programs: it holds no model's tensors. {_HOW_TO}")
        tensors = dict(model)
        if ema:
            tensors |= _averaged(path, state, tensors)
        for name, value in tensors.items():
            if _is_trained(name):
                if not value.is_floating_point() or not bool(torch.isfinite(value).all()):
                    raise InputError(
                        f"{path} cannot be used: its weights {name} are not all finite numbers. Take an earlier checkpoint."
                    )
                tensors[name] = value.detach().float()
        step = state.get("global_step", 0)
        return cls(path, tensors, step if isinstance(step, int) else 0)

    def take(self, name: str) -> Tensor:
        """One tensor by its name.

        Raises:
            InputError: it is not there.
        """
        if name not in self.tensors:
            raise InputError(
                f"{self.path} is incomplete or of another version of its program: it lacks {name}. {_HOW_TO}"
            )
        return self.tensors[name]

    def renamed(self, names: Mapping[str, str]) -> dict[str, Tensor]:
        """The tensors under each of the prefixes `names`, with those prefixes replaced."""
        return {
            ours + name.removeprefix(theirs): value
            for theirs, ours in names.items()
            for name, value in self.tensors.items()
            if name == theirs or name.startswith(theirs + ".")
            if not name.endswith(".offsets")
        }


def _load(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"The checkpoint {path} does not exist. {_HOW_TO}")
    if is_portrait_file(path):
        raise InputError(
            f"{path} is a portrait of Loquent already: `loquent render {path} SOUND` makes it speak. {_HOW_TO}"
        )
    content = io.BytesIO(path.read_bytes())  # read once: what was judged is what is loaded
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(content, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as cause:
        reason = str(cause)
        if "Unsupported" in reason or "GLOBAL" in reason or "global" in reason:
            raise InputError(
                f"{path} holds more than tensors and numbers: to load it, Python code named inside it would have to run, which "
                f"Loquent refuses. {_HOW_TO}"
            ) from cause
        raise InputError(f"{path} {_UNREADABLE}") from cause
    except (RuntimeError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError, OSError) as cause:
        raise InputError(f"{path} {_UNREADABLE}") from cause


def _numpy_scalars() -> list[Any]:
    """What plain numbers of NumPy are pickled as: runs that rank their checkpoints by PSNR store such."""
    scalar = np.core.multiarray.scalar  # type: ignore[attr-defined]
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(kind)) for kind in _SCALAR_DTYPES),
    ]


def _is_trained(name: str) -> bool:
    return name not in _BUFFERS and not name.endswith(".offsets")


def _averaged(path: Path, state: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The running average by name: it is stored as a list in the order of the model's trained tensors."""
    ema = state.get("ema")
    shadow = ema.get("shadow_params") if isinstance(ema, dict) else None
    if not isinstance(shadow, list):
        raise InputError(f"{path} holds no running average of the weights; only per-epoch files do. Leave out --ema.")
    names = [name for name in tensors if _is_trained(name)]
    fits = len(names) == len(shadow) and all(
        isinstance(average, Tensor) and average.shape == tensors[name].shape
        for name, average in zip(names, shadow, strict=True)
    )
    if not fits:
        raise InputError(f"{path} holds a running average that does not fit its model. Leave out --ema.")
    return dict(zip(names, shadow, strict=True))
