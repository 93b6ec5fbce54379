"""What a face does at one moment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Expression:
    """The state of the face; all zero is a closed mouth and open eyes."""

    jaw: float = 0.0
    """0 closed to 1 wide open."""
    part: float = 0.0
    """0 to 1: lips drawn apart without the jaw."""
    spread: float = 0.0
    """-1 narrow (rounded) to 1 wide."""
    protrude: float = 0.0
    """0 to 1: lips pushed forward."""
    press: float = 0.0
    """0 to 1: lips pressed together."""
    tuck: float = 0.0
    """0 to 1: lower lip drawn in under the upper teeth, as for f."""
    tongue: float = 0.0
    """0 to 1: tongue raised behind the teeth."""
    smile: float = 0.0
    """0 to 1: corners up."""
    brow: float = 0.0
    """-1 to 1: brows down or up."""
    blink_left: float = 0.0
    """0 open to 1 closed: the eye at the image's left."""
    blink_right: float = 0.0
    """0 open to 1 closed: the eye at the image's right."""
    gaze_right: float = 0.0
    """Turn of the eyes to the image's right, in centimetres of the iris."""
    gaze_up: float = 0.0
    """Turn of the eyes upwards, in centimetres of the iris."""
