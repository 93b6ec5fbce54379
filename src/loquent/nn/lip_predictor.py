"""Speech features to expression coefficients: two regressions over a short window of sound, and their mean."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WINDOW_STEPS = 12
"""Steps of speech features the predictor hears for each frame."""
STEPS_BEFORE = 2
"""How many of them lie before the frame: at 50 Hz it hears from 0.04 s before the frame to 0.2 s after it, because lips
take their shape before the sound comes."""


class LipPredictor(nn.Module):
    """Expression coefficients of a frame from the speech features around it.

    One regression is linear, and one says what the lips did where the clip sounded alike. Their mean follows lips better than
    either, and moves them further than the linear one alone (docs/architecture.md). Both have closed solutions
    (`loquent.training.lips`), because seconds of one person's sound cannot feed more.
    """

    mean: Tensor
    weight: Tensor
    bias: Tensor
    scale: Tensor
    examples: Tensor
    answers: Tensor

    def __init__(
        self,
        mean: Float[Tensor, "inputs"],
        weight: Float[Tensor, "coefficients inputs"],
        bias: Float[Tensor, "coefficients"],
        scale: Float[Tensor, "inputs"] | None = None,
        examples: Float[Tensor, "examples inputs"] | None = None,
        answers: Float[Tensor, "examples coefficients"] | None = None,
    ) -> None:
        """Parts of the sum that :meth:`forward` computes; without the last three it is the linear one alone.

        Args:
            mean: of the flattened windows.
            weight: what each coefficient gains per unit of them.
            bias: coefficients of a mean window unlike all examples.
            scale: multiplies a window, so that its squared distance to an example is in units of the kernel's width.
            examples: scaled windows of training frames, in half precision.
            answers: what a window at each example adds.
        """
        super().__init__()
        if scale is None or examples is None or answers is None:
            scale = torch.ones(mean.shape)
            examples, answers = torch.zeros(0, mean.numel(), dtype=torch.half), torch.zeros(0, bias.numel())
        self.register_buffer("mean", mean)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("scale", scale)
        self.register_buffer("examples", examples)
        self.register_buffer("answers", answers)

    @classmethod
    def empty(cls, n_inputs: int, n_coefficients: int, n_examples: int) -> "LipPredictor":
        """Of these sizes, for `load_state_dict` to fill."""
        return cls(
            torch.zeros(n_inputs),
            torch.zeros(n_coefficients, n_inputs),
            torch.zeros(n_coefficients),
            torch.ones(n_inputs),
            torch.zeros(n_examples, n_inputs, dtype=torch.half),
            torch.zeros(n_examples, n_coefficients),
        )

    def forward(self, windows: Float[Tensor, "frames width steps"]) -> Float[Tensor, "frames coefficients"]:
        inputs = windows.flatten(1)
        linear = (inputs - self.mean) @ self.weight.T + self.bias
        likeness = likenesses(inputs * self.scale, self.examples.to(inputs.dtype))
        return linear + likeness @ self.answers


def likenesses(
    inputs: Float[Tensor, "frames inputs"], examples: Float[Tensor, "examples inputs"]
) -> Float[Tensor, "frames examples"]:
    """exp(-d²) of the distances d between scaled windows: 1 for the same sound, 0 for one unlike it."""
    return torch.cdist(inputs, examples).square().neg().exp()
