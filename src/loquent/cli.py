"""The command line: each command is a function of this file, imports what it needs when it runs, and returns an exit code."""

import errno
import inspect
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from loquent import __version__
from loquent.config import PrepareConfig
from loquent.errors import InputError, LoquentError

Positional = tyro.conf.Positional
_PREPARE_DEFAULTS = PrepareConfig()
SPIN_ROUNDS = "2000"
"""How often an idle OpenMP thread looks for work before it sleeps; see docs/architecture.md, Performance."""


def prepare(
    video: Positional[Path],
    /,
    out: Path,
    config: Annotated[PrepareConfig, tyro.conf.arg(name="")] = _PREPARE_DEFAULTS,
) -> int:
    """Turn a video into a clip folder. Run it again to resume: finished steps are kept.

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
    print_clip(clip)
    return 0


def doctor(
    video: Positional[Path], /, start_s: float = 0.0, end_s: float | None = None, json: Path | None = None
) -> int:
    """Say in seconds whether a video can become a portrait, and what to improve. Exit code 1 means no.

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
    from loquent.storage import write_json

    findings = examine(video, start_s=start_s, end_s=end_s)
    verdict = worst(findings)
    print_findings(findings)
    if json is not None:
        facts = [finding.to_json() for finding in findings]
        write_json(json, {"video": video.name, "verdict": verdict, "findings": facts})
    return 1 if verdict == "no-go" else 0


def train(
    clip: Positional[Path],
    /,
    out: Path,
    preset: str = "quick",
    minutes: float | None = None,
    landmarks: Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> int:
    """Train a portrait on a clip folder. Run it again to resume; Ctrl-C loses nothing.

    Example: loquent train me_clip --minutes 8 --out me.portrait

    Args:
        clip: a folder made by `loquent prepare`.
        out: the portrait file to write, by custom NAME.portrait.
        preset: quick (minutes on a CPU), paper (ER-NeRF's own schedule: for a GPU and hours), or a head that landmarks move:
            r2_talker, the same without coarse-to-fine training (r2_talker_at_once) or with all points of the face
            (r2_talker_dense), and geneface.
        minutes: time budget instead of the preset's; 0 = the preset's steps, however long they take.
        landmarks: GeneFace's aud_idexp.npy of this film, instead of the clip's own landmarks.
        seed: of all random numbers.
        device: cpu, cuda, or auto for the best there is.
    """
    from loquent.data.clip import Clip
    from loquent.exchange.rad_folder import read_landmark_file
    from loquent.training.presets import preset_called
    from loquent.training.train import train as train_portrait

    chosen = preset_called(preset)
    if minutes is not None and not 0 <= minutes <= 60 * 24 * 30:
        raise InputError(f"--minutes must lie between 0 and a month, but is {minutes}.")
    if out.is_dir():
        raise InputError(f"--out must name a file, but {out} is a folder. Example: --out {out / 'me.portrait'}")
    measured = read_landmark_file(landmarks) if landmarks else None
    train_portrait(Clip.open(clip), out, chosen, minutes=minutes, landmarks=measured, seed=seed, device=device)
    print(f"Wrote {out}. Make it speak: loquent render {out} SPEECH.wav --out film.mp4")
    return 0


def render(
    portrait: Positional[Path],
    sound: Positional[Path],
    /,
    out: Path,
    motion: Path | None = None,
    size: int | None = None,
    background: str | None = None,
    still: float | None = None,
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
        background: a picture file, white, black, green, or #rrggbb; nothing = the clip's own background.
        still: write only the picture at this second.
        seed: another number gives another path through the clip's head motion.
        device: cpu or cuda.
    """
    from loquent.portrait import Portrait
    from loquent.speak import speak, speak_still

    person = Portrait.load(portrait, device)
    if still is not None:
        speak_still(person, sound, out, at_s=still, motion=motion, size=size, background=background, seed=seed)
    else:
        speak(person, sound, out, motion=motion, size=size, background=background, seed=seed)
    print(f"Wrote {out}.")
    return 0


def evaluate(
    portrait: Positional[Path],
    clip: Positional[Path],
    /,
    drive: Path | None = None,
    phones: Path | None = None,
    size: int | None = None,
    json: Path | None = None,
    frames: Path | None = None,
    sheet: Path | None = None,
    settings: tuple[Literal["head", "full"], ...] = (),
    shuffle_sound: bool = True,
    landmarks: Path | None = None,
    device: str = "cpu",
) -> int:
    """Measure a portrait on the frames of a clip that did not train it, or with --drive on how its lips follow another voice.

    Example: loquent evaluate me.portrait me_clip --json figures.json --sheet sheet.png
    Example: loquent evaluate me.portrait me_clip --drive speech.wav --phones speech.csv --size 256

    Args:
        portrait: a portrait file.
        clip: the clip folder it was trained on.
        drive: let this sound move the lips, and measure what they do at its phones and in its silence; a film of somebody
            speaking adds a comparison with the speaker's lips.
        phones: when which phone is spoken in it: a table with the columns start_s, end_s, phone (IPA or ARPAbet), a TextGrid of
            Praat, or a .lab file; nothing = as the phonetic encoder hears it.
        size: with --drive, rows of the pictures; nothing = as trained.
        json: also write all figures to this file.
        frames: also write every real and rendered frame as PNG into this folder, so that others can check the figures.
        sheet: also draw real, rendered and error pictures into this PNG or JPEG file; with --drive closures, vowels, silence
            and the curve of the lips.
        settings: head = the rendered head over the real torso and background, as in the papers; full = all rendered; nothing =
            both, or with --drive the head.
        shuffle_sound: measure also with the sound shuffled in time: lips that follow the sound must then score worse.
        landmarks: move the lips by this file (GeneFace's aud_idexp.npy of this film) instead of the sound.
        device: cpu or cuda.
    """
    from loquent.data.clip import Clip
    from loquent.evaluation.evaluate import evaluate as measure
    from loquent.evaluation.other_voice import measure_other_voice
    from loquent.evaluation.report import print_evaluation, print_other_voice, write_report
    from loquent.exchange.rad_folder import read_landmark_file
    from loquent.portrait import Portrait
    from loquent.progress import Progress

    if drive is None and (phones is not None or size is not None):
        raise InputError("--phones and --size belong to --drive SOUND: without it the clip's own frames are measured.")
    person = Portrait.load(portrait, device)
    if drive is not None:
        with Progress("Evaluating", unit="frame") as bar:
            driven = measure_other_voice(
                person,
                Clip.open(clip),
                drive,
                phones,
                settings=settings or ("head",),
                size=size,
                frames_dir=frames,
                sheet=sheet,
                shuffle_sound=shuffle_sound,
                progress=lambda done, total: bar.set(done, total=total),
            )
        print_other_voice(driven)
        if json is not None:
            write_report(json, driven)
        return 0
    with Progress("Evaluating", unit="frame") as bar:
        figures = measure(
            person,
            Clip.open(clip),
            settings=settings or ("head", "full"),
            frames_dir=frames,
            sheet=sheet,
            shuffle_sound=shuffle_sound,
            landmarks=read_landmark_file(landmarks) if landmarks else None,
            progress=lambda done, total: bar.set(done, total=total),
        )
    print_evaluation(figures)
    if json is not None:
        write_report(json, figures)
    return 0


def score(
    video: Positional[Path],
    /,
    against: Path,
    trim: bool = False,
    action_units: tuple[Path, Path] | None = None,
    json: Path | None = None,
) -> int:
    """Measure any video, whoever made it, against the real one with the metrics of `evaluate`.

    Example: loquent score theirs.mp4 --against real.mp4 --json figures.json

    Args:
        video: the video to judge.
        against: the real video: same size, and frame k shows the same moment at 25 frames a second.
        trim: compare as long as both last, if one is longer.
        action_units: the CSV files of OpenFace's FeatureExtraction for the video and for the real one; adds AUE.
        json: also write all figures to this file.
    """
    from loquent.evaluation.report import print_score, write_report
    from loquent.evaluation.score import score as measure
    from loquent.progress import Progress

    with Progress("Scoring", unit="frame") as bar:
        figures = measure(
            video,
            against,
            trim=trim,
            action_units=action_units,
            progress=lambda done, total: bar.set(done, total=total),
        )
    print_score(figures)
    if json is not None:
        write_report(json, figures)
    return 0


def compare(
    clip: Positional[Path],
    /,
    out: Path,
    minutes: float = 2.0,
    steps: int = 0,
    systems: tuple[str, ...] = (),
    drive: Path | None = None,
    phones: Path | None = None,
    preset: str = "quick",
    landmarks: bool = False,
    seed: int = 0,
    device: str = "auto",
) -> int:
    """Train every system of ER-NeRF's tables on one clip, each for as long, and set the figures beside the published ones.

    Example: loquent compare me_clip --out tables --minutes 2

    Or compare what makes landmarks from sound: loquent compare me_clip --out tables --landmarks

    Args:
        clip: a clip folder made by `prepare`.
        out: folder for a portrait and the figures of each system, compare.md, compare.json and compare.png; what is finished
            there is kept, and the same command goes on after an interruption.
        minutes: time budget of each system.
        steps: train each for this many steps instead of minutes.
        systems: only these, e.g. er_nerf rad_nerf; nothing = all, see compare.md's tables.
        drive: let this sound, or film of somebody speaking, move every system's lips too, and add the papers' Table 2.
        phones: when which phone is spoken in it, as in `loquent evaluate`; nothing = as the phonetic encoder hears it.
        preset: quick (tracked lips, minutes on a CPU) or paper (the papers' own recipe, for a GPU).
        landmarks: compare generators of landmarks from sound instead, into landmarks.md and landmarks.json; takes minutes on
            the CPU; of the other options only --out and --seed count.
        seed: of all random numbers.
        device: cpu, cuda, or auto for the best there is.
    """
    from loquent.data.clip import Clip

    if landmarks:
        from loquent.compare_landmarks import compare_landmarks

        compare_landmarks(Clip.open(clip), out, seed=seed)
        print(f"Wrote {out / 'landmarks.md'}.")
        return 0
    from loquent.compare import SYSTEMS, with_steps
    from loquent.compare import compare as measure
    from loquent.training.presets import preset_called

    if steps < 0 or (steps == 0 and minutes <= 0):
        raise InputError(f"A comparison needs --minutes or --steps above 0, but got {minutes:g} and {steps}.")
    chosen = preset_called(preset)
    chosen = with_steps(chosen, steps) if steps else replace(chosen, minutes=minutes)
    chosen_systems = systems or tuple(SYSTEMS)
    measure(Clip.open(clip), out, chosen, chosen_systems, drive=drive, phones=phones, seed=seed, device=device)
    print(f"Wrote {out / 'compare.md'}.")
    return 0


def figures(
    portrait: Positional[Path],
    clip: Positional[Path],
    /,
    out: Path,
    against: tuple[Path, ...] = (),
    only: tuple[Literal["key_frames", "attention", "surfaces", "poses"], ...] = (),
    device: str = "cpu",
) -> int:
    """Draw the papers' figures from a portrait: key frames, attention, surfaces, poses beyond the clip's.

    Example: loquent figures me.portrait me_clip --out figures --against other.portrait

    Args:
        portrait: a portrait file.
        clip: the clip folder it was trained on.
        out: folder that gets one PNG a figure.
        against: further portraits of the same clip, drawn below the first.
        only: draw only these; nothing = all.
        device: cpu or cuda.
    """
    from loquent.data.clip import Clip
    from loquent.figures.draw import FIGURES, draw_figures
    from loquent.figures.subject import names_of
    from loquent.portrait import Portrait

    files = (portrait, *against)
    people = {name: Portrait.load(file, device) for name, file in zip(names_of(files), files, strict=True)}
    written, notes = draw_figures(people, Clip.open(clip), out, only or tuple(FIGURES))
    for line in [*(f"Wrote {path}." for path in written), *notes]:
        print(line)
    return 0


def study(
    videos: Positional[tuple[Path, ...]] = (),
    /,
    *,
    out: Path,
    title: str = "Rate talking heads",
    together: bool = False,
    seed: int = 0,
    results: tuple[Path, ...] = (),
    json: Path | None = None,
) -> int:
    """Make a user study of videos, blinded, as a page that opens from disk; and pool what participants answered.

    Example: loquent study ours/*.mp4 rad_nerf/*.mp4 --out study

    Hand out the folder study/page, keep study/key.json. Participants rate lip-sync accuracy, image quality and video realness
    (ER-NeRF, Table 3) and return a CSV file each: loquent study --out study --results answers/*.csv

    Args:
        videos: videos with sound, each in a folder called as the system that made it, files of the same sentence called the
            same; or a .csv table with the columns video, system, item.
        out: the study's folder, to make, or to pool answers of.
        title: stands above the page.
        together: show all systems' videos of a sentence beside each other, in random order, instead of one at a time.
        seed: of the numbers that the copies get.
        results: pool these answers instead of making a study.
        json: also write the pooled opinions to this file.
    """
    from dataclasses import asdict

    from loquent.storage import write_json
    from loquent.study.exhibits import find_exhibits
    from loquent.study.results import pool, print_results
    from loquent.study.study import make_study

    if results:
        if videos:
            raise InputError("Either videos make a study, or --results pools the answers to one: give one of them.")
        pooled = pool(out, results)
        print_results(pooled)
        if json is not None:
            write_json(json, [asdict(result) for result in pooled])
        return 0
    if json is not None:
        raise InputError("--json is for pooled answers: give them with --results.")
    page = make_study(find_exhibits(videos), out, title=title, together=together, seed=seed)
    print(
        f"Wrote {page}: open it in a browser. Hand out {page.parent}; keep {out / 'key.json'}, which says whose is what."
    )
    return 0


def inspect_(portrait: Positional[Path], /, json: bool = False, motion: Path | None = None) -> int:
    """Say what a portrait file is and how it was made.

    Example: loquent inspect me.portrait

    Args:
        portrait: a portrait file.
        json: print JSON instead of a table.
        motion: also write the clip's head motion, blinks and brows to this CSV or JSON file, to edit and give to `render`.
    """
    from loquent.inspection import describe, print_description
    from loquent.media.rates import FPS
    from loquent.motion import dense_track, write_motion
    from loquent.portrait import Portrait

    person = Portrait.load(portrait)
    print_description(describe(person, portrait), as_json=json)
    if motion is not None:
        track = dense_track(person.track_frame_ids, person.track.world_from_camera, person.eyes_and_brows())
        write_motion(motion, track, FPS)
    return 0


def import_(checkpoint: Positional[Path], /, clip: Path, out: Path, ema: bool = False) -> int:
    """Turn a checkpoint of ER-NeRF, RAD-NeRF or R2-Talker into a portrait that renders the same picture.

    Example: loquent import ngp_ep0028.pth --clip data/obama --out obama.portrait

    Args:
        checkpoint: a .pth file of one of those programs, of a head or torso stage.
        clip: the folder it was trained on: that program's own data folder, or a clip folder of the same film.
        out: the portrait file to write.
        ema: take the running average of the weights that per-epoch files hold; the originals evaluate the raw ones.
    """
    from loquent.exchange.importer import import_checkpoint

    import_checkpoint(checkpoint, clip, ema=ema).save(out)
    print(f"Wrote {out}. What it is: loquent inspect {out}")
    return 0


def convert(folder: Positional[Path], /, out: Path, speech: str | None = None) -> int:
    """Turn a data folder of RAD-NeRF or ER-NeRF into a clip folder, or a clip folder into such a data folder.

    Example: loquent convert data/obama --out obama_clip

    Args:
        folder: a data folder of those programs (with transforms_train.json), or a clip folder of Loquent (with clip.json).
        out: the other kind of folder, to make.
        speech: what portraits of the new clip will listen to, e.g. deepspeech to measure an imported portrait on it; nothing =
            as in `prepare`.
    """
    from loquent.data.clip import Clip
    from loquent.exchange.adopt import adopt
    from loquent.exchange.export import export
    from loquent.exchange.rad_folder import RadFolder

    if RadFolder.is_one(folder):
        clip = adopt(folder, out, speech or _PREPARE_DEFAULTS.speech_kind)
        print(f"Wrote {out}: {clip.n_frames} frames. Next: loquent train {out} --out me.portrait")
    else:
        source = Clip.open(folder)
        if speech is not None:
            raise InputError(
                f"--speech is for making a clip; a data folder gets the clip's own {source.info.speech_kind}."
            )
        export(source, out)
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

    run_demo(out, seconds=seconds, size=size, minutes=minutes, seed=seed)
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "doctor": doctor,
    "prepare": prepare,
    "train": train,
    "render": render,
    "evaluate": evaluate,
    "score": score,
    "compare": compare,
    "figures": figures,
    "study": study,
    "inspect": inspect_,
    "import": import_,
    "convert": convert,
    "demo": demo,
}
"""Every command by name; `loquent NAME --help` shows its docstring."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and turn every error into one paragraph on stderr.

    Returns:
        0 for success, 1 for a failure, 2 for input that cannot be used, 130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_debugging = "--debug" in words or bool(os.environ.get("LOQUENT_DEBUG"))
    if arguments is None:  # the whole process is ours
        _share_cores()
        if not is_debugging:
            threading.excepthook = _report_thread
    words = [word for word in words if word != "--debug"]
    if words in (["--version"], ["-V"]):
        print(f"loquent {__version__}")
        return 0
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    if words[0] not in COMMANDS:
        print(f"There is no command {words[0]!r}. There is: {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    try:
        return run(words)
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is half-written; run the same command again to go on.", file=sys.stderr)
        return 130
    except LoquentError as error:
        if is_debugging:
            raise
        print(f"loquent {words[0]}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except Exception as error:
        if is_debugging:
            raise
        if _is_full_disk(error):
            print(
                f"loquent {words[0]}: the disk is full ({error}). Free some space, then run the same command again.",
                file=sys.stderr,
            )
            return 1
        print(
            f"loquent {words[0]}: unexpected {type(error).__name__}: {error}. This is a fault of Loquent: please report it "
            "with the output of the same command and --debug added.",
            file=sys.stderr,
        )
        return 1


def run(words: Sequence[str]) -> int:
    """Run one command, its name first; errors and interruptions are the caller's."""
    return tyro.cli(COMMANDS[words[0]], prog=f"loquent {words[0]}", args=words[1:])


def _share_cores() -> None:
    """Make waiting threads sleep soon, unless the user has a say in it already; call before torch loads its OpenMP.

    At every barrier GNU's OpenMP lets a waiting thread turn in circles, up to 300 000 times, before it sleeps. On idle cores
    that wins a tenth at most; beside another job both burn each other's time and run about eight times slower.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_ROUNDS)


def _is_full_disk(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _report_thread(failure: threading.ExceptHookArgs) -> None:
    """A full disk that a thread (TensorBoard's) met is raised again where a command waits for it, and reported there."""
    if not _is_full_disk(failure.exc_value):
        threading.__excepthook__(failure)


def _overview() -> str:
    """The list of commands with the first line of each one's docstring."""
    lines = [
        f"Loquent {__version__}: a portrait that talks, from a video of one person.",
        "",
        "usage: loquent COMMAND ...        loquent COMMAND --help        loquent --version",
        "",
    ]
    for name, command in COMMANDS.items():
        lines.append(f"  {name:<10} {(inspect.getdoc(command) or '').splitlines()[0]}")
    lines += ["", "--debug (or LOQUENT_DEBUG=1) shows the full trace of an error."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
