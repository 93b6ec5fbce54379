"""From speech features to the motion of 3-D facial landmarks: what every generator is, and the one by regression.

R2-Talker is moved by landmarks and relies on a generator that was never released with it (SPEC 7.5). These are learned from the
person's own clip; `loquent.nn.motion_vae` holds the other kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.nn.lip_predictor import STEPS_BEFORE, WINDOW_STEPS, LipPredictor
from loquent.speech.windows import frame_windows

KNEE = 0.8
"""Share of a motion's range in which it passes unchanged."""


class LandmarkGenerator(nn.Module, ABC):
    """Landmarks of any frame from the speech features of a whole sound.

    `describe` and `state_dict` together say everything: `loquent.nn.generator_kinds` makes the generator from them again.
    """

    motions: "LandmarkMotions"
    """What it makes landmarks of; their mean is the face at rest."""

    @abstractmethod
    def generate(
        self, features: Float[Tensor, "steps width"], frame_ids: Int[Tensor, "frames"]
    ) -> Float[Tensor, "frames points 3"]:
        """The landmarks at moments of the 25 fps timeline, in the units they were learned in.

        Args:
            features: speech features of the whole sound from time 0, 50 a second, of the kind that was learned from.
            frame_ids: moments in units of 1/25 s.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Kind and sizes as JSON values."""


class LandmarkMotions(nn.Module):
    """The principal motions of one person's landmarks, and how far each may go.

    A sound unlike any that was learned from asks for motions the person never made. Each coefficient therefore passes
    unchanged through the middle of the range seen in training and then bends, smoothly, towards its end, which it never passes.
    """

    mean: Tensor
    directions: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        mean: Float[Tensor, "points 3"],
        directions: Float[Tensor, "motions coordinates"],
        low: Float[Tensor, "motions"],
        high: Float[Tensor, "motions"],
    ) -> None:
        """`mean` is the landmarks at rest, `directions` are orthonormal, `low` and `high` bound their coefficients."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    @classmethod
    def empty(cls, n_points: int, n_motions: int) -> "LandmarkMotions":
        """Of these sizes, for `load_state_dict` to fill."""
        zeros = torch.zeros(n_motions)
        return cls(torch.zeros(n_points, 3), torch.zeros(n_motions, 3 * n_points), zeros, zeros.clone())

    def coefficients(self, landmarks: Float[Tensor, "frames points 3"]) -> Float[Tensor, "frames motions"]:
        """How far each motion has gone from the landmarks at rest."""
        return (landmarks - self.mean).flatten(1) @ self.directions.T

    def forward(self, coefficients: Float[Tensor, "frames motions"]) -> Float[Tensor, "frames points 3"]:
        """Landmarks with every motion held within its range."""
        moved = softly_limited(coefficients, self.low, self.high) @ self.directions
        return self.mean + moved.reshape(-1, *self.mean.shape)


def softly_limited(
    values: Float[Tensor, "frames motions"], low: Float[Tensor, "motions"], high: Float[Tensor, "motions"]
) -> Float[Tensor, "frames motions"]:
    """`values` unchanged in the middle of [low, high], beyond that bent exponentially towards its ends; slope 1 at the bend."""
    middle, reach = (low + high) / 2, ((high - low) / 2).clamp(min=1e-12)
    share = (values - middle) / reach
    excess = (share.abs() - KNEE).clamp(min=0)
    bent = share.abs().clamp(max=KNEE) + (1 - KNEE) * -torch.expm1(-excess / (1 - KNEE))
    return middle + reach * bent * share.sign()


@dataclass(frozen=True)
class Listening:
    """Which steps of sound a frame hears."""

    steps: int
    """How many, an even number; 50 a second."""
    steps_before: int
    """How many of them lie before the frame."""

    def windows(
        self, features: Float[Tensor, "all_steps width"], frame_ids: Int[Tensor, "frames"]
    ) -> Float[Tensor, "frames width steps"]:
        """What is heard for each frame of the 25 fps timeline, from the features of the whole sound."""
        return frame_windows(features, frame_ids, length=self.steps, n_before=self.steps_before, held=True)


BOTH_SIDES = Listening(WINDOW_STEPS, STEPS_BEFORE)
"""0.04 s before to 0.2 s after the frame, as the lip predictor hears."""
CAUSAL = Listening(4, 3)
"""0.06 s before the frame up to its own step: what a stream has when the picture must not wait."""


@dataclass(frozen=True)
class RegressedLandmarksConfig:
    """Sizes of `RegressedLandmarks`."""

    speech_width: int
    """Numbers in a step of speech features."""
    n_points: int
    """Landmarks."""
    n_motions: int
    """Principal motions."""
    steps: int = BOTH_SIDES.steps
    """Steps of sound heard for each frame."""
    steps_before: int = BOTH_SIDES.steps_before
    """How many of them lie before the frame."""
    n_examples: int = 0
    """Training frames whose sound is kept to compare with."""
    parts: Sequence[int] | None = None
    """Widths of the descriptions that a step of speech features holds; None = one."""


class RegressedLandmarks(LandmarkGenerator):
    """The lips' regressions, here to principal landmark motions, which are then held within the person's range."""

    kind = "regression"

    def __init__(self, config: RegressedLandmarksConfig) -> None:
        super().__init__()
        self.config = config
        n_inputs, parts = config.speech_width * config.steps, tuple(config.parts or (config.speech_width,))
        if sum(parts) != config.speech_width:
            raise ValueError(f"descriptions {parts} wide do not make up steps of {config.speech_width} numbers")
        self.predictor = LipPredictor.empty(n_inputs, config.n_motions, config.n_examples, parts)
        self.motions = LandmarkMotions.empty(config.n_points, config.n_motions)

    @torch.no_grad()
    def generate(
        self, features: Float[Tensor, "steps width"], frame_ids: Int[Tensor, "frames"]
    ) -> Float[Tensor, "frames points 3"]:
        windows = Listening(self.config.steps, self.config.steps_before).windows(features, frame_ids)
        landmarks: Tensor = self.motions(self.predictor(windows.to(self.predictor.weight.device)))
        return landmarks

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self.config)}
