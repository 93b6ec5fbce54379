"""Each rule with evidence that is just good and just bad."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loquent.data.findings import Finding
from loquent.face.detection import FaceBox
from loquent.media.probe import MediaInfo
from loquent.media.timing import FrameTiming
from loquent.prepare.judge import Evidence, Look, find_cuts, judge, judge_look, usable_frames_finding, worst
from loquent.prepare.picture_quality import PictureQuality
from loquent.prepare.sound_offset import SoundOffset
from loquent.prepare.sound_quality import SoundQuality
from loquent.prepare.survey import Sample, Survey

N = 600


def good_look(n_frames: int = N) -> Look:
    stored_s = np.arange(n_frames) / 25
    timing = FrameTiming(25.0, 25.0, stored_s, np.ones(n_frames, bool), stored_s, n_frames / 25, 0, 0.0)
    samples = tuple(Sample(i, (FaceBox(250.0, 250.0, 230.0, 0.9),)) for i in range(0, n_frames, 10))
    info = MediaInfo(Path("a.mp4"), n_frames / 25, True, 500, 500, has_sound=True, sample_rate_hz=48000, channels=2)
    return Look(info, timing, Survey(500, 500, n_frames, (1.0,) * n_frames, samples), n_frames / 25, 0.0)


def good_evidence() -> Evidence:
    """A face of fixed points whose lips open and whose lids close now and then."""
    rng = np.random.default_rng(0)
    face = np.concatenate([rng.uniform(150, 350, (478, 2)), rng.uniform(-50, 50, (478, 1))], axis=1)
    face[[33, 263, 13, 14], :2] = [[200, 220], [300, 220], [250, 300], [250, 302]]
    points = np.repeat(face[None], N, axis=0)
    points[:, 14, 1] += 10 * (1 + np.sin(np.arange(N)))
    return Evidence(
        frame_ids=np.arange(N),
        landmarks_px=points,
        pictures=PictureQuality(noise=1.0, detail=0.3, face_brightness=120.0, camera_motion=0.001),
        sound=SoundQuality(-20.0, -60.0, 0.2, 0.0),
        offset=SoundOffset(0.2, 0.99, 0.2, 0.5),
        n_unheard=0,
    )


def named(findings: tuple[Finding, ...], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_good_evidence_is_good() -> None:
    findings = judge(good_look(), good_evidence())
    doubtful = [finding.name for finding in findings if finding.verdict != "go" and finding.name != "blinks"]
    assert doubtful == ["expected quality"], "only the random face's lids never close"
    assert all(finding.cure for finding in findings if finding.verdict != "go")
    assert len({finding.name for finding in findings}) == len(findings)


@pytest.mark.parametrize(
    ("change", "name", "verdict"),
    [
        ({"length_s": 5.0}, "length", "warn"),
        ({"n_frames": 20}, "length", "no-go"),
        ({"true_fps": 15.0}, "frame rate", "warn"),
        ({"true_fps": 8.0}, "frame rate", "no-go"),
        ({"missing_s": 2.0}, "file", "warn"),
        ({"n_damaged": 3}, "file", "warn"),
        ({"width": 79}, "picture size", "no-go"),
        ({"width": 80}, "picture size", "go"),
        ({"has_sound": False}, "sound", "no-go"),
        ({"is_high_dynamic_range": True}, "colours", "warn"),
        ({"side_px": 100.0}, "face size", "warn"),
        ({"side_px": 30.0}, "face size", "no-go"),
        ({"faces": ()}, "face size", "no-go"),
    ],
)
def test_rules_of_the_first_look(change: dict[str, object], name: str, verdict: str) -> None:
    look = good_look(20 if "n_frames" in change else N)
    if "length_s" in change:
        look = replace(look, length_s=5.0)
    info = {key: value for key, value in change.items() if key in ("has_sound", "is_high_dynamic_range")}
    timing = {key: value for key, value in change.items() if key in ("true_fps", "missing_s", "n_damaged")}
    look = replace(look, info=replace(look.info, **info), timing=replace(look.timing, **timing))  # type: ignore[arg-type]
    if "width" in change:
        look = replace(look, survey=replace(look.survey, width=change["width"]))  # type: ignore[arg-type]
    if "side_px" in change or "faces" in change:
        faces = () if "faces" in change else (FaceBox(250.0, 250.0, float(change["side_px"]), 0.9),)  # type: ignore[arg-type]
        samples = tuple(replace(sample, faces=faces) for sample in look.survey.samples)
        look = replace(look, survey=replace(look.survey, samples=samples))
    findings = judge_look(look)
    assert named(findings, name).verdict == verdict
    assert worst(findings) == verdict


def test_second_face_counts_when_large() -> None:
    look = good_look()
    for side_px, verdict in ((150.0, "warn"), (50.0, "go")):
        other = FaceBox(60.0, 60.0, side_px, 0.9)
        samples = tuple(replace(sample, faces=(*sample.faces, other)) for sample in look.survey.samples)
        crowded = replace(look, survey=replace(look.survey, samples=samples))
        assert named(judge_look(crowded), "second face").verdict == verdict


@pytest.mark.parametrize(
    ("part", "change", "name", "verdict"),
    [
        ("pictures", {"camera_motion": 0.03}, "camera motion", "warn"),
        ("pictures", {"camera_motion": None}, "camera motion", "go"),
        ("pictures", {"detail": 0.15}, "sharpness", "warn"),
        ("pictures", {"noise": 8.0}, "image noise", "warn"),
        ("pictures", {"face_brightness": 20.0}, "face brightness", "warn"),
        ("sound", {"speech_level_db": -120.0}, "loudness", "no-go"),
        ("sound", {"speech_level_db": -45.0}, "loudness", "warn"),
        ("sound", {"clipped_share": 0.01}, "clipping", "warn"),
        ("sound", {"pause_share": 0.8}, "pauses", "warn"),
        ("sound", {"pause_share": 0.0}, "pauses", "warn"),
        ("sound", {"noise_level_db": -25.0}, "speech over noise", "warn"),
        ("offset", {"confidence": 0.5}, "sound after lips", "warn"),
        ("offset", {"correlation": 0.1}, "lips follow sound", "warn"),
    ],
)
def test_rules_on_what_was_measured(part: str, change: dict[str, object], name: str, verdict: str) -> None:
    evidence = good_evidence()
    worse = replace(evidence, **{part: replace(getattr(evidence, part), **change)})  # type: ignore[arg-type]
    assert named(judge(good_look(), evidence), name).verdict == "go"
    assert named(judge(good_look(), worse), name).verdict == verdict


def test_still_lips_are_refused() -> None:
    evidence = good_evidence()
    still = replace(evidence, landmarks_px=np.repeat(evidence.landmarks_px[:1], N, axis=0))
    assert named(judge(good_look(), still), "mouth range").verdict == "no-go"


def test_cuts_are_found_by_picture_and_by_posture() -> None:
    look, evidence = good_look(), good_evidence()
    change = [1.0 + 0.5 * np.sin(k) for k in range(N)]
    change[250] = 40.0
    change[300] = 6.0  # a lively moment
    points = evidence.landmarks_px.copy()
    points[400:, :, 0] += 60.0
    jumped = replace(evidence, landmarks_px=points)
    cut = replace(look, survey=replace(look.survey, change=tuple(change)), start_s=2.0)
    assert find_cuts(look, evidence) == []
    assert find_cuts(cut, jumped) == [2.0 + 250 / 25, 2.0 + 400 / 25]


def test_usable_share() -> None:
    assert usable_frames_finding(1000, 1000).verdict == "go"
    assert usable_frames_finding(900, 1000).verdict == "warn"
    assert usable_frames_finding(200, 1000).verdict == "no-go"
    assert usable_frames_finding(40, 50).verdict == "no-go"
    assert usable_frames_finding(990, 1000, n_unheard=10).figure == "99.0 % (990 of 1000, 10 without sound)"
    silent, faceless = usable_frames_finding(250, 1000, n_unheard=750), usable_frames_finding(250, 1000, n_unheard=10)
    assert (silent.verdict, faceless.verdict) == ("no-go", "no-go")
    assert "sound" in silent.message
    assert "face" in faceless.message
