"""How far a stage has come: by steps, or by the clock without counting pauses."""

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """Progress of one stage, 0 to 1. Survives a resume: only time spent in steps counts.

    Of the steps after a start the first takes no time: on a fresh installation it compiles operations, for a quarter of a
    minute that a short stage cannot spare.
    """

    steps: int
    """Steps of the stage; ignored when `seconds` is positive."""
    seconds: float = 0.0
    """Time budget; 0 = count steps."""
    done_steps: int = 0
    """Steps taken."""
    spent_s: float = 0.0
    """Seconds spent in steps."""
    _since: float | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the clock, or start it again after a pause, with the end of the next step."""
        self._since = None

    def step_done(self) -> None:
        """Count a step and the time since the last one."""
        now = time.monotonic()
        self.spent_s += 0.0 if self._since is None else now - self._since
        self._since = now
        self.done_steps += 1

    @property
    def progress(self) -> float:
        """Share of the stage that is done."""
        share = self.spent_s / self.seconds if self.seconds > 0 else self.done_steps / max(1, self.steps)
        return min(1.0, share)


def exponential(start: float, end: float, progress: float) -> float:
    """From `start` to `end` along an exponential."""
    return float(start * (end / start) ** progress)
