"""The rates of pictures and sound in clips and films; what comes at others is converted.

They are the papers', and those that SyncNet and the models of speech features were trained with.
"""

from typing import Final

FPS: Final = 25.0
"""Frames a second of the timeline: frame k is shown at k / 25 s."""
SAMPLE_RATE_HZ: Final = 16_000
"""Samples a second of sound, mono."""
