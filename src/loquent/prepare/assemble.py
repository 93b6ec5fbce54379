"""The last step: what was measured becomes track.safetensors and clip.json, which make the folder a clip."""

import json
from importlib.metadata import version

import torch

from loquent import __version__
from loquent.data.clip import ClipInfo, ClipTrack, default_train_count, write_info, write_track
from loquent.prepare.ingest import read_survey
from loquent.prepare.pipeline import SOURCE, Step, Workplace
from loquent.prepare.sound import OFFSET, read_sound_offset
from loquent.prepare.track import TRACK, TRACK_FIGURES, read_track_tensors
from loquent.storage import file_digest


def assemble_step(size: int, speech_kind: str) -> Step:
    """Write clip.json and track.safetensors."""
    measured = (SOURCE, "measured/survey.json", "measured/crop.json", TRACK, TRACK_FIGURES, OFFSET)
    contents = ("frames", "mattes", "torso", "background.png", "sound.wav", f"speech/{speech_kind}.safetensors")
    parameters = {"size": size, "speech_kind": speech_kind, "loquent": __version__}
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
        figures=figures,
    )
    folder = work.output("clip.json").parent
    write_track(folder, ClipTrack(**tensors))
    write_info(folder, info)
