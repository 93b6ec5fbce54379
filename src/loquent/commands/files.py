"""Portrait files, and files of other programs: inspect, import, convert."""

from pathlib import Path

from loquent.commands.arguments import CheckpointFile, Folder, MaybePath, MaybeText, PortraitFile
from loquent.config import PrepareConfig
from loquent.errors import InputError


def inspect_(portrait: PortraitFile, /, json: bool = False, motion: MaybePath = None) -> int:
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
    from loquent.storage import check_file_place

    if motion is not None:
        check_file_place(motion, portrait)
    person = Portrait.load(portrait)
    print_description(describe(person, portrait), as_json=json)
    if motion is not None:
        track = dense_track(person.track_frame_ids, person.track.world_from_camera, person.eyes_and_brows())
        write_motion(motion, track, FPS)
    return 0


def import_(checkpoint: CheckpointFile, /, clip: Path, out: Path, ema: bool = False) -> int:
    """Turn a checkpoint of ER-NeRF, RAD-NeRF or R2-Talker into a portrait that renders the same picture.

    Example: loquent import ngp_ep0028.pth --clip data/obama --out obama.portrait

    Args:
        checkpoint: a .pth file of one of those programs, of a head or torso stage.
        clip: the folder it was trained on: that program's own data folder, or a clip folder of the same film.
        out: the portrait file to write.
        ema: take the running average of the weights that per-epoch files hold; the originals evaluate the raw ones.
    """
    from loquent.exchange.importer import import_checkpoint
    from loquent.portrait_file import check_portrait_place

    check_portrait_place(out, checkpoint)
    import_checkpoint(checkpoint, clip, ema=ema).save(out)
    print(f"Wrote {out}. What it is: loquent inspect {out}")
    return 0


def convert(folder: Folder, /, out: Path, speech: MaybeText = None) -> int:
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

    if not folder.exists():
        raise InputError(
            f"{folder} does not exist. Name a data folder of RAD-NeRF or ER-NeRF, or a clip folder that `loquent prepare` made."
        )
    if RadFolder.is_one(folder):
        clip = adopt(folder, out, speech or PrepareConfig().speech_kind)
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
