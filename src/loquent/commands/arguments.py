"""What commands take by position, named by what it is: `--help` shows PORTRAIT CLIP instead of PATH PATH."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

VideoFile = Positional[Annotated[Path, arg(metavar="VIDEO")]]
SoundFile = Positional[Annotated[Path, arg(metavar="SOUND")]]
ClipFolder = Positional[Annotated[Path, arg(metavar="CLIP")]]
PortraitFile = Positional[Annotated[Path, arg(metavar="PORTRAIT")]]
CheckpointFile = Positional[Annotated[Path, arg(metavar="CHECKPOINT")]]
Folder = Positional[Annotated[Path, arg(metavar="FOLDER")]]
VideoFiles = Positional[Annotated[tuple[Path, ...], arg(metavar="VIDEO ...")]]
