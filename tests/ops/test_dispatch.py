"""The choice of backend: by device, by request, and away from a body that is wrong."""

import inspect
import subprocess
import sys
import warnings

import pytest
import torch
from torch import Tensor

from loquent.errors import InputError
from loquent.ops import dispatch
from loquent.ops.dispatch import ENVIRONMENT_VARIABLE, Operation
from loquent.ops.grid_encode import _GRID_ENCODE, _TRIPLANE_ENCODE

CPU = torch.device("cpu")


def doubled(values: Tensor) -> Tensor:
    return values * 2


def wrong_by_a_percent(values: Tensor) -> Tensor:
    return values * 2.02


def wrong_gradient(values: Tensor) -> Tensor:
    return values.detach() + values


def broken(values: Tensor) -> Tensor:
    raise ZeroDivisionError("no such instruction")


def operation(fast: str) -> "Operation[[Tensor], Tensor]":
    made: Operation[[Tensor], Tensor] = Operation(
        f"test_{fast}",
        {"reference": f"{__name__}:doubled", "cpu": f"{__name__}:{fast}"},
        lambda: {"values": torch.arange(1.0, 6.0).requires_grad_()},
    )
    del dispatch._OPERATIONS[made.name]
    return made


@pytest.fixture(autouse=True)
def no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


def test_fast_body_that_agrees_is_used() -> None:
    assert operation("doubled").choice(CPU).backend == "cpu"


@pytest.mark.parametrize(
    ("fast", "reason"),
    [
        ("wrong_by_a_percent", "output differs by"),
        ("wrong_gradient", "gradient of values differs"),
        ("broken", "ZeroDivisionError: no such instruction"),
        ("absent", "AttributeError"),
    ],
)
def test_fast_body_that_disagrees_is_refused_loudly_once(fast: str, reason: str) -> None:
    refused = operation(fast)
    with pytest.warns(RuntimeWarning, match=reason):
        body = refused.body(CPU)
    assert body is doubled
    assert reason in refused.choice(CPU).why
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refused.body(CPU) is doubled


def test_request_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = operation("doubled")
    assert chosen.choice(CPU).backend == "cpu"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "reference")
    assert chosen.choice(CPU).backend == "reference"
    assert ENVIRONMENT_VARIABLE in chosen.choice(CPU).why


def test_request_that_cannot_be_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "gpu")
    with pytest.raises(InputError, match="cannot run test_doubled on a cpu device; possible here: reference, cpu"):
        operation("doubled").body(CPU)


def test_device_without_a_fast_body() -> None:
    choice = operation("doubled").choice(torch.device("meta"))
    assert choice.backend == "reference"
    assert "no fast body for meta devices" in choice.why


def test_self_test_runs_in_inference_mode() -> None:
    with torch.inference_mode():
        assert operation("doubled").choice(CPU).backend == "cpu"


def test_registered_operations_pass_and_say_why() -> None:
    described = dispatch.describe()
    for name in ("grid_encode", "triplane_encode"):
        assert described[name].backend == "cpu"
        assert "self-test against the reference passed" in described[name].why


@pytest.mark.parametrize("encode", [_GRID_ENCODE, _TRIPLANE_ENCODE], ids=lambda op: op.name)
def test_bodies_share_one_signature(encode: "Operation[..., Tensor]") -> None:
    bodies = [encode._load(backend) for backend in encode.bodies]
    names = [list(inspect.signature(body).parameters) for body in bodies]
    assert names[0] == names[1]


def test_importing_operations_loads_no_numba() -> None:
    program = (
        "import sys, loquent.ops.grid_encode, loquent.ops.directions, loquent.fields.er_nerf, loquent.fields.torso\n"
        "sys.exit('numba' in sys.modules or any(name.startswith('loquent.ops.cpu') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_read_only_install_compiles_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    from loquent.compilation import kernel

    original = numba.njit

    def no_cache(*args: object, **options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return original(*args, **options)

    monkeypatch.setattr(numba, "njit", no_cache)

    def three(x):  # type: ignore[no-untyped-def]
        return x * 3

    assert kernel(three)(4) == 12
