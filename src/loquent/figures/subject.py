"""Who and what the figures show: the portraits that are compared, and the moments of the clip that tell most."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loquent.data.clip import Clip
from loquent.errors import InputError
from loquent.evaluation.held_out import Picture
from loquent.face.lips import lip_opening
from loquent.media.images import to_bytes
from loquent.portrait import Portrait


@dataclass(frozen=True)
class Subject:
    """A portrait in the figures."""

    name: str
    """What labels call it."""
    portrait: Portrait
    """The portrait."""
    conditions: Float[Tensor, "held_out width"]
    """What moves its lips at the clip's held-out frames, from the sound alone."""

    def eye(self, clip: Clip, k: int) -> Float[Tensor, "eye_width"]:
        """Its eye condition at the `k`-th held-out frame."""
        return self.portrait.eye_condition(clip.eye[clip.held_out_frames[k]])

    def eyes_at_rest(self, clip: Clip) -> Float[Tensor, "eye_width"]:
        """Its eye condition for eyes and brows as they mostly are."""
        return self.portrait.eye_condition(clip.eye[list(clip.train_frames)].median(dim=0).values)

    def picture(self, clip: Clip, k: int) -> Picture:
        """The `k`-th held-out frame, all rendered; over the real torso where the portrait has none of its own."""
        i = clip.held_out_frames[k]
        behind = None if self.portrait.torso else torch.from_numpy(clip.torso_over_background(i))
        shown = self.portrait.render(
            clip.track.world_from_camera[i],
            self.conditions[k],
            self.eye(clip, k),
            camera=clip.camera,
            behind=behind,
        )
        return to_bytes(shown.numpy())


@dataclass(frozen=True)
class Moments:
    """Held-out frames, by their place among them, chosen by what the real pictures show."""

    lips_closed: int
    """Lips closest together."""
    lips_open: int
    """Lips farthest apart."""
    eyes_closed: int
    """Eyes most closed."""
    spread: tuple[int, ...]
    """One of each of several stretches of time, in turn that with the lips farthest apart and closest together."""


def choose_moments(clip: Clip, n_spread: int) -> Moments:
    """The moments of a clip; `spread` has `n_spread`, or one for each held-out frame where there are fewer."""
    held_out = list(clip.held_out_frames)
    opening = lip_opening(clip.track.landmarks_px[held_out].numpy())
    stretches = np.array_split(np.arange(len(held_out)), min(n_spread, len(held_out)))
    spread = [
        int(stretch[opening[stretch].argmin() if turn % 2 else opening[stretch].argmax()])
        for turn, stretch in enumerate(stretches)
    ]
    return Moments(
        int(opening.argmin()), int(opening.argmax()), int(clip.track.blink[held_out].mean(1).argmax()), tuple(spread)
    )


def names_of(files: Sequence[Path]) -> list[str]:
    """A name for each portrait file: without its ending, and with the folder's name where two would be the same.

    Raises:
        InputError: two cannot be told apart even so.
    """
    stems = [file.stem for file in files]
    names = [
        stem if stems.count(stem) == 1 else f"{file.absolute().parent.name}/{stem}"
        for stem, file in zip(stems, files, strict=True)
    ]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(
            f"Two portraits are called {twice[0]}, or one was given twice. Give each once, under its own name."
        )
    return names


def time_label(clip: Clip, k: int) -> str:
    """When the `k`-th held-out frame is."""
    return f"{int(clip.track.frame_ids[clip.held_out_frames[k]]) / clip.info.fps:.2f} s"
