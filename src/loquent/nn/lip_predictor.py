"""Speech features to expression coefficients: regressions over a short window of sound, and their mean."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.speech.windows import frame_windows

WINDOW_STEPS = 12
"""Steps of speech features the predictor hears for each frame."""
STEPS_BEFORE = 2
"""How many of them lie before the frame: at 50 Hz it hears from 0.04 s before the frame to 0.2 s after it, because lips
take their shape before the sound comes."""


class LipPredictor(nn.Module):
    """Expression coefficients of a frame from the speech features around it.

    Each description of the sound that the features hold has two regressions: one is linear, and one says what the lips did
    where the clip sounded alike. The mean of all follows lips better than any, and moves them further than the linear ones
    alone (docs/lips.md). All have closed solutions (`loquent.training.lips`), because seconds of one person's sound
    cannot feed more.
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
        answers: Float[Tensor, "parts examples coefficients"] | None = None,
        parts: tuple[int, ...] | None = None,
    ) -> None:
        """Parts of the sum that :meth:`forward` computes; without scale, examples and answers it is the linear ones alone.

        Args:
            mean: of the flattened windows.
            weight: what each coefficient gains per unit of them.
            bias: coefficients of a mean window unlike all examples.
            scale: multiplies a window, so that each description's squared distance to an example is in units of the width of
                its kernel.
            examples: scaled windows of training frames, in half precision.
            answers: weights of the likenesses to each example, for each description.
            parts: widths of the descriptions that lie side by side in a step; nothing = all is one description.

        Raises:
            ValueError: answers and parts do not go together.
        """
        super().__init__()
        parts = tuple(parts or (mean.numel(),))
        if scale is None or examples is None or answers is None:
            scale = torch.ones(mean.shape)
            examples = torch.zeros(0, mean.numel(), dtype=torch.half)
            answers = torch.zeros(len(parts), 0, bias.numel())
        is_whole = all(isinstance(width, int) and width > 0 for width in parts)
        if not is_whole or answers.shape[:1] != (len(parts),) or mean.numel() % sum(parts):
            raise ValueError(
                f"answers {list(answers.shape)} of {mean.numel()} numbers do not go with descriptions {parts} wide"
            )
        self.sizes = [width * (mean.numel() // sum(parts)) for width in parts]
        self.register_buffer("mean", mean)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("scale", scale)
        self.register_buffer("examples", examples)
        self.register_buffer("answers", answers)

    @classmethod
    def empty(
        cls, n_inputs: int, n_coefficients: int, n_examples: int, parts: tuple[int, ...] | None = None
    ) -> "LipPredictor":
        """Of these sizes, for `load_state_dict` to fill."""
        return cls(
            torch.zeros(n_inputs),
            torch.zeros(n_coefficients, n_inputs),
            torch.zeros(n_coefficients),
            torch.ones(n_inputs),
            torch.zeros(n_examples, n_inputs, dtype=torch.half),
            torch.zeros(len(parts or (1,)), n_examples, n_coefficients),
            parts,
        )

    def forward(self, windows: Float[Tensor, "frames width steps"]) -> Float[Tensor, "frames coefficients"]:
        inputs = windows.flatten(1)
        moved = (inputs - self.mean) @ self.weight.T + self.bias
        scaled, examples = inputs * self.scale, self.examples.to(inputs.dtype)
        by_part = (torch.split(values, self.sizes, dim=1) for values in (scaled, examples))
        for own, known, answers in zip(*by_part, self.answers, strict=True):
            moved = moved + likenesses(own, known) @ answers
        return moved


def heard_windows(
    features: Float[Tensor, "all_steps width"], frame_ids: Int[Tensor, "frames"]
) -> Float[Tensor, "frames width steps"]:
    """What a predictor of lips hears for each frame of the 25 fps timeline, from the features of the whole sound."""
    return frame_windows(features, frame_ids, length=WINDOW_STEPS, n_before=STEPS_BEFORE, held=True)


def likenesses(
    inputs: Float[Tensor, "frames inputs"], examples: Float[Tensor, "examples inputs"]
) -> Float[Tensor, "frames examples"]:
    """exp(-d²) of the distances d between scaled windows: 1 for the same sound, 0 for one unlike it."""
    return torch.cdist(inputs, examples).square().neg().exp()
