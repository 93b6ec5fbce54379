# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="untyped-decorator"
"""The actor's voice: a source and filter synthesiser in the manner of Klatt (1980), driven by the script's sounds.

Pulses of the glottis and breath noise pass through five resonators in a row, mouth noise through one beside them.
"""

import numpy as np
from jaxtyping import Float, Float32

from loquent.actor.identity import make_identity
from loquent.actor.phones import PHONES
from loquent.actor.script import Script, Spoken
from loquent.compilation import kernel
from loquent.media.rates import SAMPLE_RATE_HZ

CONTROL_HZ = 400.0
"""Rate of the synthesiser's controls."""
_WIDTHS_HZ = (70.0, 100.0, 150.0, 220.0, 300.0)


def speak(script: Script, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Float32[np.ndarray, "samples"]:
    """The script's sound, ``round(duration_s * sample_rate_hz)`` samples in (-1, 1); pauses are digital near-silence.

    The speaker is the identity of the script's seed; sample 0 belongs to frame 0.
    """
    who = make_identity(script.seed)
    n_samples = round(script.duration_s * sample_rate_hz)
    controls = _controls(script.spoken, script.duration_s, who.pitch_hz, who.formant_scale, sample_rate_hz)
    rng = np.random.default_rng([script.seed, 5])
    noise, wobble = rng.standard_normal((n_samples, 2)), rng.standard_normal(len(controls))
    controls[:, 0] *= 1 + 0.012 * np.convolve(wobble, np.hanning(9) / 2.0, mode="same")
    sound = np.zeros(n_samples)
    _synthesise(controls, CONTROL_HZ, float(sample_rate_hz), noise, np.array(_WIDTHS_HZ), sound)
    return np.asarray(0.72 * np.tanh(sound / (np.percentile(np.abs(sound), 99.5) + 1e-9)), np.float32)


def _controls(
    spoken: tuple[Spoken, ...], duration_s: float, pitch_hz: float, formant_scale: float, sample_rate_hz: int
) -> Float[np.ndarray, "steps 10"]:
    """Pitch, voice, breath, hiss, hiss middle, hiss width, F1 to F3, nasality; smoothed like moving speech organs."""
    n_steps = int(np.ceil(duration_s * CONTROL_HZ)) + 2
    controls, times = np.zeros((n_steps, 10)), np.arange(n_steps) / CONTROL_HZ
    for item in spoken:
        phone, here = PHONES[item.phone], slice(round(item.start_s * CONTROL_HZ), round(item.end_s * CONTROL_HZ) + 1)
        t = (times[here] - item.start_s) / (item.end_s - item.start_s)
        loud = 0.72 + 0.28 * item.stress
        open_now = (t > 0.68) if phone.is_stop else np.ones_like(t, bool)
        controls[here, 0] = pitch_hz * item.pitch
        controls[here, 1] = loud * phone.voice
        controls[here, 2] = phone.breath * open_now
        controls[here, 3] = phone.hiss * (
            open_now * np.exp(-(t - 0.68) * 9) if phone.is_stop else np.sin(np.pi * np.clip(t, 0, 1)) ** 0.6
        )
        controls[here, 4:6] = phone.hiss_hz, phone.hiss_width_hz
        controls[here, 6:9] = np.array(phone.formants_hz) * formant_scale
        controls[here, 9] = float(phone.is_nasal or (phone.is_stop and phone.voice > 0))
    for column, seconds in (
        (0, 0.09),
        (1, 0.012),
        (2, 0.008),
        (3, 0.004),
        (6, 0.045),
        (7, 0.045),
        (8, 0.045),
        (9, 0.012),
    ):
        width = max(3, round(seconds * CONTROL_HZ) * 2 + 1)
        window = np.hanning(width + 2)[1:-1]
        padded = np.pad(controls[:, column], width // 2, mode="edge")
        controls[:, column] = np.convolve(padded, window / window.sum(), mode="valid")
    controls[:, 4] = np.minimum(controls[:, 4], 0.42 * sample_rate_hz)
    return controls


@kernel(exact=True)
def _synthesise(controls, control_hz, rate_hz, noise, widths, sound):
    """Run source and resonators sample by sample; `controls` is linearly interpolated."""
    state = np.zeros((6, 2))
    phase, period_noise, previous, fourth, fifth = 0.0, 1.0, 0.0, 3500.0, 4500.0
    formants = np.zeros(5)
    for i in range(sound.shape[0]):
        place = i / rate_hz * control_hz
        k = min(int(place), controls.shape[0] - 2)
        share = place - k
        c = controls[k] * (1.0 - share) + controls[k + 1] * share
        phase += c[0] / rate_hz
        if phase >= 1.0:
            phase -= 1.0
            period_noise = 1.0 + 0.06 * noise[i, 0]
        # Rosenberg's pulse: the glottis opens slowly, closes fast; its derivative excites the tract.
        if phase < 0.44:
            flow = 0.5 * (1.0 - np.cos(np.pi * phase / 0.44))
        elif phase < 0.62:
            flow = np.cos(0.5 * np.pi * (phase - 0.44) / 0.18)
        else:
            flow = 0.0
        flow *= period_noise
        source = (
            c[1] * ((flow - previous) * rate_hz / 16000.0 * 8.0 + 0.015 * noise[i, 0] * flow)
            + 0.22 * c[2] * noise[i, 0]
        )
        previous = flow
        formants[0], formants[1], formants[2], formants[3], formants[4] = c[6], c[7], c[8], fourth, fifth
        x = source
        for f in range(5):
            if formants[f] > 0.46 * rate_hz:
                continue
            width = widths[f] * (1.0 + c[9] * (0.6 if f == 0 else 5.0))
            decay = np.exp(-np.pi * width / rate_hz)
            a1, a2 = 2.0 * decay * np.cos(2.0 * np.pi * formants[f] / rate_hz), -decay * decay
            y = (1.0 - a1 - a2) * x + a1 * state[f, 0] + a2 * state[f, 1]
            state[f, 1], state[f, 0] = state[f, 0], y
            x = y
        decay = np.exp(-np.pi * c[5] / rate_hz)
        a1, a2 = 2.0 * decay * np.cos(2.0 * np.pi * c[4] / rate_hz), -decay * decay
        hiss = (1.0 - decay) * c[3] * noise[i, 1] + a1 * state[5, 0] + a2 * state[5, 1]
        state[5, 1], state[5, 0] = state[5, 0], hiss
        sound[i] = x + 0.9 * hiss
