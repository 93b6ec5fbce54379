"""The road from a video to a talking film: doctor, prepare, train, render, and demo, which goes all of it."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from loquent.commands.arguments import (
    ClipFolder,
    MaybeCount,
    MaybeNumber,
    MaybePath,
    MaybeText,
    PortraitFile,
    SoundFile,
    VideoFile,
    check_seed,
)
from loquent.config import PrepareConfig
from loquent.errors import InputError

_PREPARE_DEFAULTS = PrepareConfig()
MOST_MINUTES = 60 * 24 * 30
"""Of one training: a month."""
DEMO_SECONDS = (2.0, 3600.0)
"""Shortest and longest film of the demo: what `doctor` lets pass, and what nobody films by mistake."""
DEMO_SIZES = (96, 2048)
"""Smallest and largest pictures of it: in smaller ones `doctor` finds the face too small, larger ones `prepare` refuses."""


def doctor(video: VideoFile, /, start_s: float = 0.0, end_s: MaybeNumber = None, json: MaybePath = None) -> int:
    """Say within a minute or so whether a video can become a portrait, and what to improve. Exit code 1 means no.

    Example: loquent doctor me.mp4

    Args:
        video: the video to judge.
        start_s: skip this much of its start, in seconds.
        end_s: stop at this second; nothing = its end.
        json: also write the findings to this file.
    """
    from loquent.prepare.doctor import examine
    from loquent.prepare.judge import worst
    from loquent.prepare.report import print_findings
    from loquent.storage import check_json_place, write_json

    if json is not None:
        check_json_place(json, video)
    findings = examine(video, start_s=start_s, end_s=end_s)
    verdict = worst(findings)
    print_findings(findings)
    if json is not None:
        facts = [finding.to_json() for finding in findings]
        write_json(json, {"video": video.name, "verdict": verdict, "findings": facts})
    return 1 if verdict == "no-go" else 0


def prepare(
    video: VideoFile,
    /,
    out: Path,
    config: Annotated[PrepareConfig, arg(name="")] = _PREPARE_DEFAULTS,
) -> int:
    """Turn a video into a clip folder. Run it again to resume: finished steps are kept, but those that other options change.

    Example: loquent prepare me.mp4 --out me_clip

    Args:
        video: a video of one person who faces a still camera and speaks, 20 seconds or longer.
        out: the clip folder to make, or to finish.
        config: sizes and times.
    """
    from loquent.prepare.report import Bars, print_clip
    from loquent.prepare.steps import prepare_clip

    with Bars() as bars:
        clip = prepare_clip(video, out, config, bars)
    print_clip(clip, bars.n_kept)
    return 0


def train(
    clip: ClipFolder,
    /,
    out: Path,
    preset: str = "quick",
    minutes: MaybeNumber = None,
    landmarks: MaybePath = None,
    seed: int = 0,
    device: str = "auto",
) -> int:
    """Train a portrait on a clip folder. Run it again to resume; Ctrl-C loses less than a minute.

    Example: loquent train me_clip --minutes 8 --out me.portrait

    Args:
        clip: a folder made by `loquent prepare`.
        out: the portrait file to write, usually NAME.portrait.
        preset: quick (minutes on a CPU), paper (ER-NeRF's own schedule: for a GPU and hours), or a head that landmarks move:
            r2_talker, the same without coarse-to-fine training (r2_talker_at_once) or with all points of the face
            (r2_talker_dense), and geneface; or the methods before: rad_nerf, and ad_nerf, which renders minutes a picture
            on a CPU.
        minutes: time budget instead of the preset's; 0 = the preset's steps, however long they take. After a finished training
            another number begins anew, and its portrait replaces the one before.
        landmarks: GeneFace's aud_idexp.npy of this film, instead of the clip's own landmarks.
        seed: of all random numbers.
        device: cpu, cuda, or auto for the best there is.
    """
    from loquent.data.clip import Clip
    from loquent.exchange.rad_folder import read_landmark_file
    from loquent.training.presets import preset_called
    from loquent.training.train import few_steps_note
    from loquent.training.train import train as train_portrait

    chosen = preset_called(preset)
    if minutes is not None and not 0 <= minutes <= MOST_MINUTES:
        raise InputError(f"--minutes must lie between 0 and a month, but is {minutes}.")
    check_seed(seed)
    measured = read_landmark_file(landmarks) if landmarks else None
    made = train_portrait(Clip.open(clip), out, chosen, minutes=minutes, landmarks=measured, seed=seed, device=device)
    if (note := few_steps_note(made)) is not None:
        print(note)
    print(f"Make it speak: loquent render {out} SPEECH.wav --out film.mp4")
    print(f"Measure it on frames it never saw: loquent evaluate {out} {clip}")
    return 0


def render(
    portrait: PortraitFile,
    sound: SoundFile,
    /,
    out: Path,
    motion: MaybePath = None,
    size: MaybeCount = None,
    background: MaybeText = None,
    still: MaybeNumber = None,
    seconds: MaybeNumber = None,
    mouth_gain: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
) -> int:
    """Make a portrait speak any sound: a film with that sound.

    Example: loquent render me.portrait speech.wav --out film.mp4

    Args:
        portrait: a portrait file.
        sound: any sound file, or a video file with sound.
        out: the film to write (mp4), or the picture with --still.
        motion: head motion, blinks and brows from this CSV or JSON file; `loquent inspect --motion` writes one to edit.
        size: rows of the film; nothing = as trained.
        background: a picture file, whose middle fills the film, white, black, green, or #rrggbb; nothing = the clip's own.
        still: write only the picture at this second.
        seconds: write only this much of the film's beginning; nothing = all of it.
        mouth_gain: move the lips more (above 1, up to 3) or less (below 1; 0 = not at all) than predicted; they close in
            pauses and on p, b and m all the same.
        seed: another number gives another path through the clip's head motion.
        device: cpu, cuda, or auto for the best there is.
    """
    from loquent.portrait import Portrait
    from loquent.speak import speak, speak_still

    check_seed(seed)
    if still is not None and seconds is not None:
        raise InputError("--still writes one picture, --seconds a film: give one of them.")
    person = Portrait.load(portrait, device)
    if still is not None:
        speak_still(
            person,
            sound,
            out,
            at_s=still,
            motion=motion,
            size=size,
            background=background,
            mouth_gain=mouth_gain,
            seed=seed,
        )
    else:
        speak(
            person,
            sound,
            out,
            motion=motion,
            size=size,
            background=background,
            mouth_gain=mouth_gain,
            seconds=seconds,
            seed=seed,
        )
    print(f"Wrote {out}.")
    return 0


def demo(out: Path = Path("demo"), seconds: float = 14.0, size: int = 256, minutes: float = 3.0, seed: int = 0) -> int:
    """The whole road on an actor made by this program: film, clip, portrait, talking film, figures.

    Example: loquent demo --out demo

    Args:
        out: the folder to write.
        seconds: length of the actor's film.
        size: rows and columns of its pictures.
        minutes: training time.
        seed: of the actor's motion and speech.
    """
    from loquent.demo import run_demo
    from loquent.storage import check_folder_place

    bounds = {"seconds": (seconds, *DEMO_SECONDS), "size": (size, *DEMO_SIZES), "minutes": (minutes, 0, MOST_MINUTES)}
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:
            raise InputError(f"--{name} must lie between {least:g} and {most:g}, but is {value:g}.")
    check_seed(seed)
    check_folder_place(out)
    run_demo(out, seconds=seconds, size=size, minutes=minutes, seed=seed)
    return 0
