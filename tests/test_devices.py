"""Devices by name, and what they call themselves."""

from pathlib import Path

import pytest
import torch

from loquent.devices import device_name, find_device
from loquent.errors import InputError


def test_auto_is_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_cuda, best in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_cuda=has_cuda: has_cuda)
        assert find_device("auto") == torch.device(best)
        assert find_device("cpu") == torch.device("cpu")


def test_what_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"no CUDA device here; use --device cpu"):
        find_device("cuda")
    for name in ("tpu", "", "cuda:7"):
        with pytest.raises(InputError, match="--device must be cpu, cuda or auto"):
            find_device(name)


def test_a_processor_is_called_what_the_system_calls_it() -> None:
    name = device_name(torch.device("cpu"))
    assert name
    facts = Path("/proc/cpuinfo")
    if facts.is_file() and "model name" in facts.read_text():
        assert f": {name}\n" in facts.read_text()
