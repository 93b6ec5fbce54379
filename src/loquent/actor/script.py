"""What the actor says and does, from a seed: a timeline of speech sounds, lips that follow it, head, eyes and blinks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from loquent.actor.expression import Expression
from loquent.actor.phones import CODAS, LABIALS, ONSETS, PHONES, VOWELS
from loquent.media.rates import FPS

LEAD_S = 0.30
"""Silence before the first sound and, at least, after the last."""
_SMILE = 0.35
_SHAPES = ("jaw", "part", "spread", "protrude", "press", "tuck", "tongue")


@dataclass(frozen=True)
class Spoken:
    """One sound on the timeline."""

    phone: str
    """Its sign in :data:`loquent.actor.phones.PHONES`."""
    start_s: float
    end_s: float
    stress: float
    """0 murmured to 1 stressed."""
    pitch: float
    """Factor on the voice's middle pitch at the sound's middle."""


@dataclass(frozen=True)
class Stance:
    """Where head and torso are in one frame. Angles in radians about the camera's axes, shifts in volume units along them."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    torso_yaw: float = 0.0
    torso_pitch: float = 0.0
    torso_roll: float = 0.0
    torso_shift: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Script:
    """A performance: frame i shows the moment i / fps."""

    duration_s: float
    seed: int
    fps: float
    spoken: tuple[Spoken, ...]
    """All sounds and pauses, in order, without gaps, from 0 to `duration_s`."""
    shapes: Float[np.ndarray, "frames 7"]
    """Jaw, part, spread, protrude, press, tuck, tongue of :class:`Expression`."""
    head: Float[np.ndarray, "frames 6"]
    """Yaw, pitch, roll, then the shift, of :class:`Stance`."""
    torso: Float[np.ndarray, "frames 6"]
    """The same of the torso."""
    blink: Float[np.ndarray, "frames 2"]
    """0 open to 1 closed: the eye at the image's left, then right."""
    gaze: Float[np.ndarray, "frames 2"]
    """Rightwards, upwards, in centimetres of the iris."""
    brow: Float[np.ndarray, "frames"]
    """-1 down to 1 up."""

    @property
    def n_frames(self) -> int:
        """Frames of the performance."""
        return len(self.brow)

    def expression(self, i: int) -> Expression:
        """The face of frame `i`."""
        named = dict(zip(_SHAPES, map(float, self.shapes[i]), strict=True))
        return Expression(
            **named,
            smile=_SMILE,
            brow=float(self.brow[i]),
            blink_left=float(self.blink[i, 0]),
            blink_right=float(self.blink[i, 1]),
            gaze_right=float(self.gaze[i, 0]),
            gaze_up=float(self.gaze[i, 1]),
        )

    def stance(self, i: int) -> Stance:
        """The pose of frame `i`."""
        (yaw, pitch, roll, *shift), (t_yaw, t_pitch, t_roll, *t_shift) = self.head[i].tolist(), self.torso[i].tolist()
        return Stance(
            yaw,
            pitch,
            roll,
            (shift[0], shift[1], shift[2]),
            t_yaw,
            t_pitch,
            t_roll,
            (t_shift[0], t_shift[1], t_shift[2]),
        )


def make_script(duration_s: float, seed: int = 0, fps: float = FPS) -> Script:
    """Invent a performance of `duration_s` seconds (at least 1): ``round(duration_s * fps)`` frames.

    The same seed gives the same sentences whatever the frame rate; a longer script begins like a shorter one.
    """
    assert duration_s >= 1.0, duration_s
    spoken = _sentences(duration_s, np.random.default_rng([seed, 1]))
    times = np.arange(round(duration_s * fps)) / fps
    nods = _accents(times, spoken)
    head, torso = _sway(times, nods, np.random.default_rng([seed, 2]))
    blink, gaze = _eyes(times, duration_s, np.random.default_rng([seed, 3]))
    brow = np.clip(0.55 * nods + 0.35 * _wander(times, np.random.default_rng([seed, 4]), 0.05, 0.4) - 0.1, -1, 1)
    return Script(duration_s, seed, fps, spoken, lip_shapes(spoken, times), head, torso, blink, gaze, brow)


def _sentences(duration_s: float, rng: np.random.Generator) -> tuple[Spoken, ...]:
    spoken: list[Spoken] = []
    now = LEAD_S
    spoken.append(Spoken("_", 0.0, now, 0.0, 1.0))
    while True:
        sentence = _sentence(rng)
        for phone, length, stress, pitch in sentence:
            if phone != "_" and now + length > duration_s - LEAD_S:
                spoken.append(Spoken("_", now, duration_s, 0.0, 1.0))
                return tuple(spoken)
            length = min(length, duration_s - now)
            spoken.append(Spoken(phone, now, now + length, stress, pitch))
            now += length
            if now >= duration_s:
                return tuple(spoken)


def _sentence(rng: np.random.Generator) -> list[tuple[str, float, float, float]]:
    """Four to eight invented words and a pause: (phone, seconds, stress, pitch factor)."""
    n_words, rises = int(rng.integers(4, 9)), rng.random() < 0.25
    tempo, said = float(rng.uniform(0.92, 1.12)), []
    for word in range(n_words):
        n_syllables = int(rng.choice([1, 2, 2, 3]))
        accent = int(rng.integers(0, n_syllables))
        for syllable in range(n_syllables):
            stressed, last = syllable == accent, word == n_words - 1 and syllable == n_syllables - 1
            onset = str(rng.choice(ONSETS)) if rng.random() < 0.92 else ""
            vowel = str(rng.choice(VOWELS)) if stressed or rng.random() < 0.6 else "@"
            coda = str(rng.choice(CODAS)) if syllable == n_syllables - 1 else ""
            place = word / max(n_words - 1, 1)
            pitch = 1.16 - 0.30 * place + (0.16 * rng.uniform(0.5, 1.2) if stressed else 0.0)
            pitch += (0.30 if rises else -0.10) if last else 0.0
            for phone in filter(None, (onset, vowel, coda)):
                length = PHONES[phone].duration_s * tempo * float(rng.uniform(0.9, 1.1))
                if phone in VOWELS:
                    length *= (1.25 if stressed else 0.85) * (1.5 if last else 1.0)
                said.append((phone, length, 1.0 if stressed else 0.4, float(pitch)))
    return [*said, ("_", float(rng.uniform(0.35, 0.75)), 0.0, 1.0)]


def lip_shapes(spoken: tuple[Spoken, ...], times: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times 7"]:
    """Lips at the given seconds: every sound pulls towards its own shape, most within its span, fading around it.

    This is coarticulation by dominance functions (Cohen and Massaro 1993). Lips are fully closed in the middle of p, b and m.
    """
    start, end = (np.array([getattr(s, name) for s in spoken]) for name in ("start_s", "end_s"))
    targets = np.array([[getattr(PHONES[s.phone], name) for name in _SHAPES] for s in spoken])
    effort = np.array([0.72 + 0.38 * s.stress if s.phone in VOWELS else 1.0 for s in spoken])
    targets[:, 0] *= effort
    hold = np.array([PHONES[s.phone].hold for s in spoken])
    outside = np.maximum(np.maximum(start - times[:, None], times[:, None] - end), 0.0)
    inside = np.clip(np.minimum(times[:, None] - start, end - times[:, None]), 0.0, 0.05)
    pull = hold * np.exp(-outside / 0.035 + inside / 0.035)
    shapes = np.asarray(pull @ targets / pull.sum(axis=1, keepdims=True))
    is_labial = np.array([s.phone in LABIALS for s in spoken])
    middle, half = (start + end) / 2, (end - start) / 2
    near = np.clip(1.25 - (np.abs(times[:, None] - middle) - 0.55 * half) / 0.05, 0.0, 1.0) * is_labial
    closed = near.max(axis=1, initial=0.0)
    shapes[:, :2] *= (1 - closed * closed * (3 - 2 * closed))[:, None]
    return shapes


def _wander(
    times: Float[np.ndarray, "times"], rng: np.random.Generator, low_hz: float, high_hz: float
) -> Float[np.ndarray, "times"]:
    """A smooth random path in about [-1, 1]."""
    n = 6
    frequency = np.geomspace(low_hz, high_hz, n) * rng.uniform(0.85, 1.15, n)
    strength = frequency**-0.6
    waves = np.sin(2 * np.pi * (times[:, None] * frequency + rng.random(n)))
    return np.asarray(waves @ (strength / np.linalg.norm(strength)) / 1.3)


def _accents(times: Float[np.ndarray, "times"], spoken: tuple[Spoken, ...]) -> Float[np.ndarray, "times"]:
    """Smooth bumps at stressed, high vowels: the moments a speaker nods and lifts the brows."""
    middles = np.array(
        [(s.start_s + s.end_s) / 2 for s in spoken if s.phone in VOWELS and s.pitch > 1.12 and s.stress == 1.0]
    )
    return np.asarray(np.exp(-(((times[:, None] - middles - 0.06) / 0.16) ** 2)).max(axis=1, initial=0.0))


def _sway(
    times: Float[np.ndarray, "times"], nods: Float[np.ndarray, "times"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "times 6"], Float[np.ndarray, "times 6"]]:
    wander = [_wander(times, rng, 0.06, 0.55) for _ in range(6)]
    limits = np.radians([12.0, 6.0, 6.0])
    angles = [limit * np.tanh(path * 1.1) for limit, path in zip(limits, wander[:3], strict=True)]
    angles[1] = angles[1] + np.radians(1.8) * nods
    breath = np.sin(2 * np.pi * times / 3.7)
    head = np.stack([*angles, 0.020 * wander[3], 0.012 * wander[4] - 0.004 * breath, 0.030 * wander[5]], axis=1)
    late = np.stack([np.interp(times - 0.12, times, column) for column in head.T], axis=1)
    share = np.array([0.16, 0.06, 0.16, 0.55, 0.35, 0.55])
    torso = late * share
    torso[:, 3] += 0.006 * _wander(times, rng, 0.04, 0.2)
    torso[:, 4] -= 0.006 * breath
    return head, torso


def _eyes(
    times: Float[np.ndarray, "times"], duration_s: float, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "times 2"], Float[np.ndarray, "times 2"]]:
    closed, gaze = np.zeros_like(times), np.zeros((len(times), 2))
    now = float(rng.uniform(0.8, 2.0))
    while now < duration_s + 1.0:
        fall, rest, rise = 0.085, float(rng.uniform(0.03, 0.07)), float(rng.uniform(0.11, 0.15))
        down, up = np.clip((times - now) / fall, 0, 1), np.clip((times - now - fall - rest) / rise, 0, 1)
        closed = np.maximum(closed, down * down * (3 - 2 * down) - up * up * (3 - 2 * up))
        now += float(rng.uniform(2.0, 4.6))
    now, before = 0.0, np.zeros(2)
    while now < duration_s:
        after = rng.normal(0, (0.05, 0.025)) if rng.random() < 0.7 else rng.uniform((-0.28, -0.12), (0.28, 0.10))
        gaze += (after - before) * np.clip((times - now) / 0.04, 0, 1)[:, None]
        before, now = after, now + float(rng.uniform(0.5, 2.2))
    return np.stack([closed, closed], axis=1), gaze
