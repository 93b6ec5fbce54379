"""All figures of one or several portraits on one clip, each a PNG in a folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.evaluation.held_out import check_pair, conditions
from loquent.figures.attention import draw_attention
from loquent.figures.key_frames import N_KEY_FRAMES, draw_key_frames
from loquent.figures.panels import Panels
from loquent.figures.poses import draw_poses
from loquent.figures.subject import Moments, Subject, choose_moments
from loquent.figures.surfaces import draw_surfaces
from loquent.portrait import Portrait
from loquent.progress import Progress
from loquent.storage import check_folder_place

Draw = Callable[[Sequence[Subject], Clip, Moments], tuple[Panels | None, list[str]]]
FIGURES: Mapping[str, Draw] = MappingProxyType(
    {
        "key_frames": draw_key_frames,
        "attention": draw_attention,
        "surfaces": draw_surfaces,
        "poses": draw_poses,
    }
)
"""Every figure by the name its file gets."""


def draw_figures(
    portraits: Mapping[str, Portrait], clip: Clip, folder: Path, names: Sequence[str] = tuple(FIGURES)
) -> tuple[list[Path], list[str]]:
    """Draw figures `names` of `portraits`, the first being the one that matters, into `folder`.

    Args:
        portraits: by the names that labels give them.
        clip: whose held-out frames and sound are shown.
        folder: gets one PNG a figure; it is made if need be.
        names: names in `FIGURES`.

    Returns:
        The files that were written, and a sentence for whatever a portrait lacks.

    Raises:
        InputError: there is no portrait or no such figure, a portrait does not fit the clip, or `folder` is a file.
        ClipError: a file of the clip is damaged.
        OutputError: a figure cannot be written.
    """
    unknown = sorted(set(names) - set(FIGURES))
    if unknown or not names or not portraits:
        raise InputError(f"There is no figure {', '.join(unknown) or 'named'}. There is: {', '.join(FIGURES)}.")
    check_folder_place(folder)
    for portrait in portraits.values():
        check_pair(portrait, clip, ("full",))
    subjects = [Subject(name, portrait, conditions(portrait, clip)) for name, portrait in portraits.items()]
    moments = choose_moments(clip, N_KEY_FRAMES)
    written, notes = [], []
    with Progress("Drawing", len(names), unit="figure") as bar:
        for name in names:
            panels, missing = FIGURES[name](subjects, clip, moments)
            notes += missing
            if panels is not None:
                path = folder / f"{name}.png"
                panels.save(path)
                written.append(path)
            bar.advance()
    return written, notes
