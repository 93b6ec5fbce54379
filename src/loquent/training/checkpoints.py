"""A training run's state on disk: safetensors for tensors, JSON for the rest, replaced whole again and again."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from loquent.errors import InputError
from loquent.storage import remove_abandoned, write_bytes

RUN = "run.json"
"""What a run was told and, once it is finished, the digest of its portrait; in the run's folder, as the two below."""
CHECKPOINT = "checkpoint.safetensors"
"""The running stage."""
HEAD_DONE = "head.safetensors"
"""The finished head, while the torso trains."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on where it stopped."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write or replace the checkpoint, whole or not at all."""
        # Contiguous clones: safetensors refuses tensors that share memory.
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.tensors.items()}
        remove_abandoned(path)
        # Not save_file: on a full disk it raises an error of its own, without the number that says why.
        write_bytes(path, save(whole, metadata={"facts": json.dumps(self.facts)}))

    @classmethod
    def load(cls, path: Path) -> "Checkpoint | None":
        """The checkpoint at `path`, or None when there is none.

        Raises:
            InputError: the file is damaged.
        """
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
                return cls(tensors, json.loads(file.metadata()["facts"]))
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as cause:
            raise InputError(f"{path} is damaged ({cause}). Delete the folder {path.parent} to train anew.") from cause


def check_same_run(path: Path, mine: dict[str, Any]) -> None:
    """Hold what `path` says of an unfinished run against the run that would go on with it.

    Raises:
        InputError: it is missing or damaged, or another Loquent began that run, or with other settings.
    """
    try:
        theirs = json.loads(path.read_text())
        version = theirs.get("loquent")
        differing = [
            f"{name} ({theirs.get(name)} there, {value} here)" if name in ("seed", "device") else name
            for name, value in mine.items()
            if theirs.get(name) != value
        ]
    except (OSError, ValueError, AttributeError) as cause:
        raise InputError(
            f"{path} is missing or damaged ({cause}), so nothing says which run the checkpoint beside it belongs to. "
            f"Delete the folder {path.parent} to train anew, or choose another --out."
        ) from cause
    if version != mine["loquent"] or "revision" in differing:
        begun = f"Loquent {version}" if version and version != mine["loquent"] else "an earlier Loquent"
        raise InputError(
            f"{path.parent} holds an unfinished run of {begun}, which this Loquent {mine['loquent']} cannot go on with. "
            "Finish it with that version, delete the folder to train anew, or choose another --out."
        )
    if differing:
        raise InputError(
            f"{path.parent} holds an unfinished run with other settings or of another clip: it differs in "
            f"{', '.join(differing)}. Repeat that run's command to finish it, delete the folder to give it up, or choose "
            "another --out."
        )


def pack(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under ``prefix.name``."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unpack(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``prefix.``, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments as named tensors: ``<parameter number>.<state name>``."""
    return {
        f"{number}.{name}": value
        for number, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put copies of moments from :func:`optimiser_tensors` back; learning rates stay as the optimiser has them."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value.clone()  # PyTorch would go on in the tensors it is given
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
