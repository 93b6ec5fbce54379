"""Which body runs an operation, and why.

Every hot operation has a plain PyTorch body in `ops/reference` (its definition, and the fallback on any device) and may have
fast ones: Numba in `ops/cpu`; a Triton body would be one more name in `FAST_BACKENDS` and one more entry in `bodies`.
The fast body is chosen by the device of the data. At first use it is compared with the reference on a small example, values and
gradients; if it differs or does not run, the reference takes over with a warning, and that is remembered.
`LOQUENT_BACKEND=reference` forces the reference.
"""

import dataclasses
import importlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

from loquent.errors import InputError

ENVIRONMENT_VARIABLE = "LOQUENT_BACKEND"
REFERENCE = "reference"
FAST_BACKENDS: Mapping[str, str] = {"cpu": "cpu"}
"""The fast backend of each kind of device."""

_SELF_TEST_TOLERANCE = 1e-3
"""Deviation allowed in the self-test, as a share of the largest reference value: for wrong results, not rounding."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Choice:
    """What runs an operation on one kind of device."""

    backend: str
    """"reference", or the name of a fast backend."""
    why: str
    """The reason, as a sentence for warnings and bug reports."""


@dataclass(eq=False)
class Operation(Generic[Arguments, Result]):
    """One operation with its bodies, all of the same signature, named "module:function" and imported when first needed."""

    name: str
    """Name of the public function."""
    bodies: Mapping[str, str]
    """Backend -> "module:function"; must hold "reference"."""
    example: Callable[[], dict[str, Any]]
    """Makes small CPU arguments for the self-test; gradients are compared for tensors that require them."""
    _chosen: dict[tuple[str, str], tuple[Choice, Callable[Arguments, Result]]] = field(default_factory=dict, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    def __post_init__(self) -> None:
        _OPERATIONS[self.name] = self

    def body(self, device: torch.device) -> Callable[Arguments, Result]:
        """The function that runs this operation for data on `device`."""
        return self._choose(device)[1]

    def choice(self, device: torch.device) -> Choice:
        """Which backend that is, and why."""
        return self._choose(device)[0]

    def _choose(self, device: torch.device) -> tuple[Choice, Callable[Arguments, Result]]:
        forced = os.environ.get(ENVIRONMENT_VARIABLE, "")
        key = (device.type, forced)
        if key not in self._chosen:
            with self._lock:
                if key not in self._chosen:
                    self._chosen[key] = self._decide(device, forced)
        return self._chosen[key]

    def _decide(self, device: torch.device, forced: str) -> tuple[Choice, Callable[Arguments, Result]]:
        reference = self._load(REFERENCE)
        if forced == REFERENCE:
            return Choice(REFERENCE, f"{ENVIRONMENT_VARIABLE}={REFERENCE} asks for it"), reference
        fast = FAST_BACKENDS.get(device.type)
        if forced and forced != fast:
            possible = [REFERENCE] + ([fast] if fast else [])
            raise InputError(
                f"{ENVIRONMENT_VARIABLE}={forced} cannot run {self.name} on a {device.type} device; "
                f"possible here: {', '.join(possible)}. Unset the variable to let Loquent choose."
            )
        if fast is None or fast not in self.bodies:
            return Choice(REFERENCE, f"{self.name} has no fast body for {device.type} devices"), reference
        try:
            body = self._load(fast)
            fault = _first_difference(reference, body, self.example)
        except Exception as error:  # whatever stops a fast body, the reference can still run
            fault = f"it failed with {type(error).__name__}: {error}"
        if fault is None:
            return Choice(fast, f"data is on a {device.type} device; self-test against the reference passed"), body
        why = f"the {fast} body of {self.name} was refused at its self-test: {fault}"
        warnings.warn(f"{why}. The slower reference body is used instead.", RuntimeWarning, stacklevel=2)
        return Choice(REFERENCE, why), reference

    def _load(self, backend: str) -> Callable[Arguments, Result]:
        module, _, function = self.bodies[backend].partition(":")
        body: Callable[Arguments, Result] = getattr(importlib.import_module(module), function)
        return body


_OPERATIONS: dict[str, Operation[Any, Any]] = {}


def describe(device: torch.device | str = "cpu") -> dict[str, Choice]:
    """The backend of every operation imported so far for data on `device`, and the reason; runs outstanding self-tests."""
    return {name: _OPERATIONS[name].choice(torch.device(device)) for name in sorted(_OPERATIONS)}


def named_tensors(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors inside a result, each with a name that says where it was."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from named_tensors(part, f"{name}[{key!r}]")
    elif isinstance(value, tuple | list):
        for i, part in enumerate(value):
            yield from named_tensors(part, f"{name}[{i}]")
    elif dataclasses.is_dataclass(value):
        for part_field in dataclasses.fields(value):
            yield from named_tensors(getattr(value, part_field.name), f"{name}.{part_field.name}")


def _first_difference(
    reference: Callable[..., Any], body: Callable[..., Any], example: Callable[[], dict[str, Any]]
) -> str | None:
    """What differs between two bodies on the example, or None."""
    wanted, got = _outcome(reference, example), _outcome(body, example)
    if wanted.keys() != got.keys():
        return f"it gives {sorted(got)} where the reference gives {sorted(wanted)}"
    for name, truth in wanted.items():
        if truth.shape != got[name].shape:
            return f"{name} has shape {tuple(got[name].shape)} where the reference gives {tuple(truth.shape)}"
        if truth.numel() == 0:
            continue
        error = (got[name].double() - truth.double()).abs().max().item()
        allowed = _SELF_TEST_TOLERANCE * max(truth.abs().max().item(), 1e-6)
        if not error <= allowed:
            return f"{name} differs by {error:.3g} (allowed {allowed:.3g})"
    return None


@torch.inference_mode(False)
def _outcome(body: Callable[..., Any], example: Callable[[], dict[str, Any]]) -> dict[str, Tensor]:
    """Output tensors of a body, and the gradients of a fixed random projection of them."""
    with torch.enable_grad():
        arguments = example()
        outputs = dict(named_tensors(body(**arguments), "output"))
        leaves = {name: value for name, value in arguments.items() if isinstance(value, Tensor) and value.requires_grad}
        outcome = {name: value.detach() for name, value in outputs.items()}
        generator = torch.Generator().manual_seed(0)
        projection = torch.zeros((), dtype=torch.float64)
        for value in outputs.values():
            if value.requires_grad:
                projection = projection + (value.double() * torch.randn(value.shape, generator=generator)).sum()
        if leaves:
            gradients = torch.autograd.grad(projection, list(leaves.values()), allow_unused=True)
            for name, gradient in zip(leaves, gradients, strict=True):
                outcome[f"gradient of {name}"] = torch.zeros(()) if gradient is None else gradient
    return outcome
