"""Settings of the commands: frozen values, one line of meaning per field, checked when they are made.

A field's name is the option on the command line and the key in every JSON record.
"""

import math
from dataclasses import dataclass

from loquent.errors import InputError


@dataclass(frozen=True)
class PrepareConfig:
    """What `loquent prepare` can be told; the defaults suit a video of one person who faces a still camera."""

    size: int = 512
    """Rows and columns of the prepared pictures."""
    start_s: float = 0.0
    """Skip this much of the video's start, in seconds."""
    end_s: float | None = None
    """Stop at this second of the video; nothing = its end."""
    sound_offset_s: float | None = None
    """How late the sound is, in seconds, if you know it; nothing = measure it."""
    focal_px: float | None = None
    """Focal length in pixels of the prepared pictures, if you know it; nothing = a typical one (it cannot be measured)."""
    speech_kind: str = "mel_phonetic"
    """Speech features the portrait will listen to; those of hubert_large and the like need a network on this machine."""

    def __post_init__(self) -> None:
        if not 64 <= self.size <= 2048:
            raise InputError(f"--size must lie between 64 and 2048 pixels, but is {self.size}.")
        for name in ("start_s", "end_s", "sound_offset_s", "focal_px"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"--{name.replace('_', '-')} must be a finite number, but is {value}.")
        if self.start_s < 0:
            raise InputError(f"--start-s must not be negative, but is {self.start_s}.")
        if self.end_s is not None and self.end_s <= self.start_s:
            raise InputError(f"--end-s ({self.end_s}) must come after --start-s ({self.start_s}).")
        if self.sound_offset_s is not None and not -2 <= self.sound_offset_s <= 2:
            raise InputError(f"--sound-offset-s must lie between -2 and 2 seconds, but is {self.sound_offset_s}.")
        if self.focal_px is not None and self.focal_px <= 0:
            raise InputError(f"--focal-px must be positive, but is {self.focal_px}.")
