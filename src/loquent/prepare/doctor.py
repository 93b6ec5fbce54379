"""A look at a video before any long work: what `prepare` would find, measured on at most a minute of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from loquent.config import PrepareConfig
from loquent.data.findings import Finding
from loquent.face.landmarks import detect_all
from loquent.face.lips import lip_opening, lip_width
from loquent.media.audio import read_waveform
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.media.timing import frame_timing
from loquent.prepare.ingest import check_part, first_look, timeline
from loquent.prepare.judge import Evidence, expected_quality, judge, judge_look, usable_frames_finding, worst
from loquent.prepare.landmarks import usable_frames
from loquent.prepare.picture_quality import measure_pictures, spread
from loquent.prepare.pipeline import check_source
from loquent.prepare.sound import recorded_frames, shifted
from loquent.prepare.sound_offset import measure_sound_offset
from loquent.prepare.sound_quality import measure_sound
from loquent.prepare.survey import Crop, choose_crop, main_face, survey_frames

MAX_EXAMINED_S = 60.0
"""Of a longer video the middle minute is examined: starts are often titles and settling down."""


def examine(video: Path, *, start_s: float = 0.0, end_s: float | None = None) -> tuple[Finding, ...]:
    """Judge a video as `prepare` would.

    Args:
        video: any file PyAV opens.
        start_s: skip this much of its start.
        end_s: stop at this second.

    Returns:
        One finding per rule, "expected quality" last. When one of the first makes a portrait impossible, what would need
        landmarks is left out.

    Raises:
        MediaError: the file is no video, nothing of it can be decoded, or it ends before the chosen part.
        InputError: there is no such file, or the times are negative, not finite or out of order.
    """
    PrepareConfig(start_s=start_s, end_s=end_s)  # refuses the times that `prepare` would
    check_source(video)
    check_part(video, start_s, end_s)
    last_s = min(frame_timing(video).duration_s, end_s or np.inf)
    skipped_s = round(max(0.0, last_s - start_s - MAX_EXAMINED_S) / 2)
    part = (start_s + skipped_s, min(last_s, start_s + skipped_s + MAX_EXAMINED_S))
    survey = survey_frames(timeline(video, *part))
    look = first_look(video, survey, start_s, end_s, examined_from_s=part[0])
    findings = judge_look(look)
    if worst(findings) == "no-go":
        return (*findings, expected_quality(findings))

    crop = choose_crop(survey, main_face(survey))
    keep = set(spread(survey.n_frames))
    kept: dict[int, UInt8[np.ndarray, "size size 3"]] = {}
    landmarks = detect_all(_cropped(video, part, crop, keep, kept), max_faces=1)
    usable = np.flatnonzero(usable_frames(landmarks, crop.side_px))
    finding = usable_frames_finding(len(usable), survey.n_frames)
    if finding.verdict == "no-go":
        return (*findings, finding, expected_quality((*findings, finding)))

    points, whole = landmarks.points_px[usable], read_waveform(video)
    waveform = shifted(whole, look.start_s, round(survey.n_frames * SAMPLE_RATE_HZ / FPS))
    offset = measure_sound_offset(lip_opening(points), lip_width(points), usable, waveform)
    recorded = recorded_frames(len(whole), look.start_s + offset.applied_s, survey.n_frames)
    usable = usable[(usable >= recorded.start) & (usable < recorded.stop)]
    n_unheard = survey.n_frames - len(recorded)
    finding = usable_frames_finding(len(usable), survey.n_frames, n_unheard)
    if finding.verdict == "no-go":
        return (*findings, finding, expected_quality((*findings, finding)))

    points = landmarks.points_px[usable]
    samples = [i for i, frame_id in enumerate(usable.tolist()) if frame_id in kept]
    evidence = Evidence(
        frame_ids=usable,
        landmarks_px=points,
        pictures=measure_pictures(lambda i: kept[int(usable[i])], points, samples),
        sound=measure_sound(waveform),
        offset=offset,
        n_unheard=n_unheard,
    )
    return judge(look, evidence)


def _cropped(
    video: Path,
    part: tuple[float, float],
    crop: Crop,
    keep: set[int],
    kept: dict[int, UInt8[np.ndarray, "size size 3"]],
) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """The crop of every frame at the video's own resolution; those named in `keep` are put aside."""
    for frame in timeline(video, *part):
        picture = crop(frame.image, crop.side_px)
        if frame.index in keep:
            kept[frame.index] = picture
        yield picture
