"""The device that computes: by the name a user gives it, and as it calls itself."""

import platform
from pathlib import Path

import torch

from loquent.errors import InputError


def find_device(name: str) -> torch.device:
    """The device called ``"cpu"``, ``"cuda"``, or ``"auto"`` for the best there is.

    Raises:
        InputError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise InputError(f"--device must be cpu, cuda or auto, but is {name!r}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda was asked for, but PyTorch finds no CUDA device here; use --device cpu.")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What the graphics card or processor behind `device` is called, for records of what was measured on it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
