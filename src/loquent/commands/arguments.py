"""What commands take, as `--help` shows it: PORTRAIT CLIP instead of PATH PATH, and options that may stay away; and seeds."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from loquent.errors import InputError

VideoFile = Positional[Annotated[Path, arg(metavar="VIDEO")]]
SoundFile = Positional[Annotated[Path, arg(metavar="SOUND")]]
ClipFolder = Positional[Annotated[Path, arg(metavar="CLIP")]]
PortraitFile = Positional[Annotated[Path, arg(metavar="PORTRAIT")]]
CheckpointFile = Positional[Annotated[Path, arg(metavar="CHECKPOINT")]]
Folder = Positional[Annotated[Path, arg(metavar="FOLDER")]]
VideoFiles = Positional[Annotated[tuple[Path, ...], arg(metavar="VIDEO ...")]]
MaybePath = Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="")]
MaybeText = Annotated[str | None, arg(metavar="STR", help_behavior_hint="")]
MaybeNumber = Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="")]
MaybeCount = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]


def check_seed(seed: int) -> None:
    """Refuse what NumPy, PyTorch and Numba do not all take as a seed.

    Raises:
        InputError: it is negative, or has more than 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"--seed must lie between 0 and {2**32 - 1}, but is {seed}.")
