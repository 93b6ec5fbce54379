"""A running average of weights: what the portrait keeps, steadier than the last step's."""

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Exponential moving average of a module's floating-point state, with a warm-up so that early steps fade fast."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        """`decay` per step; 0 keeps the raw weights."""
        self.decay = decay
        self.count = 0
        self.tensors: dict[str, Tensor] = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take the module's weights into the average."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        averages, values = [], []
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                averages.append(self.tensors[name])
                values.append(value)
            else:
                self.tensors[name].copy_(value)
        torch._foreach_lerp_(averages, values, 1 - decay)

    def restore(self, tensors: dict[str, Tensor], count: int) -> None:
        """Go back to a saved average after `count` updates; it stays on the module's device, wherever `tensors` lie."""
        for name, value in self.tensors.items():
            value.copy_(tensors[name])
        self.count = count
