"""From figures to findings: what is good enough, what will show in the portrait, what makes one impossible; and the cure.

`doctor` and `prepare` judge by the same rules. The bounds come from the clips the papers use and from what users of the
earlier systems stumbled over (faceless frames, unseen pauses, wrong frame rates, unsynchronised sound).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from loquent.data.findings import Finding, Verdict
from loquent.face.blink import eye_closure, find_blinks
from loquent.face.indices import LEFT_EYE_OUTER, N_MESH, RIGHT_EYE_OUTER
from loquent.face.lips import lip_opening
from loquent.media.probe import MediaInfo
from loquent.media.rates import FPS
from loquent.media.timing import FrameTiming
from loquent.prepare.picture_quality import PictureQuality
from loquent.prepare.sound_offset import APPLY_FROM, SoundOffset
from loquent.prepare.sound_quality import SoundQuality
from loquent.prepare.survey import FACE_SHARE, Survey, main_face

MIN_FRAMES = 50
"""Shorter videos than two seconds hold nothing to learn and nothing to test on."""
MIN_FACE_PX = 40
"""Side of the face box below which landmarks are guesses."""
MIN_PICTURE_PX = round(MIN_FACE_PX / FACE_SHARE)
"""Shorter side of a picture below which no face in its usual framing is large enough."""
SHARP = 0.18
"""Share of a face's texture that is finer than 1/100 of its width, below which the face looks soft (`face_detail`)."""
_COPY_AGAIN = "Copy the file again from its origin."


@dataclass(frozen=True)
class Look:
    """What a first look at a video tells."""

    info: MediaInfo
    timing: FrameTiming
    survey: Survey
    """The examined part."""
    length_s: float
    """Length of the part that `prepare` would use."""
    start_s: float
    """Where the examined part starts in the video."""


@dataclass(frozen=True)
class Evidence:
    """What was measured on the examined part: F usable frames."""

    frame_ids: Int[np.ndarray, "frames"]
    """Places of the usable frames in the examined part."""
    landmarks_px: Float[np.ndarray, "frames 478 3"]
    """Landmarks in the cropped picture."""
    pictures: PictureQuality
    sound: SoundQuality
    offset: SoundOffset
    n_unheard: int
    """Frames of the examined part whose sound was not recorded; not usable."""


def judge_look(look: Look) -> tuple[Finding, ...]:
    """One finding per rule that needs no landmarks."""
    return tuple(rule(look) for rule in LOOK_RULES)


def judge(look: Look, evidence: Evidence) -> tuple[Finding, ...]:
    """All findings, and at the end what can be expected of the portrait."""
    usable = usable_frames_finding(len(evidence.frame_ids), look.survey.n_frames, evidence.n_unheard)
    findings = (*judge_look(look), usable, _cuts(look, evidence), *(rule(evidence) for rule in RULES))
    return (*findings, expected_quality(findings))


def worst(findings: tuple[Finding, ...]) -> Verdict:
    """The gravest verdict among the findings."""
    verdicts = [finding.verdict for finding in findings]
    return "no-go" if "no-go" in verdicts else "warn" if "warn" in verdicts else "go"


def find_cuts(look: Look, evidence: Evidence) -> list[float]:
    """Times of the video in seconds at which the picture jumps: a new scene, or the same one cut together."""
    change = np.array(look.survey.change)
    usual = np.array([np.median(change[max(0, k - 12) : k + 13]) for k in range(len(change))])
    cuts = {int(k) for k in np.flatnonzero((change > 12) & (change > 5 * usual))}
    points = evidence.landmarks_px[:, :N_MESH, :2]
    follows = np.flatnonzero(np.diff(evidence.frame_ids) == 1)
    if len(follows):
        eyes_px = np.linalg.norm(points[:, LEFT_EYE_OUTER] - points[:, RIGHT_EYE_OUTER], axis=-1)
        jump = np.median(np.linalg.norm(points[follows + 1] - points[follows], axis=-1), axis=1) / eyes_px[follows]
        jumps = evidence.frame_ids[follows[(jump > 0.3) & (jump > 8 * np.median(jump))] + 1]
        cuts |= {int(k) for k in jumps if not cuts & {int(k) - 1, int(k), int(k) + 1}}
    return [look.start_s + k / FPS for k in sorted(cuts)]


def _warn_if(is_bad: bool, name: str, figure: str, message: str, cure: str) -> Finding:
    """A rule with one bound: a warning beyond it, nothing to say within."""
    return Finding(name, figure, "warn", message, cure) if is_bad else Finding(name, figure, "go")


def _length(look: Look) -> Finding:
    figure = f"{look.length_s:.1f} s"
    if look.survey.n_frames < MIN_FRAMES:
        cure = "Film at least 20 s, better 2 to 5 minutes."
        if look.timing.missing_s > 0.5:
            cure = f"{_COPY_AGAIN} {look.timing.missing_s:.1f} s are missing at its end."
        return Finding("length", figure, "no-go", "Too short to learn from.", cure)
    message = "Few different sounds are heard, so the lips will be approximate on new speech."
    cure = "Film longer: 20 s is little, 2 to 5 minutes are good."
    return _warn_if(look.length_s < 20, "length", figure, message, cure)


def _wholeness(look: Look) -> Finding:
    timing = look.timing
    if timing.missing_s > 0.5:
        figure = f"ends {timing.missing_s:.1f} s early"
        message = (
            f"It promises {timing.duration_s + timing.missing_s:.1f} s of picture, but only {timing.duration_s:.1f} s can be "
            "decoded: it is cut off or damaged, and the rest is not used."
        )
        return Finding("file", figure, "warn", message, _COPY_AGAIN)
    message = "Parts of its picture cannot be decoded; it stands still or breaks up there."
    figure = f"{timing.n_damaged} damaged pieces" if timing.n_damaged else "whole"
    return _warn_if(timing.n_damaged > 0, "file", figure, message, _COPY_AGAIN)


def _picture_size(look: Look) -> Finding:
    figure = f"{look.survey.width}x{look.survey.height} pixels"
    if min(look.survey.width, look.survey.height) < MIN_PICTURE_PX:
        message = f"Too small to show a face: {MIN_PICTURE_PX}x{MIN_PICTURE_PX} is the least, 500x500 and more is good."
        return Finding("picture size", figure, "no-go", message, "Give the video in its full resolution.")
    return Finding("picture size", figure, "go")


def _frame_rate(look: Look) -> Finding:
    stored, true = look.timing.stored_fps, look.timing.true_fps
    figure = f"{true:.2f} fps"
    if stored > 1.02 * true:
        figure += f" (stored as {stored:.2f} with repeats)"
    if true < 10:
        return Finding(
            "frame rate", figure, "no-go", "Lips move faster than this.", "Film at 25 frames per second or more."
        )
    if true < 23.5:
        message = "Frames are shown more than once on the 25 fps timeline, so motion stutters."
        return Finding("frame rate", figure, "warn", message, "Film at 25 frames per second or more.")
    message = f"The picture stands still for up to {look.timing.longest_gap_s:.1f} s (dropped frames)."
    cure = "Film without pauses, or cut that part with --start-s/--end-s."
    return _warn_if(look.timing.longest_gap_s > 0.5, "frame rate", figure, message, cure)


def _face_size(look: Look) -> Finding:
    boxes = main_face(look.survey)
    side_px = float(np.median([box.side_px for _, box in boxes])) if boxes else 0.0
    figure = f"{side_px:.0f} px in {look.survey.width}x{look.survey.height}"
    cure = "Film closer, or give the video in its full resolution."
    if not boxes:
        figure = f"none in {len(look.survey.samples)} frames looked at"
        message = "No face was found."
        return Finding("face size", figure, "no-go", message, "Give a video in which one person faces the camera.")
    if side_px < MIN_FACE_PX:
        message = f"Lips of a few pixels cannot be learned; at least {MIN_FACE_PX} pixels of face are needed."
        return Finding("face size", figure, "no-go", message, cure)
    message = "The portrait will be soft: the papers' faces measure 220 px and more."
    return _warn_if(side_px < 160, "face size", figure, message, cure)


def _sound_present(look: Look) -> Finding:
    if not look.info.has_sound:
        message = "A portrait learns how lips follow sound; this video has no sound track."
        return Finding("sound", "none", "no-go", message, "Give the recording with its sound.")
    kind = {1: "mono", 2: "stereo"}.get(look.info.channels, f"{look.info.channels} channels")
    return Finding("sound", f"{look.info.sample_rate_hz} Hz {kind}", "go")


def usable_frames_finding(n_usable: int, n_frames: int, n_unheard: int = 0) -> Finding:
    """How many frames show the whole face of the main person and have their sound; `n_unheard` of all have none."""
    share = n_usable / max(1, n_frames)
    unheard = f", {n_unheard} without sound" if n_unheard else ""
    figure = f"{100 * share:.1f} % ({n_usable} of {n_frames}{unheard})"
    if (share < 0.3 or n_usable < MIN_FRAMES) and n_unheard > n_frames / 2:
        message = "Most frames have no sound, from which lips could be learned."
        cure = "Give a video whose sound lasts as long as its picture, or choose the part with sound with --start-s/--end-s."
        return Finding("usable frames", figure, "no-go", message, cure)
    if share < 0.3 or n_usable < MIN_FRAMES:
        message = "Too few frames show a whole face."
        cure = "Give a video in which one person faces the camera, or choose a part with --start-s/--end-s."
        return Finding("usable frames", figure, "no-go", message, cure)
    message = "The other frames are left out and not learned from."
    cure = "Choose the part with face and sound with --start-s/--end-s."
    return _warn_if(share < 0.95, "usable frames", figure, message, cure)


def _second_face(look: Look) -> Finding:
    main = dict(main_face(look.survey))
    others = [
        sample
        for sample in look.survey.samples
        if sample.index in main
        and any(f is not main[sample.index] and f.side_px > 0.4 * main[sample.index].side_px for f in sample.faces)
    ]
    share = len(others) / max(1, len(look.survey.samples))
    figure = f"{100 * share:.0f} % of the time"
    message = "Someone else is in the picture; the face that stays longest is followed."
    return _warn_if(
        share > 0.02, "second face", figure, message, "Crop the video to one person, or choose another part."
    )


def _cuts(look: Look, e: Evidence) -> Finding:
    cuts = find_cuts(look, e)
    times = ", ".join(f"{time_s:.1f} s" for time_s in cuts[:5]) + (", ..." if len(cuts) > 5 else "")
    figure = f"{len(cuts)} ({times})" if cuts else "none"
    message = "Framing or posture jumps there; body and background of the parts do not fit together."
    return _warn_if(bool(cuts), "cuts", figure, message, "Choose one uncut part with --start-s/--end-s.")


def _camera(e: Evidence) -> Finding:
    motion = e.pictures.camera_motion
    if motion is None:
        return Finding("camera motion", "cannot be told", "go", "The background is too smooth to see motion in it.")
    figure = f"{100 * motion:.1f} % of the picture"
    message = "The background is learned as a still picture, so its motion becomes blur around the head."
    cure = "Put the camera on a tripod and switch zoom and tracking off."
    return _warn_if(motion > 0.01, "camera motion", figure, message, cure)


def mouth_range(landmarks_px: Float[np.ndarray, "frames 478 3"]) -> Finding:
    """How far the lips move."""
    low, high = np.percentile(lip_opening(landmarks_px), [5, 95]).tolist()
    figure = f"{high - low:.2f} eye distances"
    if high - low < 0.03:
        message = "The lips hardly move: this is no one speaking, or the mouth is hidden."
        return Finding(
            "mouth range", figure, "no-go", message, "Give a video in which the person speaks, mouth in view."
        )
    message = "The lips move little, and so will the portrait's."
    return _warn_if(high - low < 0.06, "mouth range", figure, message, "Speak clearly, with open vowels.")


def _blinks(e: Evidence) -> Finding:
    count = len(find_blinks(eye_closure(e.landmarks_px), FPS))
    message = "Closed eyes are never or hardly seen, so the portrait cannot learn to blink."
    return _warn_if(count < 2, "blinks", str(count), message, "Blink as usual while filming; a few times suffice.")


def _sharpness(e: Evidence) -> Finding:
    figure = f"{e.pictures.detail:.2f} (sharp from {SHARP} on)"
    message = "The face is out of focus, moved, or enlarged from a smaller video; the portrait will be as soft."
    cure = "Focus on the eyes, use more light, give the original file."
    return _warn_if(e.pictures.detail < SHARP, "sharpness", figure, message, cure)


def _light_range(look: Look) -> Finding:
    is_hdr = look.info.is_high_dynamic_range
    message = "Taken as ordinary colours, a video filmed in HDR looks pale."
    cure = "Switch HDR off in the camera, or convert the file to SDR."
    return _warn_if(is_hdr, "colours", "HDR" if is_hdr else "ordinary", message, cure)


def _noise(e: Evidence) -> Finding:
    figure = f"{e.pictures.noise:.1f} of 255"
    message = "The picture is grainy; hair and mattes will be rough."
    return _warn_if(e.pictures.noise > 5, "image noise", figure, message, "Film with more light.")


def _light(e: Evidence) -> Finding:
    figure = f"{e.pictures.face_brightness:.0f} of 255"
    is_bad = not 35 <= e.pictures.face_brightness <= 225
    message = "The face is too dark or too bright to show its shape."
    return _warn_if(is_bad, "face brightness", figure, message, "Light the face evenly from the front.")


def loudness(sound: SoundQuality) -> Finding:
    """Whether there is speech, loud enough."""
    figure = f"{sound.speech_level_db:.0f} dB"
    if sound.speech_level_db <= -65:
        return Finding("loudness", figure, "no-go", "There is nothing to hear.", "Give a video with its sound.")
    is_quiet = sound.speech_level_db < -42
    return _warn_if(is_quiet, "loudness", figure, "The speech is very quiet.", "Record closer to the mouth.")


def _clipping(e: Evidence) -> Finding:
    figure = f"{100 * e.sound.clipped_share:.2f} %"
    message = "The recording was too loud and is distorted."
    return _warn_if(e.sound.clipped_share > 0.001, "clipping", figure, message, "Lower the recording level.")


def _pauses(e: Evidence) -> Finding:
    figure = f"{100 * e.sound.pause_share:.0f} %"
    if e.sound.pause_share > 0.6:
        message = "Little of the video is speech."
        return Finding("pauses", figure, "warn", message, "Choose the part with speech with --start-s/--end-s.")
    message = "There is hardly a pause, so what the mouth does in silence is not seen."
    cure = "Let the person rest for some seconds, mouth closed."
    return _warn_if(e.sound.pause_share < 0.02, "pauses", figure, message, cure)


def _speech_over_noise(e: Evidence) -> Finding:
    figure = f"{e.sound.speech_over_noise_db:.0f} dB"
    message = "Noise, music or echo fills the pauses; the mouth will move in silence."
    cure = "Record in a quiet room, close to the mouth, without music."
    return _warn_if(e.sound.speech_over_noise_db < 12, "speech over noise", figure, message, cure)


def _sound_offset(e: Evidence) -> Finding:
    figure = f"{e.offset.measured_s:+.2f} s (confidence {e.offset.confidence:.2f})"
    if e.offset.confidence < APPLY_FROM:
        message = "Whether sound and lips are in sync cannot be told; the sound is used as it is."
        return Finding(
            "sound after lips", figure, "warn", message, "Give a longer part, or the lag with --sound-offset-s."
        )
    if abs(e.offset.applied_s) > 0.4:
        message = "Sound and lips are far apart; an offset this large is measured less surely."
        return Finding(
            "sound after lips", figure, "warn", message, "Check it by eye, and give the lag with --sound-offset-s."
        )
    return Finding("sound after lips", figure, "go", "Taken out by prepare." if abs(e.offset.applied_s) >= 0.02 else "")


def _lips_follow_sound(e: Evidence) -> Finding:
    figure = f"correlation {e.offset.correlation:.2f}"
    if e.offset.confidence == 0:
        return Finding("lips follow sound", "not measured", "go", "It takes some seconds of speech to tell.")
    message = "The sound does not explain the lips: a dubbed film, another speaker, music, or a hidden mouth."
    cure = "Give a video with the person's own voice."
    return _warn_if(e.offset.correlation < 0.2, "lips follow sound", figure, message, cure)


LOOK_RULES: tuple[Callable[[Look], Finding], ...] = (
    _wholeness,
    _picture_size,
    _length,
    _frame_rate,
    _light_range,
    _sound_present,
    _face_size,
    _second_face,
)
"""Rules that need no landmarks, in the order they are shown."""
RULES: tuple[Callable[[Evidence], Finding], ...] = (
    _camera,
    lambda e: mouth_range(e.landmarks_px),
    _blinks,
    _sharpness,
    _noise,
    _light,
    lambda e: loudness(e.sound),
    _clipping,
    _pauses,
    _speech_over_noise,
    _sound_offset,
    _lips_follow_sound,
)
"""Rules on what was measured, in the order they are shown."""


def expected_quality(findings: tuple[Finding, ...]) -> Finding:
    """The sum of it."""
    stops = [finding.name for finding in findings if finding.verdict == "no-go"]
    doubts = [finding.name for finding in findings if finding.verdict == "warn"]
    if stops:
        return Finding(
            "expected quality", "none", "no-go", f"No portrait can come from this: {', '.join(stops)}.", "See above."
        )
    if len(doubts) >= 3:
        return Finding(
            "expected quality", "poor", "warn", f"Several things will show: {', '.join(doubts)}.", "See above."
        )
    if doubts:
        return Finding("expected quality", "fair", "warn", f"This will show: {', '.join(doubts)}.", "See above.")
    return Finding("expected quality", "good", "go", "As good as the clips of the papers.")
