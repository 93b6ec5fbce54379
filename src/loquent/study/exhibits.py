"""The videos of a study: which system made each, what it shows, and whether a browser can play it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loquent.errors import InputError
from loquent.media.probe import probe
from loquent.tables import read_text, table_rows

COLUMNS = ("video", "system", "item")
"""Columns of a table of videos; paths are relative to the table's folder."""
ENDINGS = (".mp4", ".m4v", ".webm")
_CODECS = {"h264", "vp8", "vp9", "libvpx", "libvpx-vp9", "av1", "libdav1d"}
"""What every current browser plays, as decoders are called."""


@dataclass(frozen=True)
class Exhibit:
    """One video of a study."""

    video: Path
    """The file."""
    system: str
    """Who made it; participants must not learn it."""
    item: str
    """What it shows; the same for all systems' videos of the same sentence."""


def find_exhibits(files: Sequence[Path]) -> list[Exhibit]:
    """The exhibits that videos and tables name.

    A video's system is the folder that it lies in, its item the file's name without ending: ``er_nerf/obama.mp4`` and
    ``rad_nerf/obama.mp4`` show the same item by two systems. A ``.csv`` file is a table with the columns of `COLUMNS`.

    Raises:
        InputError: nothing is named, a table cannot be read, or one item is there twice from one system.
    """
    exhibits: list[Exhibit] = []
    for file in files:
        if file.suffix.lower() == ".csv":
            exhibits += _read_table(file)
        else:
            exhibits.append(Exhibit(file, file.absolute().parent.name, file.stem))
    if not exhibits:
        raise InputError(
            "A study needs videos: name them, each in a folder named after the system that made it, or a .csv table with the "
            f"columns {', '.join(COLUMNS)}. Example: loquent study ours/*.mp4 theirs/*.mp4 --out study"
        )
    often = Counter((exhibit.system, exhibit.item) for exhibit in exhibits).most_common(1)[0]
    if often[1] > 1:
        system, item = often[0]
        raise InputError(
            f"The study has {often[1]} videos of {item!r} by {system!r}. Name each once; in a .csv table, systems and items "
            "can have any name."
        )
    return exhibits


def check_video(exhibit: Exhibit) -> None:
    """Check that browsers can play a video, with sound.

    Raises:
        InputError: they cannot.
        MediaError: it is missing, damaged, or no video.
    """
    facts = probe(exhibit.video)
    if not facts.has_video or not facts.has_sound:
        lack = "sound: without it nobody can judge the lips" if facts.has_video else "moving pictures"
        raise InputError(f"{exhibit.video} has no {lack}. Give a video with sound.")
    if exhibit.video.suffix.lower() not in ENDINGS or facts.video_codec not in _CODECS:
        raise InputError(
            f"{exhibit.video} ({facts.video_codec}) does not play in every browser; wanted is H.264 in .mp4, or VP9 in .webm. "
            "Convert it so that nothing visible is lost, for instance with FFmpeg's -c:v libx264 -crf 12 -pix_fmt yuv420p."
        )


def _read_table(path: Path) -> list[Exhibit]:
    text = read_text(path)
    try:
        rows = table_rows(text, COLUMNS)
    except ValueError as cause:
        raise InputError(
            f"{path} is no table of videos ({cause}). Wanted are the columns {', '.join(COLUMNS)}."
        ) from cause
    for line, row in rows.items():
        if not all(row.values()):
            raise InputError(f"{path}, line {line}: wanted are the columns {', '.join(COLUMNS)}, none of them empty.")
    return [Exhibit(path.parent / row["video"], row["system"], row["item"]) for row in rows.values()]
