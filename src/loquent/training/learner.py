"""What learns in every stage, head or torso: a field with its optimiser, averaged weights, grid and random numbers."""

from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from loquent.training.averaging import AveragedWeights
from loquent.training.checkpoints import optimiser_tensors, pack, restore_optimiser, unpack
from loquent.training.presets import Preset

Field = TypeVar("Field", bound=nn.Module)
Grid = TypeVar("Grid", bound=nn.Module)


class Learner(Generic[Field, Grid]):
    """Everything of a trainer that changes while it trains, and so has to be kept for resuming."""

    def __init__(
        self,
        field: Field,
        groups: list[dict[str, Any]],
        grid: Grid,
        preset: Preset,
        device: torch.device,
        seed: int,
    ) -> None:
        """`groups` are the field's optimiser groups; `grid` tells which space or pixels are empty."""
        self.field, self.grid = field, grid
        self.averaged = AveragedWeights(field, preset.averaging)
        self.generator = np.random.default_rng(seed)
        self.noise = torch.Generator(device).manual_seed(seed)
        self.optimiser = torch.optim.AdamW(groups, betas=preset.betas, eps=1e-8, fused=True)
        self._base_rates = [group["lr"] for group in self.optimiser.param_groups]
        self.rate_factor = 1.0
        """Lowered after a divergence."""
        self.n_steps = 0

    def set_rates(self, factor: float) -> None:
        """Learning rates of the next step: `factor` of those the groups began with."""
        for group, rate in zip(self.optimiser.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor * self.rate_factor

    def learn(self, loss: Tensor) -> float:
        """One step down `loss`, if it and its gradient are finite; returns its value, NaN where only the gradient is not."""
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        gradients = [value.grad for value in self.field.parameters() if value.grad is not None]
        value = float(loss.detach())
        if np.isfinite(value) and not bool(get_total_norm(gradients).isfinite()):
            value = float("nan")  # the weights after such a step would pass for good ones until the next loss
        if np.isfinite(value):
            self.optimiser.step()
            self.averaged.update(self.field)
            self.n_steps += 1
        return value

    def settle(self) -> None:
        """Training is over: put the averaged weights into the field."""
        self.field.load_state_dict(self.averaged.tensors)

    def tensors(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, as named tensors."""
        return (
            pack("field", self.field.state_dict())
            | pack("averaged", self.averaged.tensors)
            | pack("grid", self.grid.state_dict())
            | pack("optimiser", optimiser_tensors(self.optimiser))
            | {"noise": self.noise.get_state()}
        )

    def facts(self) -> dict[str, Any]:
        """The part of the state that is not tensors."""
        return {
            "n_steps": self.n_steps,
            "averaged": self.averaged.count,
            "rate_factor": self.rate_factor,
            "generator": self.generator.bit_generator.state,
        }

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go back to a state from :meth:`tensors` and :meth:`facts`, made on the same type of device.

        The tensors may lie elsewhere, as those of a checkpoint do; only the random state fits no other type.
        """
        self.field.load_state_dict(unpack("field", tensors))
        self.averaged.restore(unpack("averaged", tensors), facts["averaged"])
        self.grid.load_state_dict(unpack("grid", tensors))
        restore_optimiser(self.optimiser, unpack("optimiser", tensors))
        self.noise.set_state(tensors["noise"])
        self.generator.bit_generator.state = facts["generator"]
        self.n_steps = facts["n_steps"]
        self.rate_factor = facts["rate_factor"]
