"""What was reached: evaluate and score measure, compare, figures and study set systems side by side, bench takes the time."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from loquent.commands.arguments import (
    ClipFolder,
    MaybeCount,
    MaybePath,
    PortraitFile,
    VideoFile,
    VideoFiles,
    check_seed,
)
from loquent.commands.road import MOST_MINUTES
from loquent.errors import InputError


def evaluate(
    portrait: PortraitFile,
    clip: ClipFolder,
    /,
    drive: MaybePath = None,
    phones: MaybePath = None,
    size: MaybeCount = None,
    json: MaybePath = None,
    frames: MaybePath = None,
    sheet: MaybePath = None,
    settings: tuple[Literal["head", "full"], ...] = (),
    shuffle_sound: bool = True,
    tracked_lips: bool = False,
    landmarks: MaybePath = None,
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
        tracked_lips: measure also with the lips that were tracked on these frames, but for slow drift: what the head could
            do if the sound told it all that training showed it.
        landmarks: move the lips by this file (GeneFace's aud_idexp.npy of this film) instead of the sound.
        device: cpu, cuda, or auto for the best there is.
    """
    from loquent.data.clip import Clip
    from loquent.evaluation.evaluate import evaluate as measure
    from loquent.evaluation.other_voice import measure_other_voice
    from loquent.evaluation.report import print_evaluation, print_other_voice, write_report
    from loquent.exchange.rad_folder import read_landmark_file
    from loquent.portrait import Portrait
    from loquent.progress import Progress
    from loquent.storage import check_file_place, check_json_place

    if drive is None and (phones is not None or size is not None):
        raise InputError("--phones and --size belong to --drive SOUND: without it the clip's own frames are measured.")
    if drive is not None and landmarks is not None:
        raise InputError(
            "Either the sound of --drive moves the lips, or the file of --landmarks does: give one of them."
        )
    if drive is not None and tracked_lips:
        raise InputError("--tracked-lips are those of the clip's own frames: leave it out, or leave --drive out.")
    read = (portrait, drive, phones, landmarks)
    if json is not None:
        check_json_place(json, *read)
    if sheet is not None:
        check_file_place(sheet, *read)
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
            tracked_lips=tracked_lips,
            landmarks=read_landmark_file(landmarks) if landmarks else None,
            progress=lambda done, total: bar.set(done, total=total),
        )
    print_evaluation(figures)
    if json is not None:
        write_report(json, figures)
    return 0


def score(
    video: VideoFile,
    /,
    against: Path,
    trim: bool = False,
    action_units: Annotated[tuple[Path, Path] | None, arg(metavar="PATH PATH", help_behavior_hint="")] = None,
    json: MaybePath = None,
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
    from loquent.storage import check_json_place

    if json is not None:
        check_json_place(json, video, against, *(action_units or ()))
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
    clip: ClipFolder,
    /,
    out: Path,
    minutes: float = 2.0,
    steps: int = 0,
    systems: tuple[str, ...] = (),
    held_out: int = 0,
    drive: MaybePath = None,
    phones: MaybePath = None,
    preset: str = "quick",
    landmarks: bool = False,
    seed: int = 0,
    device: str = "auto",
) -> int:
    """Train every system of the papers' tables on one clip, each for as long, and set the figures beside the published ones.

    Example: loquent compare me_clip --out tables --minutes 2

    Or compare what makes landmarks from sound: loquent compare me_clip --out tables --landmarks

    Args:
        clip: a clip folder made by `prepare`.
        out: folder for a portrait and the figures of each system, compare.md, compare.json and compare.png; what is finished
            there is kept, and the same command goes on after an interruption.
        minutes: time budget of each system.
        steps: train each for this many steps instead of minutes.
        systems: only these, e.g. er_nerf rad_nerf; nothing = all of the papers' tables, but ad_nerf: it renders minutes a
            picture on a CPU, so name it, together with --held-out. er_nerf_joint and hash_concat_joint, which learn lips with
            the field as the paper does, are there by name, too.
        held_out: measure every system on so many held-out frames, evenly spread, instead of all; lip correlation, which needs
            frames that follow one another, is then left out. 0 = all; --drive renders every frame all the same.
        drive: let this sound, or film of somebody speaking, move every system's lips too, and add the papers' Table 2.
        phones: when which phone is spoken in it, as in `loquent evaluate`; nothing = as the phonetic encoder hears it.
        preset: quick (tracked lips, minutes on a CPU) or paper (the papers' own recipe, for a GPU).
        landmarks: compare generators of landmarks from sound instead, into landmarks.md and landmarks.json; takes minutes on
            the CPU, whatever --minutes, --preset and --device say.
        seed: of all random numbers.
        device: cpu, cuda, or auto for the best there is.
    """
    from loquent.data.clip import Clip

    check_seed(seed)
    if landmarks and (steps or systems or held_out or drive or phones):
        raise InputError(
            "With --landmarks no system is trained: leave --steps, --systems, --held-out, --drive and --phones out."
        )
    if landmarks:
        from loquent.comparison.landmarks import compare_landmarks

        compare_landmarks(Clip.open(clip), out, seed=seed)
        print(f"Wrote {out / 'landmarks.md'}.")
        return 0
    from loquent.comparison.compare import compare as measure
    from loquent.comparison.compare import with_steps
    from loquent.comparison.systems import BY_DEFAULT
    from loquent.training.presets import preset_called

    if steps < 0 or (steps == 0 and not 0 < minutes <= MOST_MINUTES):
        raise InputError(
            f"A comparison needs --steps above 0, or --minutes above 0 and up to a month, but got {steps} and {minutes:g}."
        )
    chosen = preset_called(preset)
    chosen = with_steps(chosen, steps) if steps else replace(chosen, minutes=minutes)
    measure(
        Clip.open(clip),
        out,
        chosen,
        systems or BY_DEFAULT,
        held_out=held_out or None,
        drive=drive,
        phones=phones,
        seed=seed,
        device=device,
    )
    print(f"Wrote {out / 'compare.md'}.")
    return 0


def figures(
    portrait: PortraitFile,
    clip: ClipFolder,
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
        device: cpu, cuda, or auto for the best there is.
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
    videos: VideoFiles = (),
    /,
    *,
    out: Path,
    title: str = "Rate talking heads",
    together: bool = False,
    seed: int = 0,
    results: tuple[Path, ...] = (),
    json: MaybePath = None,
) -> int:
    """Make a user study of videos, blinded, as a page that opens from disk; and pool what participants answered.

    Example: loquent study ours/*.mp4 rad_nerf/*.mp4 --out study

    Hand out the folder study/page, keep study/key.json. Participants rate lip-sync accuracy, image quality and video realness
    (ER-NeRF, Table 3) and return a CSV file each: loquent study --out study --results answers/*.csv

    Args:
        videos: videos with sound, each in a folder named after the system that made it, files of the same sentence under the
            same name; or a .csv table with the columns video, system, item.
        out: the study's folder, to make, or to pool answers of.
        title: stands above the page.
        together: show all systems' videos of a sentence beside each other, in random order, instead of one at a time.
        seed: of the numbers that the copies get.
        results: pool these answers instead of making a study.
        json: also write the pooled opinions to this file.
    """
    from dataclasses import asdict

    from loquent.storage import check_json_place, write_json
    from loquent.study.exhibits import find_exhibits
    from loquent.study.results import pool, print_results
    from loquent.study.study import make_study

    check_seed(seed)
    if results:
        if videos:
            raise InputError("Either videos make a study, or --results pools the answers to one: give one of them.")
        if json is not None:
            check_json_place(json, *results)
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


def bench(
    *,
    only: tuple[str, ...] = (),
    repeats: int = 5,
    size: int = 450,
    json: MaybePath = None,
    device: str = "cpu",
) -> int:
    """Measure speed and memory: every fast form beside what it stands for, in the same run.

    Example: loquent bench

    Example: loquent bench --only head_step frame --json benchmarks/results/this-machine.jsonl

    Takes two or three minutes on two cores. Leave the machine alone meanwhile; ratios suffer less from other work than times.

    Args:
        only: make only these measurements; nothing = all. triplane, grid and torso_grid are encodings, march and composite what
            happens along rays, distortion a loss, each as in _render or in _train (forward and back); head_step and torso_step
            train, frame renders, folded_head is how the head is rendered beside the field it was made from; log_mel, phonetic
            and phonetic_causal are speech features on one thread.
        repeats: rounds in which the competitors take turns.
        size: rows and columns of the pictures that are trained on and rendered, of a made-up person.
        json: also add a line for each measurement to this file; what is in it stays.
        device: cpu, cuda, or auto for the best there is.
    """
    from loquent.bench.rows import print_rows
    from loquent.bench.run import MEASUREMENTS, run
    from loquent.devices import find_device

    print_rows(run(only or MEASUREMENTS, repeats=repeats, size=size, results=json, device=find_device(device)))
    return 0
