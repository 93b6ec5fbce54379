"""How bodies of one meaning are timed against each other: in turns, warmed up, their results compared first."""

import contextlib
import ctypes
import gc
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from loquent.errors import LoquentError
from loquent.ops.dispatch import ENVIRONMENT_VARIABLE, REFERENCE, describe, named_tensors

SHORTEST_S = 0.1
"""A timing lasts about this long at least: short bodies are called several times in it."""
MOST_DIFFERENCE = 1e-2
"""Deviation allowed between competitors, as a share of the largest value: for wrong results, not rounding."""
_MIB = 2**20


@dataclass(frozen=True)
class Competitor:
    """One body; what it returns holds the tensors that are compared."""

    run: Callable[[], object]
    """What is timed."""
    before: Callable[[], object] | None = None
    """Done before every call, outside the clock."""
    under: Callable[[], AbstractContextManager[object]] = nullcontext
    """Surrounds every call, outside the clock."""


@dataclass(frozen=True)
class Case:
    """Something that one or several bodies do."""

    what: str
    """What one call does, with its sizes."""
    work: int | float
    """Units of work in a call ..."""
    unit: str
    """... and what a unit is, in the plural."""
    competitors: Mapping[str, Competitor]
    """By name; the others are compared with the first."""
    threads: int | None = None
    """Threads of PyTorch; None = those the process has."""


@dataclass(frozen=True)
class Figures:
    """What was measured of one competitor; quartiles are the first and the third, over the rounds."""

    seconds: float
    """Of a call: the median."""
    quartiles_s: tuple[float, float]
    """Of the same."""
    per_second: float
    """Units of work a second, at the median."""
    ratio: float
    """How many times as fast as the first competitor in the same round: the median; 1 for the first itself."""
    ratio_quartiles: tuple[float, float]
    """Of the same."""
    difference: float
    """Largest deviation of its results from the first competitor's, as a share of the largest value; 0 for the first."""
    peak_mib: float | None
    """Most memory in MiB that a call added to what was held before; None where that cannot be known."""


def measure(
    case: Case, repeats: int, device: torch.device, tick: Callable[[], None] = lambda: None
) -> dict[str, Figures]:
    """Time the competitors in turns, `repeats` rounds; `tick` is called `repeats` + 2 times.

    Before the clock starts each was called twice: once to compile and to compare results, once for its memory. Every other
    round goes through them backwards.

    Raises:
        LoquentError: a competitor's results differ from the first one's.
    """
    seconds_of: dict[str, list[float]] = {name: [] for name in case.competitors}
    peaks, calls = {}, {}
    with _threads(case.threads):
        differences = _compare(case)
        tick()
        for name, competitor in case.competitors.items():
            peaks[name], seconds = _peak(competitor, device)
            calls[name] = 1 if competitor.before else max(1, math.ceil(SHORTEST_S / seconds))
        tick()
        for number in range(repeats):
            for name in sorted(calls) if number % 2 == 0 else sorted(calls, reverse=True):
                seconds_of[name].append(_time(case.competitors[name], calls[name], device))
            tick()
    first = np.array(next(iter(seconds_of.values())))
    figures = {}
    for name, measured in seconds_of.items():
        low, median, high = _quartiles(np.array(measured))
        slowest, ratio, fastest = _quartiles(first / np.array(measured))
        figures[name] = Figures(
            seconds=median,
            quartiles_s=(low, high),
            per_second=case.work / median,
            ratio=ratio,
            ratio_quartiles=(slowest, fastest),
            difference=differences[name],
            peak_mib=peaks[name],
        )
    return figures


def backends(device: torch.device, *operations: str) -> list[str]:
    """The reference, then the fast backends that these operations would run on for data on `device`; no name = all of them.

    A fast body that its self-test refused, or that the environment rules out, is not among them.
    """
    chosen = {name: choice.backend for name, choice in describe(device).items() if not operations or name in operations}
    return [REFERENCE, *sorted(set(chosen.values()) - {REFERENCE})]


@contextlib.contextmanager
def on_backend(name: str) -> Iterator[None]:
    """Operations inside the ``with`` block run on this backend, as far as they have it."""
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    os.environ[ENVIRONMENT_VARIABLE] = name
    try:
        yield
    finally:
        del os.environ[ENVIRONMENT_VARIABLE]
        if before is not None:
            os.environ[ENVIRONMENT_VARIABLE] = before


@contextlib.contextmanager
def _threads(n: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compare(case: Case) -> dict[str, float]:
    """Call every competitor once, and return how far each is from the first; the first call compiles."""
    wanted = None
    differences = {}
    for name, competitor in case.competitors.items():
        with competitor.under():
            if competitor.before:
                competitor.before()
            result = {part: value.detach().double().cpu() for part, value in named_tensors(competitor.run(), "result")}
        wanted = result if wanted is None else wanted
        differences[name] = 0.0
        for part, truth in wanted.items():
            fits = result[part].shape == truth.shape
            error = _deviation(result[part], truth) if fits else math.inf
            differences[name] = max(differences[name], error)
            if not error <= MOST_DIFFERENCE:
                raise LoquentError(
                    f"{name} does not compute what {next(iter(case.competitors))} computes ({case.what}): its {part} "
                    f"differs by {100 * error:.3g} %, allowed are {100 * MOST_DIFFERENCE:g} %. The speed of wrong results "
                    "says nothing, so nothing was timed. Please report it."
                )
    return differences


def _deviation(values: Tensor, truth: Tensor) -> float:
    """Largest difference, as a share of the largest true value."""
    if truth.numel() == 0:
        return 0.0
    return float((values - truth).abs().max() / truth.abs().max().clamp(min=1e-12))


def _time(competitor: Competitor, calls: int, device: torch.device) -> float:
    """Seconds of a call, as the mean over `calls` of them."""
    with competitor.under():
        if competitor.before:
            competitor.before()
        _wait(device)
        started = time.perf_counter()
        for _ in range(calls):
            competitor.run()
        _wait(device)
        return (time.perf_counter() - started) / calls


def _peak(competitor: Competitor, device: torch.device) -> tuple[float | None, float]:
    """Most memory in MiB that a call adds, None where that cannot be known, and the seconds that it took."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        seconds = _time(competitor, 1, device)
        return (torch.cuda.max_memory_allocated(device) - held) / _MIB, seconds
    ctypes.CDLL(None).malloc_trim(0)  # memory that was freed but kept would hide what the next call takes
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    except OSError:  # as in a container that mounts /proc read-only
        return None, _time(competitor, 1, device)
    held = _resident("VmRSS")
    seconds = _time(competitor, 1, device)
    return max(0, _resident("VmHWM") - held) / _MIB, seconds


def _resident(field: str) -> int:
    """Bytes of this process in memory, now (VmRSS) or at the peak (VmHWM)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float(low), float(median), float(high)
