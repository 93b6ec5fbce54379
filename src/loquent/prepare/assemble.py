"""The last step: what was measured becomes track.safetensors and clip.json, which make the folder a clip."""

import json
from importlib.metadata import version

import torch

from loquent import __version__
from loquent.data.clip import ClipInfo, ClipTrack, default_train_count, write_info, write_track
from loquent.data.findings import Finding
from loquent.media.audio import read_waveform
from loquent.prepare.ingest import first_look, read_survey
from loquent.prepare.judge import Evidence, judge
from loquent.prepare.picture_steps import PICTURE_QUALITY, read_picture_quality
from loquent.prepare.pipeline import SOURCE, Step, Workplace
from loquent.prepare.sound import OFFSET, RECORDED, read_recorded, read_sound_offset
from loquent.prepare.sound_quality import measure_sound
from loquent.prepare.track import TRACK, TRACK_FIGURES, read_track_tensors
from loquent.storage import file_digest


def assemble_step(size: int, start_s: float, end_s: float | None, speech_kind: str) -> Step:
    """Write clip.json and track.safetensors."""
    measured = (
        SOURCE,
        "measured/survey.json",
        "measured/crop.json",
        TRACK,
        TRACK_FIGURES,
        OFFSET,
        RECORDED,
        PICTURE_QUALITY,
    )
    contents = (
        "frames",
        "mattes",
        "torso",
        "background.png",
        "sound.wav",
        "preview.jpg",
        f"speech/{speech_kind}.safetensors",
    )
    parameters = {"size": size, "start_s": start_s, "end_s": end_s, "speech_kind": speech_kind, "loquent": __version__}
    return Step(
        "clip", "Closing the clip", _assemble, measured + contents, ("track.safetensors", "clip.json"), 1, parameters
    )


def _assemble(work: Workplace) -> None:
    video = work.input(SOURCE)
    survey, offset = read_survey(work), read_sound_offset(work.input(OFFSET))
    tensors = {name: torch.from_numpy(values) for name, values in read_track_tensors(work.input(TRACK)).items()}
    figures = json.loads(work.input(TRACK_FIGURES).read_text())
    size = work.parameters["size"]
    info = ClipInfo(
        name=video.stem,
        height=size,
        width=size,
        focal_px=figures.pop("focal_px"),
        n_source_frames=survey.n_frames,
        n_train=default_train_count(len(tensors["frame_ids"])),
        sound_offset_s=offset.applied_s,
        sound_offset_confidence=offset.confidence,
        speech_kind=work.parameters["speech_kind"],
        source={
            "video": video.name,
            "sha256": file_digest(video),
            "crop": json.loads(work.input("measured/crop.json").read_text()),
            "loquent": __version__,
            "mediapipe": version("mediapipe"),
        },
        findings=_findings(work),
        figures=figures,
    )
    folder = work.output("clip.json").parent
    write_track(folder, ClipTrack(**tensors))
    write_info(folder, info)


def _findings(work: Workplace) -> tuple[Finding, ...]:
    """The same judgement that `doctor` gives, on the whole video."""
    track = read_track_tensors(work.input(TRACK))
    survey = read_survey(work)
    look = first_look(work.input(SOURCE), survey, work.parameters["start_s"], work.parameters["end_s"])
    evidence = Evidence(
        frame_ids=track["frame_ids"],
        landmarks_px=track["landmarks_px"],
        pictures=read_picture_quality(work.input(PICTURE_QUALITY)),
        sound=measure_sound(read_waveform(work.input("sound.wav"))),
        offset=read_sound_offset(work.input(OFFSET)),
        n_unheard=survey.n_frames - len(read_recorded(work.input(RECORDED))),
    )
    return judge(look, evidence)
