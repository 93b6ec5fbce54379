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
from loquent.media.timing import FrameTiming
from loquent.prepare.picture_quality import PictureQuality
from loquent.prepare.sound_offset import APPLY_FROM, SoundOffset
from loquent.prepare.sound_quality import SoundQuality
from loquent.prepare.survey import Survey, main_face

FPS = 25.0
MIN_FRAMES = 50
"""Shorter videos than two seconds hold nothing to learn and nothing to test on."""
MIN_FACE_PX = 40
"""Side of the face box below which landmarks are guesses."""


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


def judge_look(look: Look) -> tuple[Finding, ...]:
    """One finding per rule that needs no landmarks."""
    return tuple(rule(look) for rule in LOOK_RULES)


def judge(look: Look, evidence: Evidence) -> tuple[Finding, ...]:
    """All findings, and at the end what can be expected of the portrait."""
    usable = usable_frames_finding(len(evidence.frame_ids), look.survey.n_frames)
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


def _length(look: Look) -> Finding:
    figure = f"{look.length_s:.1f} s"
    if look.survey.n_frames < MIN_FRAMES:
        return Finding(
            "length", figure, "no-go", "Too short to learn from.", "Film at least 20 s, better 2 to 5 minutes."
        )
    if look.length_s < 20:
        message = "Few different sounds are heard, so the lips will be approximate on new speech."
        return Finding("length", figure, "warn", message, "Film longer: 20 s is little, 2 to 5 minutes are good.")
    return Finding("length", figure, "go")


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
    if look.timing.missing_s > 0.5 or look.timing.n_damaged:
        message = f"The file is damaged: {look.timing.missing_s:.1f} s of its picture cannot be decoded."
        return Finding("frame rate", figure, "warn", message, "Copy the file again from its origin.")
    if look.timing.longest_gap_s > 0.5:
        message = f"The picture stands still for up to {look.timing.longest_gap_s:.1f} s (dropped frames)."
        return Finding(
            "frame rate", figure, "warn", message, "Film without pauses, or cut that part with --start-s/--end-s."
        )
    return Finding("frame rate", figure, "go")


def _face_size(look: Look) -> Finding:
    boxes = main_face(look.survey)
    side_px = float(np.median([box.side_px for _, box in boxes])) if boxes else 0.0
    figure = f"{side_px:.0f} px in {look.survey.width}x{look.survey.height}"
    if not boxes:
        figure = f"none in {len(look.survey.samples)} frames looked at"
        message = "No face was found."
        return Finding("face size", figure, "no-go", message, "Give a video in which one person faces the camera.")
    if side_px < MIN_FACE_PX:
        message = f"Lips of a few pixels cannot be learned; at least {MIN_FACE_PX} pixels of face are needed."
        return Finding("face size", figure, "no-go", message, "Film closer, or give the video in its full resolution.")
    if side_px < 160:
        message = "The portrait will be soft: the papers' faces measure 220 px and more."
        return Finding("face size", figure, "warn", message, "Film closer, or give the video in its full resolution.")
    return Finding("face size", figure, "go")


def _sound_present(look: Look) -> Finding:
    if not look.info.has_sound:
        message = "A portrait learns how lips follow sound; this video has no sound track."
        return Finding("sound", "none", "no-go", message, "Give the recording with its sound.")
    kind = {1: "mono", 2: "stereo"}.get(look.info.channels, f"{look.info.channels} channels")
    return Finding("sound", f"{look.info.sample_rate_hz} Hz {kind}", "go")


def usable_frames_finding(n_usable: int, n_frames: int) -> Finding:
    """How many frames show the whole face of the main person."""
    share = n_usable / max(1, n_frames)
    figure = f"{100 * share:.1f} % ({n_usable} of {n_frames})"
    if share < 0.3 or n_usable < MIN_FRAMES:
        message = "Too few frames show a whole face."
        cure = "Give a video in which one person faces the camera, or choose a part with --start-s/--end-s."
        return Finding("usable frames", figure, "no-go", message, cure)
    if share < 0.95:
        message = "The other frames are left out; their sound is not learned from."
        return Finding(
            "usable frames", figure, "warn", message, "Choose the part with the face with --start-s/--end-s."
        )
    return Finding("usable frames", figure, "go")


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
    if share > 0.02:
        message = "Someone else is in the picture; the face that stays longest is followed."
        return Finding("second face", figure, "warn", message, "Crop the video to one person, or choose another part.")
    return Finding("second face", figure, "go")


def _cuts(look: Look, e: Evidence) -> Finding:
    cuts = find_cuts(look, e)
    times = ", ".join(f"{time_s:.1f} s" for time_s in cuts[:5]) + (", ..." if len(cuts) > 5 else "")
    figure = f"{len(cuts)} ({times})" if cuts else "none"
    if cuts:
        message = "Framing or posture jumps there; body and background of the parts do not fit together."
        return Finding("cuts", figure, "warn", message, "Choose one uncut part with --start-s/--end-s.")
    return Finding("cuts", figure, "go")


def _camera(e: Evidence) -> Finding:
    motion = e.pictures.camera_motion
    if motion is None:
        return Finding("camera motion", "cannot be told", "go", "The background is too smooth to see motion in it.")
    figure = f"{100 * motion:.1f} % of the picture"
    if motion > 0.01:
        message = "The background is learned as a still picture, so its motion becomes blur around the head."
        return Finding(
            "camera motion", figure, "warn", message, "Put the camera on a tripod and switch zoom and tracking off."
        )
    return Finding("camera motion", figure, "go")


def mouth_range(landmarks_px: Float[np.ndarray, "frames 478 3"]) -> Finding:
    """How far the lips move."""
    low, high = np.percentile(lip_opening(landmarks_px), [5, 95])
    figure = f"{high - low:.2f} eye distances"
    if high - low < 0.03:
        message = "The lips hardly move: this is no one speaking, or the mouth is hidden."
        return Finding(
            "mouth range", figure, "no-go", message, "Give a video in which the person speaks, mouth in view."
        )
    if high - low < 0.06:
        message = "The lips move little, and so will the portrait's."
        return Finding("mouth range", figure, "warn", message, "Speak clearly, with open vowels.")
    return Finding("mouth range", figure, "go")


def _blinks(e: Evidence) -> Finding:
    count = len(find_blinks(eye_closure(e.landmarks_px), FPS))
    if count < 2:
        message = "Closed eyes are never or hardly seen, so the portrait cannot learn to blink."
        return Finding("blinks", str(count), "warn", message, "Blink as usual while filming; a few times suffice.")
    return Finding("blinks", str(count), "go")


def _sharpness(e: Evidence) -> Finding:
    figure = f"{e.pictures.detail:.2f} of the texture is fine"
    if e.pictures.detail < 0.18:
        message = "The face is out of focus, moved, or enlarged from a smaller video; the portrait will be as soft."
        return Finding(
            "sharpness", figure, "warn", message, "Focus on the eyes, use more light, give the original file."
        )
    return Finding("sharpness", figure, "go")


def _light_range(look: Look) -> Finding:
    if look.info.is_high_dynamic_range:
        message = "Taken as ordinary colours, a video filmed in HDR looks pale."
        return Finding("colours", "HDR", "warn", message, "Switch HDR off in the camera, or convert the file to SDR.")
    return Finding("colours", "ordinary", "go")


def _noise(e: Evidence) -> Finding:
    figure = f"{e.pictures.noise:.1f} of 255"
    if e.pictures.noise > 5:
        message = "The picture is grainy; hair and mattes will be rough."
        return Finding("image noise", figure, "warn", message, "Film with more light.")
    return Finding("image noise", figure, "go")


def _light(e: Evidence) -> Finding:
    figure = f"{e.pictures.face_brightness:.0f} of 255"
    if not 35 <= e.pictures.face_brightness <= 225:
        message = "The face is too dark or too bright to show its shape."
        return Finding("face brightness", figure, "warn", message, "Light the face evenly from the front.")
    return Finding("face brightness", figure, "go")


def loudness(sound: SoundQuality) -> Finding:
    """Whether there is speech, loud enough."""
    figure = f"{sound.speech_level_db:.0f} dB"
    if sound.speech_level_db <= -65:
        return Finding("loudness", figure, "no-go", "There is nothing to hear.", "Give a video with its sound.")
    if sound.speech_level_db < -42:
        return Finding("loudness", figure, "warn", "The speech is very quiet.", "Record closer to the mouth.")
    return Finding("loudness", figure, "go")


def _clipping(e: Evidence) -> Finding:
    figure = f"{100 * e.sound.clipped_share:.2f} %"
    if e.sound.clipped_share > 0.001:
        message = "The recording was too loud and is distorted."
        return Finding("clipping", figure, "warn", message, "Lower the recording level.")
    return Finding("clipping", figure, "go")


def _pauses(e: Evidence) -> Finding:
    figure = f"{100 * e.sound.pause_share:.0f} %"
    if e.sound.pause_share > 0.6:
        message = "Little of the video is speech."
        return Finding("pauses", figure, "warn", message, "Choose the part with speech with --start-s/--end-s.")
    if e.sound.pause_share < 0.02:
        message = "There is hardly a pause, so what the mouth does in silence is not seen."
        return Finding("pauses", figure, "warn", message, "Let the person rest for some seconds, mouth closed.")
    return Finding("pauses", figure, "go")


def _speech_over_noise(e: Evidence) -> Finding:
    figure = f"{e.sound.speech_over_noise_db:.0f} dB"
    if e.sound.speech_over_noise_db < 12:
        message = "Noise, music or echo fills the pauses; the mouth will move in silence."
        return Finding(
            "speech over noise", figure, "warn", message, "Record in a quiet room, close to the mouth, without music."
        )
    return Finding("speech over noise", figure, "go")


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
        return Finding("lips follow sound", "not measured", "go", "It takes about six seconds of speech to tell.")
    if e.offset.correlation < 0.2:
        message = "The sound does not explain the lips: a dubbed film, another speaker, music, or a hidden mouth."
        return Finding("lips follow sound", figure, "warn", message, "Give a video with the person's own voice.")
    return Finding("lips follow sound", figure, "go")


LOOK_RULES: tuple[Callable[[Look], Finding], ...] = (
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
