"""Makes clean synthetic speech sound like recordings: voices, rooms, noises, music, channels, codecs and levels at random."""

import numpy as np
from scipy import fft
from scipy.signal import resample_poly

from loquent.speech.log_mel import speech_gain
from research.phonetic.speech import SAMPLE_RATE_HZ, Utterance

CROP_S = 4.0
N_SAMPLES = round(CROP_S * SAMPLE_RATE_HZ)
STEPS_PER_S = 50
N_STEPS = round(CROP_S * STEPS_PER_S)
SPEECHLESS = 0.08
"""Share of crops in which nobody speaks: what is heard in them, at any level, is silence to the lips."""
_SPEEDS = ((4, 5), (5, 6), (7, 8), (9, 10), (1, 1), (10, 9), (8, 7), (6, 5), (5, 4))
Rng = np.random.Generator


def crop(pool: list[Utterance], rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """A stretch of speech with pauses, N_SAMPLES long, and the class at each of its N_STEPS steps.

    One voice after another at random, each played faster or slower: rate, pitch and resonances move together.
    """
    sound = np.zeros(N_SAMPLES, np.float32)
    labels = np.zeros(N_STEPS, np.uint8)
    if rng.random() < SPEECHLESS:
        return sound, labels
    place = int(rng.uniform(-2.0, 0.5) * SAMPLE_RATE_HZ)
    while place < N_SAMPLES:
        spoken = pool[rng.integers(len(pool))]
        up, down = _SPEEDS[rng.integers(len(_SPEEDS))]
        waveform = spoken.waveform if up == down else resample_poly(spoken.waveform, up, down).astype(np.float32)
        waveform = waveform * (speech_gain(waveform) * 10 ** (rng.uniform(-4, 4) / 20))
        start, end = max(0, place), min(N_SAMPLES, place + len(waveform))
        if start < end:
            sound[start:end] += waveform[start - place : end - place]
            steps = np.arange(-(-start * STEPS_PER_S // SAMPLE_RATE_HZ), -(-end * STEPS_PER_S // SAMPLE_RATE_HZ))
            times = (steps / STEPS_PER_S - place / SAMPLE_RATE_HZ) * (down / up)
            labels[steps] = spoken.labels[np.searchsorted(spoken.starts_s, times, side="right").clip(1) - 1]
        pause_s = rng.exponential(0.25) if rng.random() < 0.85 else rng.uniform(0.5, 2.5)
        place += len(waveform) + int(pause_s * SAMPLE_RATE_HZ)
    return sound, labels


def varied(sound: np.ndarray, pool: list[Utterance], rng: Rng, strength: float) -> np.ndarray:
    """The sound as some microphone, room and file would have it; `strength` in 0 to 1 scales how often and how much."""
    chance = lambda p: rng.random() < p * strength  # noqa: E731
    if chance(0.06):
        sound = whispered(sound, rng)
    sound = through_channel(sound, rng, room=chance(0.6), band_limited=chance(0.4), coloured=chance(0.9))
    if not sound.any():
        sound = 0.06 * 10 ** (-rng.uniform(0, 50) / 20) * unwanted([], rng) * (rng.random() < 0.7)
    elif chance(0.85):
        level = 0.06 * 10 ** (-rng.uniform(35 - 32 * strength, 45) / 20)
        sound = sound + level * unwanted(pool, rng)
    if chance(0.12):
        sound = coded(sound, rng)
    if chance(0.12):
        loudest = np.abs(sound).max() * rng.uniform(0.15, 0.7) + 1e-6
        sound = sound.clip(-loudest, loudest) if rng.random() < 0.5 else loudest * np.tanh(sound / loudest)
    return (sound * 10 ** (rng.uniform(-7, 7) / 20)).astype(np.float32)


def whispered(sound: np.ndarray, rng: Rng) -> np.ndarray:
    """The same spectral envelopes, excited by noise."""
    size, hop = 512, 128
    window = np.hanning(size)
    padded = np.pad(sound, size)
    places = np.arange(0, len(padded) - size, hop)
    frames = padded[places[:, None] + np.arange(size)] * window
    cepstra = fft.irfft(np.log(np.abs(fft.rfft(frames)) + 1e-6))
    cepstra[:, 30:-29] = 0
    envelopes = np.exp(fft.rfft(cepstra).real)
    noise = fft.rfft(rng.standard_normal(frames.shape) * window)
    shaped = fft.irfft(noise / np.sqrt(np.square(np.abs(noise)).mean()) * envelopes) * window
    result = np.zeros_like(padded)
    for place, frame in zip(places, shaped, strict=True):
        result[place : place + size] += frame
    result = result[size:-size]
    return (result * (np.std(sound) / (np.std(result) + 1e-9))).astype(np.float32)


def through_channel(sound: np.ndarray, rng: Rng, *, room: bool, band_limited: bool, coloured: bool) -> np.ndarray:
    """Room, band limits and a microphone's colour, in one product of spectra."""
    size = fft.next_fast_len(len(sound) + SAMPLE_RATE_HZ // 2, real=True)
    hertz = fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    octave = np.log2(np.maximum(hertz, 30) / 1000)
    decibels = np.zeros_like(hertz)
    if coloured:
        decibels += rng.uniform(-4, 4) * octave
        knots = np.linspace(-5.1, 3.1, 9)
        decibels += np.interp(octave, knots, rng.normal(0, 4, len(knots))).astype(np.float32)
    if band_limited:
        low, high = rng.uniform(60, 350), rng.uniform(3000, 7500)
        decibels -= 24 * np.maximum(0, np.log2(np.maximum(hertz, 1) / high)) * rng.uniform(1, 4)
        decibels -= 24 * np.maximum(0, np.log2(low / np.maximum(hertz, 1)))
    spectrum = fft.rfft(sound.astype(np.float32), size) * np.float32(10) ** (np.maximum(decibels, -80) / 20)
    if room:
        spectrum *= fft.rfft(_room(rng), size)
    return fft.irfft(spectrum, size)[: len(sound)]


def _room(rng: Rng) -> np.ndarray:
    """An impulse response: the direct sound, then noise that dies away, darker than the direct sound."""
    t60 = rng.uniform(0.1, 0.7)
    time = np.arange(round(0.45 * SAMPLE_RATE_HZ), dtype=np.float32) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(len(time), np.float32) * np.exp(-6.9 * time / t60) * (time > rng.uniform(0.001, 0.015))
    tail = np.convolve(tail, np.ones(rng.integers(1, 4), np.float32), mode="same")
    tail *= 10 ** (-rng.uniform(-2, 15) / 20) / (np.linalg.norm(tail) + 1e-9)
    tail[0] = 1.0
    return tail


def unwanted(pool: list[Utterance], rng: Rng) -> np.ndarray:
    """Noise of some colour, a crowd from `pool` if it holds anybody, music or mains hum, with a root mean square of 1."""
    kind = rng.choice(["noise", "noise", "music", "hum", *(["crowd"] if pool else [])])
    time = np.arange(N_SAMPLES, dtype=np.float32) / SAMPLE_RATE_HZ
    if kind == "noise":
        hertz = fft.rfftfreq(N_SAMPLES, 1 / SAMPLE_RATE_HZ).astype(np.float32)
        spectrum = rng.standard_normal(2 * len(hertz), np.float32).view(np.complex64)
        result = fft.irfft(spectrum * np.maximum(hertz, 40) ** -rng.uniform(-0.3, 1.3), N_SAMPLES)
        swell = np.interp(time, np.linspace(0, CROP_S, 9), rng.uniform(0.3, 1, 9))
        result *= swell if rng.random() < 0.4 else 1
    elif kind == "crowd":
        result = np.zeros(N_SAMPLES)
        for _ in range(rng.integers(3, 8)):
            result += np.resize(pool[rng.integers(len(pool))].waveform, N_SAMPLES)
    elif kind == "music":
        result = np.zeros(N_SAMPLES, np.float32)
        beat = rng.uniform(0.2, 0.8)
        since = time % beat
        for _ in range(rng.integers(2, 6)):
            notes = 55 * 2 ** (rng.integers(0, 48, 32) / 12)
            cycles = np.cumsum(notes[(time / beat).astype(int)]) / SAMPLE_RATE_HZ
            phase = (2 * np.pi * (cycles % 1)).astype(np.float32)
            for harmonic in range(1, rng.integers(2, 7)):
                result += np.sin(harmonic * phase) / harmonic * np.exp(-since * rng.uniform(0, 6))
    else:
        phase = 2 * np.pi * rng.choice([50, 60, 100, 120]) * time
        result = sum(np.sin(harmonic * phase) * rng.random() for harmonic in range(1, 12)) + np.zeros(N_SAMPLES)
    return result / (np.sqrt(np.mean(np.square(result))) + 1e-9)


def coded(sound: np.ndarray, rng: Rng) -> np.ndarray:
    """What a thrifty codec leaves: companded to few levels, or spectra without their weak parts."""
    loudest = np.abs(sound).max() + 1e-6
    if rng.random() < 0.3:
        bits = rng.integers(5, 9)
        folded = np.sign(sound) * np.log1p(255 * np.abs(sound) / loudest) / np.log(256)
        folded = np.round(folded * 2 ** (bits - 1)) / 2 ** (bits - 1)
        return np.sign(folded) * np.expm1(np.abs(folded) * np.log(256)) / 255 * loudest
    size = 512
    frames = np.pad(sound, (0, -len(sound) % size)).reshape(-1, size)
    spectra = fft.rfft(frames)
    limit = np.quantile(np.abs(spectra), rng.uniform(0.3, 0.8), axis=1, keepdims=True)
    return fft.irfft(spectra * (np.abs(spectra) > limit), size).reshape(-1)[: len(sound)]
