"""Every kind of landmark generator by name: from facts in a file to a generator that its tensors can be loaded into."""

from collections.abc import Callable
from typing import Any

from loquent.nn.landmark_generator import LandmarkGenerator, RegressedLandmarks, RegressedLandmarksConfig
from loquent.nn.motion_vae import MotionVae, MotionVaeConfig

GENERATORS: dict[str, tuple[Callable[..., Any], Callable[[Any], LandmarkGenerator]]] = {
    RegressedLandmarks.kind: (RegressedLandmarksConfig, RegressedLandmarks),
    MotionVae.kind: (MotionVaeConfig, MotionVae),
}
"""Sizes and generator of each kind."""


def make_landmark_generator(facts: dict[str, Any]) -> LandmarkGenerator:
    """A new generator from `LandmarkGenerator.describe`'s facts, ready for `load_state_dict` and to generate.

    Raises:
        ValueError, TypeError: facts of no kind of generator.
    """
    kind, sizes = facts.get("kind"), {name: value for name, value in facts.items() if name != "kind"}
    if kind not in GENERATORS:
        raise ValueError(f"there is no kind of landmark generator called {kind!r}; there is {', '.join(GENERATORS)}")
    config, generator = GENERATORS[kind]
    return generator(config(**sizes)).requires_grad_(False).eval()
