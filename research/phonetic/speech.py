"""One synthesised utterance with the classes spoken in it, whoever synthesised it."""

from dataclasses import dataclass

import numpy as np

from loquent.speech.articulation import STOPS
from research.phonetic.classes import IGNORED, index

SAMPLE_RATE_HZ = 16000
STEP_S = 0.005
"""Resolution at which closures are looked for."""
_QUIET = 10 ** (-40 / 20)


@dataclass(frozen=True)
class Utterance:
    """A waveform and the class spoken from each boundary to the next."""

    waveform: np.ndarray
    """float32 samples at 16 kHz in [-1, 1]."""
    starts_s: np.ndarray
    """Where each segment begins, ascending, the first at 0."""
    labels: np.ndarray
    """uint8, the class of each segment, or `IGNORED`."""


def utterance(waveform: np.ndarray, segments: list[tuple[float, float, list[str]]]) -> Utterance:
    """Build one from (start, end, classes); a segment with several classes is split evenly, unknown ones are ignored.

    Synthesisers give the silence in which a stop is held to the sound before it. It is given back: a quiet end of a
    segment before a stop belongs to the stop.
    """
    starts, labels = [0.0], [index("silence")]
    for start, end, names, _ in with_closures(waveform, segments):
        numbers = [index(name) for name in names] or [IGNORED]
        for part, number in enumerate(numbers):
            starts.append(start + (end - start) * part / len(numbers))
            labels.append(number)
    if segments:
        starts.append(segments[-1][1])
        labels.append(index("silence"))
    return Utterance(waveform.astype(np.float32), np.array(starts), np.array(labels, np.uint8))


def with_closures(
    waveform: np.ndarray, segments: list[tuple[float, float, list[str]]]
) -> list[tuple[float, float, list[str], int]]:
    """Cut the silent closures of stops off the segments before them: (start, end, classes, place among `segments`)."""
    loudest = float(np.abs(waveform).max(initial=1e-6))
    parts = []
    for place, (start, end, names) in enumerate(segments):
        if end <= start:
            continue
        following = segments[place + 1][2] if place + 1 < len(segments) else []
        stop = bool(following) and following[0] in STOPS and names and names != ["silence"] and names[-1] not in STOPS
        voiced_until = _quiet_from(waveform, start, end, loudest) if stop else end
        parts.append((start, voiced_until, names, place))
        if stop and voiced_until < end:
            parts.append((voiced_until, end, following[:1], place + 1))
    return parts


def _quiet_from(waveform: np.ndarray, start: float, end: float, loudest: float) -> float:
    """The time from which the rest of a segment is quiet; its end where it is not, never before its first third."""
    time = end
    while time - STEP_S > start + (end - start) / 3:
        low = round((time - STEP_S) * SAMPLE_RATE_HZ)
        if np.sqrt(np.mean(waveform[low : low + round(STEP_S * SAMPLE_RATE_HZ)] ** 2)) > loudest * _QUIET:
            break
        time -= STEP_S
    return time
