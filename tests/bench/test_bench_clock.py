"""How competitors are timed: in turns, on the same work, wrong results refused. The clock here is one that tests wind."""

import os
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from loquent.bench import clock
from loquent.bench.clock import Case, Competitor, backends, measure, on_backend
from loquent.errors import LoquentError
from loquent.ops.dispatch import ENVIRONMENT_VARIABLE

CPU = torch.device("cpu")


class Clock:
    """A clock that only stands still or is wound on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def takes(self, name: str, *seconds: float, value: float = 1.0) -> Callable[[], torch.Tensor]:
        """A body whose calls take `seconds`, one after the other; the last again and again."""
        left = list(seconds)

        def run() -> torch.Tensor:
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return torch.tensor([value, 2.0])

        return run


@pytest.fixture
def wound(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: made.now))
    return made


def test_medians_quartiles_and_ratios_are_those_of_the_rounds(wound: Clock) -> None:
    """Two calls before the clock starts, then five rounds; the ratio is taken in each round, not of the medians."""
    slow = Competitor(wound.takes("slow", 9, 9, 4, 8, 8, 12, 100))
    fast = Competitor(wound.takes("fast", 90, 90, 1, 4, 1, 3, 50))
    figures = measure(Case("", 16, "steps", {"slow": slow, "fast": fast}), 5, CPU)
    assert figures["slow"].seconds == 8
    assert figures["slow"].quartiles_s == (8, 12)
    assert figures["slow"].per_second == 2
    assert figures["slow"].ratio == 1
    assert figures["fast"].seconds == 3
    assert figures["fast"].ratio == 4  # of 4, 2, 8, 4, 2; that of the medians would be 8/3
    assert figures["fast"].ratio_quartiles == (2, 4)


def test_competitors_take_turns_from_both_ends(wound: Clock) -> None:
    bodies = {name: Competitor(wound.takes(name, 1.0)) for name in "abc"}
    measure(Case("", 1, "calls", bodies), 3, CPU)
    assert "".join(wound.order) == "abc" + "abc" + "abc" + "cba" + "abc"


def test_short_calls_are_timed_together_and_long_ones_alone(wound: Clock) -> None:
    short, long = Competitor(wound.takes("s", clock.SHORTEST_S / 8)), Competitor(wound.takes("l", clock.SHORTEST_S * 2))
    figures = measure(Case("", 1, "calls", {"long": long, "short": short}), 1, CPU)
    assert wound.order.count("s") == 2 + 8
    assert wound.order.count("l") == 2 + 1
    assert figures["short"].seconds == pytest.approx(clock.SHORTEST_S / 8)
    assert figures["short"].ratio == pytest.approx(16)


def test_what_comes_before_a_call_is_not_timed(wound: Clock) -> None:
    def go_back() -> None:
        wound.order.append("before")
        wound.now += 1000

    body = Competitor(wound.takes("run", clock.SHORTEST_S / 8), before=go_back)
    figures = measure(Case("", 1, "calls", {"body": body}), 2, CPU)
    assert wound.order == ["before", "run"] * 4
    assert figures["body"].seconds == pytest.approx(clock.SHORTEST_S / 8)


def test_wrong_results_are_refused_and_rounding_is_not(wound: Clock) -> None:
    right = Competitor(wound.takes("right", 1.0))
    rounded = Competitor(wound.takes("rounded", 1.0, value=1.002))
    figures = measure(Case("", 1, "calls", {"right": right, "rounded": rounded}), 1, CPU)
    assert figures["right"].difference == 0
    assert figures["rounded"].difference == pytest.approx(0.001, rel=1e-3)  # 0.002 of a largest value of 2
    wrong = Competitor(wound.takes("wrong", 1.0, value=1.2))
    with pytest.raises(LoquentError, match=r"wrong does not compute what right computes .* differs by 10 %"):
        measure(Case("", 1, "calls", {"right": right, "wrong": wrong}), 1, CPU)
    longer = Competitor(lambda: torch.ones(3))
    with pytest.raises(LoquentError, match="longer does not compute"):
        measure(Case("", 1, "calls", {"right": right, "longer": longer}), 1, CPU)
    nan = Competitor(lambda: torch.full((2,), torch.nan))
    with pytest.raises(LoquentError, match="nan does not compute"):
        measure(Case("", 1, "calls", {"right": right, "nan": nan}), 1, CPU)


def test_memory_is_what_a_call_adds() -> None:
    def hungry() -> torch.Tensor:
        return torch.from_numpy(np.ones(64 * 2**20, np.uint8)[:3].copy())

    bodies = {"frugal": Competitor(lambda: torch.ones(3)), "hungry": Competitor(hungry)}
    figures = measure(Case("", 1, "calls", bodies), 1, CPU)
    frugal, most = figures["frugal"].peak_mib, figures["hungry"].peak_mib
    if frugal is None or most is None:
        pytest.skip("this kernel does not let a process reset its peak")
    assert frugal < 16
    assert 60 < most < 80


def test_threads_are_those_of_the_case_and_come_back() -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    def run() -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return torch.ones(1)

    torch.set_num_threads(2)
    try:
        measure(Case("", 1, "calls", {"body": Competitor(run, lambda: None)}, threads=1), 1, CPU)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_backend_is_asked_for_inside_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    assert backends(CPU, "triplane_encode") == ["reference", "cpu"]
    with on_backend("reference"):
        assert backends(CPU, "triplane_encode") == ["reference"]
        with on_backend("cpu"):
            assert backends(CPU, "triplane_encode") == ["reference", "cpu"]
        assert os.environ[ENVIRONMENT_VARIABLE] == "reference"
    assert ENVIRONMENT_VARIABLE not in os.environ
