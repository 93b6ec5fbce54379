"""The steps that write the sound so that its sample 0 belongs to frame 0 and the lips match it, and its speech features."""

import json
import math
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
from loquent.prepare.landmarks import LANDMARKS, read_frame_ids, read_landmarks, usable_frames
from loquent.prepare.pipeline import SOURCE, Step, Workplace
from loquent.prepare.sound_offset import LIPS_LEAD_S, SoundOffset, measure_sound_offset
from loquent.prepare.sound_quality import measure_sound
from loquent.speech.kinds import extract, speech_kind
from loquent.storage import write_json

SOUND = "sound.wav"
OFFSET = "measured/sound_offset.json"
RECORDED = "measured/recorded.json"
"""The frames whose sound was recorded."""
EDGE_S = 0.08
"""Frames this near a recording's ends still count as recorded: codecs cut off as much, and no offset is known better."""


def sound_step(size: int, start_s: float, sound_offset_s: float | None) -> Step:
    """Write sound.wav, with the lag between lips and sound taken out (measured unless `sound_offset_s` is given)."""
    measured_by = {"lips_lead_s": LIPS_LEAD_S, **asdict(speech_kind("phonetic"))}
    parameters = {"size": size, "start_s": start_s, "sound_offset_s": sound_offset_s, "measured_by": measured_by}
    inputs = (SOURCE, "measured/survey.json", "frames", LANDMARKS)
    return Step("sound", "Aligning the sound", _write_sound, inputs, (SOUND, OFFSET, RECORDED), 2, parameters)


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


def recorded_frames(n_samples: int, from_s: float, n_frames: int) -> range:
    """The frames of a timeline whose sound a recording at 16 kHz holds, where frame 0 begins `from_s` into it.

    No sound can say what the lips of the others do: film and sound often end at different times, and shifting makes it so.
    """
    first = math.ceil(round((-from_s - EDGE_S) * FPS, 3))
    end = math.floor(round((n_samples / SAMPLE_RATE_HZ - from_s + EDGE_S) * FPS, 3))
    first, end = (min(max(frame, 0), n_frames) for frame in (first, end))
    return range(first, max(first, end))


def _write_sound(work: Workplace) -> None:
    survey, landmarks = read_survey(work), read_landmarks(work.input(LANDMARKS))
    waveform = read_waveform(work.input(SOURCE))
    start_s, given = timeline_start_s(work.parameters["start_s"]), work.parameters["sound_offset_s"]
    n_samples = round(survey.n_frames * SAMPLE_RATE_HZ / FPS)
    refuse([loudness(measure_sound(shifted(waveform, start_s, n_samples)))], work.input(SOURCE))
    usable = usable_frames(landmarks, work.parameters["size"])
    frame_ids, points = np.array(read_frame_ids(work.input("frames")), np.int64)[usable], landmarks.points_px[usable]
    offset = measure_sound_offset(
        lip_opening(points), lip_width(points), frame_ids, shifted(waveform, start_s, n_samples)
    )
    if given is not None:
        offset = replace(offset, measured_s=given, confidence=1.0, applied_s=given)
    aligned = shifted(waveform, start_s + offset.applied_s, n_samples)
    write_wav(work.output(SOUND), aligned, SAMPLE_RATE_HZ)
    write_json(work.output(OFFSET), asdict(offset))
    recorded = recorded_frames(len(waveform), start_s + offset.applied_s, survey.n_frames)
    write_json(work.output(RECORDED), {"first": recorded.start, "end": recorded.stop})


def read_sound_offset(path: Path) -> SoundOffset:
    """The offset as the step stored it."""
    return SoundOffset(**json.loads(path.read_text()))


def read_recorded(path: Path) -> range:
    """The recorded frames as the step stored them."""
    stored = json.loads(path.read_text())
    return range(stored["first"], stored["end"])


def _write_speech(work: Workplace) -> None:
    kind = work.parameters["name"]
    features = extract(kind, read_waveform(work.input(SOUND)), SAMPLE_RATE_HZ)
    write_speech_features(work.output(f"speech/{kind}.safetensors"), kind, features)
