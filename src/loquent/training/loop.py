"""The loop all stages share: budget, progress, curves, checkpoints, and going back when values stop being finite."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from loquent.errors import DivergenceError
from loquent.progress import Progress
from loquent.training.budget import Budget
from loquent.training.checkpoints import CHECKPOINT, Checkpoint

log = logging.getLogger(__name__)

CHECKPOINT_S = 20.0
"""Seconds between checkpoints: what `kill -9` can cost."""
PREVIEW_S = 60.0
"""Seconds between preview pictures."""
CURVE_STEPS = 10
"""Steps between points of the curves."""
MAX_ROLLBACKS = 4
EXPLOSION = 25.0
"""A loss this many times its running mean counts as divergence ..."""
WARM_UP_STEPS = 100
"""... once this many steps have shown what is usual."""


@runtime_checkable
class Trainer(Protocol):
    """What a stage needs of the thing it trains."""

    rate_factor: float
    """Factor on all learning rates; halved after a divergence."""

    def step(self, stage: Any, progress: float) -> dict[str, float]:
        """One step of `stage`, a share `progress` of the way through it; returns figures, ``loss`` and ``psnr`` among them.

        A step whose loss or gradient is not finite changes no weights, and its ``loss`` is not finite.
        """

    def tensors(self) -> dict[str, Tensor]:
        """The state that :meth:`restore` needs, as named tensors."""

    def facts(self) -> dict[str, Any]:
        """The part of the state that is not tensors, as JSON values."""

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go back to a state from :meth:`tensors` and :meth:`facts`; the tensors may lie on the CPU, as a checkpoint's do."""


def run_stage(
    name: str,
    number: int,
    stage: Any,
    trainer: Trainer,
    budget: Budget,
    folder: Path,
    curves: SummaryWriter,
    preview: Callable[[Path], None] | None = None,
) -> None:
    """Step `trainer` until `budget` is spent. Interrupted at any moment, the folder's checkpoint lets the run go on.

    Raises:
        DivergenceError: the loss stopped being finite again and again, even at lower learning rates.
    """

    good = snapshot(number, trainer, budget)
    # Learned anew by a resumed stage: its steps before that say nothing here.
    usual_loss = 0.0
    first_step = budget.done_steps
    rollbacks = 0
    saved_at = previewed_at = time.monotonic()
    timed = budget.seconds > 0
    total = budget.seconds if timed else budget.steps
    so_far = round(budget.progress * total)
    with Progress(f"Training {name}", round(total), unit="s" if timed else "step", done=so_far) as bar:
        try:
            budget.start()
            while budget.progress < 1:
                figures = trainer.step(stage, budget.progress)
                budget.step_done()
                warmed_up = budget.done_steps - first_step > WARM_UP_STEPS
                if not np.isfinite(figures["loss"]) or (warmed_up and figures["loss"] > EXPLOSION * usual_loss):
                    rollbacks += 1
                    _go_back(name, trainer, good, rollbacks, budget, figures["loss"])
                    continue
                usual_loss = figures["loss"] if usual_loss == 0 else 0.98 * usual_loss + 0.02 * figures["loss"]
                pace = budget.done_steps / max(budget.spent_s, 1.0)
                bar.set(round(budget.progress * total), note=f"{pace:.1f} steps/s, PSNR {figures['psnr']:.1f} dB")
                if budget.done_steps % CURVE_STEPS == 0:
                    for key, value in figures.items():
                        curves.add_scalar(f"{name}/{key}", value, budget.done_steps)
                now = time.monotonic()
                if now - saved_at > CHECKPOINT_S:
                    good = snapshot(number, trainer, budget)
                    good.save(folder / CHECKPOINT)
                    saved_at = time.monotonic()
                if preview is not None and now - previewed_at > PREVIEW_S:
                    preview(folder / "previews" / f"{name}-{budget.done_steps:06d}.png")
                    previewed_at = time.monotonic()
        except KeyboardInterrupt:
            snapshot(number, trainer, budget).save(folder / CHECKPOINT)
            raise
    snapshot(number, trainer, budget).save(folder / CHECKPOINT)


def snapshot(number: int, trainer: Trainer, budget: Budget | None = None) -> Checkpoint:
    """The state of stage `number` as it is now."""
    facts = {
        "stage": number,
        "done_steps": budget.done_steps if budget else 0,
        "spent_s": budget.spent_s if budget else 0.0,
        "trainer": trainer.facts(),
    }
    return Checkpoint({key: value.detach().clone() for key, value in trainer.tensors().items()}, facts)


def _go_back(name: str, trainer: Trainer, good: Checkpoint, rollbacks: int, budget: Budget, loss: float) -> None:
    if rollbacks > MAX_ROLLBACKS:
        raise DivergenceError(
            f"Training {name} diverged at step {budget.done_steps} (loss {loss}), for the {rollbacks}th time, although the "
            "learning rate was halved each time. The clip may hold broken frames or poses: look at its preview.jpg, "
            "run `loquent doctor` on the video, and prepare it again."
        )
    factor = trainer.rate_factor
    trainer.restore(good.tensors, good.facts["trainer"])
    trainer.rate_factor = factor / 2
    log.warning(
        "Training %s diverged at step %d (loss %.3g); went back to the last good state and halved the learning rate "
        "(%d of at most %d times).",
        name,
        budget.done_steps,
        loss,
        rollbacks,
        MAX_ROLLBACKS,
    )
