"""The step that writes the sound so that its sample 0 belongs to frame 0 and the lips match it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from loquent.data.clip import write_speech_features
from loquent.face.lips import lip_opening, lip_width
from loquent.media.audio import read_waveform, write_wav
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.prepare.ingest import read_survey, refuse, timeline_start_s
from loquent.prepare.judge import loudness
from loquent.prepare.pipeline import SOURCE, Step, Workplace
from loquent.prepare.sound_offset import SoundOffset, measure_sound_offset
from loquent.prepare.sound_quality import measure_sound
from loquent.prepare.track import TRACK, read_track_tensors
from loquent.speech.kinds import extract, speech_kind
from loquent.storage import write_json

SOUND = "sound.wav"
OFFSET = "measured/sound_offset.json"


def sound_step(start_s: float, sound_offset_s: float | None) -> Step:
    """Write sound.wav, with the lag between lips and sound taken out (measured unless `sound_offset_s` is given)."""
    parameters = {"start_s": start_s, "sound_offset_s": sound_offset_s}
    inputs = (SOURCE, "measured/survey.json", TRACK)
    return Step("sound", "Aligning the sound", _write_sound, inputs, (SOUND, OFFSET), 2, parameters)


def speech_step(kind: str) -> Step:
    """Write speech/<kind>.safetensors: the features of the whole sound."""
    return Step(
        "speech", "Listening", _write_speech, (SOUND,), (f"speech/{kind}.safetensors",), 1, asdict(speech_kind(kind))
    )


def shifted(
    waveform: Float32[np.ndarray, "samples"], offset_s: float, n_samples: int
) -> Float32[np.ndarray, "{n_samples}"]:
    """`n_samples` of the waveform from `offset_s` on (negative: silence first), silence where it has none."""
    start = round(offset_s * SAMPLE_RATE_HZ)
    result = np.zeros(n_samples, np.float32)
    part = waveform[max(0, start) : max(0, start + n_samples)]
    first = max(0, -start)
    result[first : first + len(part)] = part
    return result


def _write_sound(work: Workplace) -> None:
    survey, track = read_survey(work), read_track_tensors(work.input(TRACK))
    waveform = read_waveform(work.input(SOURCE))
    start_s, given = timeline_start_s(work.parameters["start_s"]), work.parameters["sound_offset_s"]
    n_samples = round(survey.n_frames * SAMPLE_RATE_HZ / FPS)
    refuse([loudness(measure_sound(shifted(waveform, start_s, n_samples)))], work.input(SOURCE))
    opening, width = lip_opening(track["landmarks_px"]), lip_width(track["landmarks_px"])
    offset = measure_sound_offset(opening, width, track["frame_ids"], shifted(waveform, start_s, n_samples))
    if given is not None:
        offset = replace(offset, measured_s=given, confidence=1.0, applied_s=given)
    aligned = shifted(waveform, start_s + offset.applied_s, n_samples)
    write_wav(work.output(SOUND), aligned, SAMPLE_RATE_HZ)
    write_json(work.output(OFFSET), asdict(offset))


def read_sound_offset(path: Path) -> SoundOffset:
    """The offset as the step stored it."""
    return SoundOffset(**json.loads(path.read_text()))


def _write_speech(work: Workplace) -> None:
    kind = work.parameters["name"]
    features = extract(kind, read_waveform(work.input(SOUND)), SAMPLE_RATE_HZ)
    write_speech_features(work.output(f"speech/{kind}.safetensors"), kind, features)
