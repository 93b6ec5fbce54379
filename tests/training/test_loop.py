"""The loop of a stage, with a trainer whose losses are written down beforehand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from loquent.errors import DivergenceError
from loquent.progress import Progress
from loquent.training.budget import Budget
from loquent.training.loop import MAX_ROLLBACKS, WARM_UP_STEPS, run_stage


class Scripted:
    """A trainer that learns nothing; the loss of a step is a function of its number, counted without going back."""

    def __init__(self, loss: Callable[[int], float]) -> None:
        self.rate_factor = 1.0
        self.loss = loss
        self.n_steps = self.n_restored = 0

    def step(self, stage: Any, progress: float) -> dict[str, float]:
        self.n_steps += 1
        return {"loss": self.loss(self.n_steps), "psnr": 20.0}

    def tensors(self) -> dict[str, Tensor]:
        return {"nothing": torch.zeros(1)}

    def facts(self) -> dict[str, Any]:
        return {}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.n_restored += 1


def run(trainer: Scripted, budget: Budget, folder: Path) -> None:
    curves = SummaryWriter(str(folder / "curves"))
    try:
        run_stage("head", 0, None, trainer, budget, folder, curves)
    finally:
        curves.close()


def test_a_stage_resumed_late_goes_on_and_still_notices_a_loss_that_explodes(tmp_path: Path) -> None:
    calm = Scripted(lambda _: 0.01)
    budget = Budget(steps=600, done_steps=300)
    run(calm, budget, tmp_path)
    assert budget.done_steps == 600
    assert calm.n_restored == 0

    jumpy = Scripted(lambda n: 10.0 if n == WARM_UP_STEPS + 50 else 0.01)
    run(jumpy, Budget(steps=600, done_steps=300), tmp_path)
    assert jumpy.n_restored == 1
    assert jumpy.rate_factor == 0.5


def test_a_stage_resumed_late_does_not_count_earlier_steps_as_its_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []

    class Bar(Progress):
        def __init__(self, *words: Any, **facts: Any) -> None:
            shown.append(facts)
            super().__init__(*words, **facts)

    monkeypatch.setattr("loquent.training.loop.Progress", Bar)
    run(Scripted(lambda _: 0.01), Budget(steps=600, done_steps=300), tmp_path)
    assert shown == [{"unit": "step", "done": 300}]


def test_the_high_losses_of_the_first_steps_are_no_divergence(tmp_path: Path) -> None:
    trainer = Scripted(lambda n: 100.0 if n == 5 else 0.01)
    run(trainer, Budget(steps=20), tmp_path)
    assert trainer.n_restored == 0


def test_a_loss_that_explodes_again_and_again_ends_the_run(tmp_path: Path) -> None:
    trainer = Scripted(lambda n: 10.0 if n > WARM_UP_STEPS else 0.01)
    with pytest.raises(DivergenceError, match="diverged"):
        run(trainer, Budget(steps=600), tmp_path)
    assert trainer.n_restored == MAX_ROLLBACKS
