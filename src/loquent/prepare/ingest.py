"""The first steps: look over the video, then write its frames, cropped to the person and resized (SPEC 1.9, step 3)."""

import json
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from loquent.errors import MediaError
from loquent.media.images import write_image
from loquent.media.video import TimedFrame, read_frames
from loquent.prepare.parallel import ordered_map
from loquent.prepare.pipeline import SOURCE, Step, Workplace
from loquent.prepare.survey import Survey, choose_crop, main_face, survey_frames
from loquent.storage import write_json

MIN_FRAMES = 25
"""Shorter videos than one second hold nothing to learn and nothing to test on."""
MIN_FACE_PX = 40
"""The landmark network sees a face in 256 pixels; below this side of the face box its points are guesses."""


def survey_step(start_s: float, end_s: float | None) -> Step:
    """Look over the video: faces, cuts, camera."""
    parameters = {"start_s": start_s, "end_s": end_s}
    return Step("survey", "Looking over the video", _survey, (SOURCE,), ("measured/survey.json",), 1, parameters)


def frames_step(size: int, start_s: float, end_s: float | None) -> Step:
    """Write frames/ at `size` pixels."""
    parameters = {"size": size, "start_s": start_s, "end_s": end_s}
    inputs, outputs = (SOURCE, "measured/survey.json"), ("frames", "measured/crop.json")
    return Step("frames", "Cropping the frames", _write_frames, inputs, outputs, 1, parameters)


def check_usable(survey: Survey, video: str) -> None:
    """Refuse a video no portrait can come from.

    Raises:
        MediaError: too short, no face, or a face of a few pixels.
    """
    if survey.n_frames < MIN_FRAMES:
        raise MediaError(
            f"{video} has {survey.n_frames} frames at 25 per second; at least {MIN_FRAMES} are needed, and 20 seconds or more "
            "are advised. Give a longer video."
        )
    face = main_face(survey)
    if not face:
        raise MediaError(
            f"No face was found in {video} ({len(survey.samples)} frames were looked at). "
            "Give a video in which one person faces the camera."
        )
    side_px = float(np.median([box.side_px for _, box in face]))
    if side_px < MIN_FACE_PX:
        raise MediaError(
            f"The face in {video} is only {side_px:.0f} pixels wide; at least {MIN_FACE_PX} are needed, and 200 or more are "
            "advised. Film closer, or give the video in its full resolution."
        )


def _survey(work: Workplace) -> None:
    video = work.input(SOURCE)
    survey = survey_frames(_reporting(work))
    check_usable(survey, video.name)
    write_json(work.output("measured/survey.json"), survey.to_json())


def _reporting(work: Workplace, n_frames: int = 0) -> Iterator[TimedFrame]:
    """The video's frames, with progress."""
    start_s, end_s = work.parameters["start_s"], work.parameters["end_s"]
    for frame in read_frames(work.input(SOURCE), start_s=start_s, end_s=end_s):
        work.advance(frame.index, n_frames, frame=frame.index)
        yield frame


def _write_frames(work: Workplace) -> None:
    survey = read_survey(work)
    crop = choose_crop(survey, main_face(survey))
    folder, size = work.output_folder("frames"), work.parameters["size"]

    def write(frame: TimedFrame) -> UInt8[np.ndarray, "size size 3"]:
        picture = crop(frame.image, size)
        write_image(folder / f"{frame.index:06d}.jpg", picture)
        return picture

    for _ in ordered_map(write, _reporting(work, survey.n_frames)):
        pass
    write_json(work.output("measured/crop.json"), {"left": crop.left, "top": crop.top, "side_px": crop.side_px})


def read_survey(work: Workplace) -> Survey:
    """The survey as the first step stored it."""
    return Survey.from_json(json.loads(work.input("measured/survey.json").read_text()))
