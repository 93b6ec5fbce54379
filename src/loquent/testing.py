"""Comparisons that tests of several parts share: two bodies of one operation, by value and by gradient."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def assert_values_match(
    got: object, wanted: object, *, rtol: float = 1e-4, atol: float = 1e-5, name: str = "value"
) -> None:
    """Every tensor in `got` equals its counterpart in `wanted` in shape, type and, to a tolerance, value.

    Both may be a tensor, or nested tuples, mappings and dataclasses of tensors.
    """
    ours, theirs = dict(named_tensors(got, name)), dict(named_tensors(wanted, name))
    assert ours.keys() == theirs.keys(), f"{sorted(ours)} are not {sorted(theirs)}"
    assert ours, f"{name} holds no tensor"
    for part, value in ours.items():
        _assert_close(value, theirs[part], rtol, atol, part)


def assert_grads_match(
    body: Callable[..., object],
    reference: Callable[..., object],
    arguments: Mapping[str, Any],
    *,
    rtol: float = 1e-3,
    atol: float = 1e-5,
    seed: int = 0,
) -> None:
    """Two bodies give the same values and, for random upstream gradients, the same gradient of every argument that requires one.

    `atol` counts in units of each gradient's largest reference value. Rows (along the first dimension) that receive a
    gradient from the reference must not be exactly zero, since a tolerance would hide a few missing rows.
    """
    values, gradients = _run(body, arguments, seed)
    wanted_values, wanted_gradients = _run(reference, arguments, seed)
    assert_values_match(values, wanted_values, rtol=rtol, atol=atol)
    assert wanted_gradients, "no argument requires a gradient"
    for name, wanted in wanted_gradients.items():
        got = gradients[name]
        largest = wanted.abs().max().item() if wanted.numel() else 0.0
        _assert_close(got, wanted, rtol, atol * max(largest, 1e-30), f"gradient of {name}")
        if wanted.ndim:
            is_felt = (
                (wanted.abs() > 1e-3 * largest).flatten(1).any(dim=1)
                if wanted.ndim > 1
                else wanted.abs() > 1e-3 * largest
            )
            is_silent = (got == 0).flatten(1).all(dim=1) if got.ndim > 1 else got == 0
            silent = int((is_felt & is_silent).sum())
            assert not silent, f"gradient of {name} is silently zero in {silent} of {len(wanted)} rows"


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
        for field in dataclasses.fields(value):
            yield from named_tensors(getattr(value, field.name), f"{name}.{field.name}")


def _run(
    body: Callable[..., object], arguments: Mapping[str, Any], seed: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Output values, and the gradient of each argument that requires one, on fresh leaves."""
    fresh = {
        name: value.detach().clone().requires_grad_() if isinstance(value, Tensor) and value.requires_grad else value
        for name, value in arguments.items()
    }
    outputs = dict(named_tensors(body(**fresh), "value"))
    generator = torch.Generator().manual_seed(seed)
    upstream = {
        name: torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in outputs.items()
        if value.is_floating_point()
    }
    pulled = {name: value for name, value in outputs.items() if value.requires_grad}
    leaves = {name: value for name, value in fresh.items() if isinstance(value, Tensor) and value.requires_grad}
    gradients = torch.autograd.grad(
        list(pulled.values()), list(leaves.values()), [upstream[name] for name in pulled], allow_unused=True
    )
    for name, gradient in zip(leaves, gradients, strict=True):
        assert gradient is not None, f"{name} receives no gradient"
    return (
        {name: value.detach() for name, value in outputs.items()},
        {name: gradient for name, gradient in zip(leaves, gradients, strict=True) if gradient is not None},
    )


def _assert_close(got: Tensor, wanted: Tensor, rtol: float, atol: float, name: str) -> None:
    torch.testing.assert_close(got, wanted, rtol=rtol, atol=atol, msg=lambda text: f"{name}: {text}")
