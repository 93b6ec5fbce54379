"""What was found about a video: one figure each, with a verdict and a cure. Written by `doctor` and `prepare`."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["go", "warn", "no-go"]


@dataclass(frozen=True)
class Finding:
    """One measured fact about a video."""

    name: str
    """What was measured, e.g. ``"frame rate"``."""
    figure: str
    """The value with its unit, e.g. ``"25.00 fps"``."""
    verdict: Verdict
    """Whether the clip can be used in this respect."""
    message: str = ""
    """What it means, in a sentence; empty when there is nothing to say."""
    cure: str = ""
    """What the user can do about it; empty for ``go``."""

    def to_json(self) -> dict[str, Any]:
        """Its fields by name, for `doctor --json`."""
        return asdict(self)
