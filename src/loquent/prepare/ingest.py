"""The first steps: look over the video, then write its frames, cropped to the person and resized (SPEC 1.9.3)."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from loquent.data.findings import Finding
from loquent.errors import MediaError
from loquent.media.images import write_image
from loquent.media.probe import probe
from loquent.media.rates import FPS
from loquent.media.timing import frame_timing
from loquent.media.video import TimedFrame, read_frames
from loquent.prepare.judge import Look, judge_look
from loquent.prepare.parallel import ordered_map
from loquent.prepare.pipeline import SOURCE, Step, Workplace
from loquent.prepare.survey import Survey, choose_crop, main_face, survey_frames
from loquent.storage import write_json


def survey_step(start_s: float, end_s: float | None) -> Step:
    """Look over the video: faces, cuts, camera."""
    parameters = {"start_s": start_s, "end_s": end_s}
    return Step("survey", "Looking over the video", _survey, (SOURCE,), ("measured/survey.json",), 1, parameters, 7.0)


def frames_step(size: int, start_s: float, end_s: float | None) -> Step:
    """Write frames/ at `size` pixels."""
    parameters = {"size": size, "start_s": start_s, "end_s": end_s}
    inputs, outputs = (SOURCE, "measured/survey.json"), ("frames", "measured/crop.json")
    return Step("frames", "Cropping the frames", _write_frames, inputs, outputs, 1, parameters, 7.0)


def timeline(video: Path, start_s: float, end_s: float | None) -> Iterator[TimedFrame]:
    """The frames of the chosen part at 25 per second, counted from 0."""
    for index, frame in enumerate(read_frames(video, start_s=start_s, end_s=end_s)):
        yield TimedFrame(index, index / FPS, frame.image)


def timeline_start_s(start_s: float) -> float:
    """When the first frame at or after `start_s` is shown."""
    return math.ceil(start_s * FPS - 1e-6) / FPS


def check_part(video: Path, start_s: float, end_s: float | None) -> None:
    """Check that there is a frame in the chosen part.

    Raises:
        MediaError: there is none, since the video ends before it.
    """
    duration_s = frame_timing(video).duration_s
    until_s = duration_s if end_s is None else min(duration_s, end_s)
    if round(timeline_start_s(start_s) * FPS) >= max(1, round(until_s * FPS)):
        raise MediaError(
            f"--start-s ({start_s:g}) leaves no frame of {video.name}: its picture lasts {duration_s:.2f} s, and the part to "
            f"use ends at {until_s:.2f} s. Start earlier."
        )


def first_look(
    video: Path, survey: Survey, start_s: float, end_s: float | None, *, examined_from_s: float | None = None
) -> Look:
    """Everything known about a video before landmarks.

    Args:
        video: the file.
        survey: of the part that was examined.
        start_s, end_s: the part that `prepare` would use.
        examined_from_s: where the examined part starts; nothing = at `start_s`.
    """
    timing = frame_timing(video)
    length_s = min(timing.duration_s, math.inf if end_s is None else end_s) - start_s
    from_s = start_s if examined_from_s is None else examined_from_s
    return Look(probe(video), timing, survey, length_s, timeline_start_s(from_s))


def refuse(findings: Iterable[Finding], video: Path) -> None:
    """Stop if a portrait is impossible.

    Raises:
        MediaError: with the first finding that is a no-go.
    """
    for finding in findings:
        if finding.verdict == "no-go":
            raise MediaError(
                f"{video.name} cannot be used: {finding.name} {finding.figure}. {finding.message} {finding.cure}"
            )


def _survey(work: Workplace) -> None:
    video = work.input(SOURCE)
    check_part(video, work.parameters["start_s"], work.parameters["end_s"])
    survey = survey_frames(_reporting(work, round(probe(video).duration_s * FPS)))
    refuse(judge_look(first_look(video, survey, work.parameters["start_s"], work.parameters["end_s"])), video)
    write_json(work.output("measured/survey.json"), survey.to_json())


def _reporting(work: Workplace, n_frames: int) -> Iterator[TimedFrame]:
    """The video's frames, with progress."""
    start_s, end_s = work.parameters["start_s"], work.parameters["end_s"]
    for frame in timeline(work.input(SOURCE), start_s, end_s):
        work.advance(frame.index, n_frames, frame=frame.index)
        yield frame


def _write_frames(work: Workplace) -> None:
    survey = read_survey(work)
    crop = choose_crop(survey, main_face(survey))
    folder, size = work.output_folder("frames"), work.parameters["size"]

    def write(frame: TimedFrame) -> UInt8[np.ndarray, "size size 3"]:
        picture = crop(frame.image, size)
        write_image(folder / f"{frame.index:06d}.jpg", picture, durable=False)
        return picture

    for _ in ordered_map(write, _reporting(work, survey.n_frames)):
        pass
    write_json(work.output("measured/crop.json"), {"left": crop.left, "top": crop.top, "side_px": crop.side_px})


def read_survey(work: Workplace) -> Survey:
    """The survey as the first step stored it."""
    return Survey.from_json(json.loads(work.input("measured/survey.json").read_text()))
