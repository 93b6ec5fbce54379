"""Speech features that other programs computed: ``aud_ds.npy``, ``aud_eo.npy``, ``aud_hu.npy`` (SPEC 1.6). No model is needed.

Such a file holds one window per video frame. Windows of 16 steps overlap; what each adds gives the stream they were cut from,
and `loquent.speech.windows.frame_windows` cuts the same windows again.
"""

from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from loquent.errors import InputError
from loquent.speech.kinds import speech_kind
from loquent.speech.windows import STEPS_PER_FRAME, WINDOW_LENGTH
from loquent.storage import read_array

KIND_OF_FILE: Final = {"aud_ds.npy": "deepspeech", "aud_eo.npy": "wav2vec2_esperanto", "aud_hu.npy": "hubert_large"}
"""The kind that a file of this name holds."""
_MOST_MISSING: Final = 2
"""The originals' features end up to this many frames before the sound, or run on after it."""


def read_precomputed(
    path: Path, kind_name: str | None = None, *, n_frames: int | None = None
) -> Float[Tensor, "steps width"]:
    """The features of the whole sound at 50 Hz.

    Args:
        path: the file.
        kind_name: what it holds; None: what its name says.
        n_frames: length of the sound in frames at 25 a second, if known: a file of another length is refused.

    Raises:
        InputError: the file cannot be read, or has another width, rate or length than its kind, or holds NaN.
    """
    kind_name = kind_name or KIND_OF_FILE.get(path.name)
    if kind_name is None:
        raise InputError(f"{path} must be called {' or '.join(KIND_OF_FILE)}, so that its kind of features is known.")
    windows = _read_windows(path, speech_kind(kind_name).width)
    if n_frames is not None and abs(len(windows) - n_frames) > _MOST_MISSING:
        raise InputError(
            f"{path} holds features of {len(windows)} frames at 25 a second, but the sound has {n_frames}: they belong to "
            "another sound or were computed at another rate. Compute them again."
        )
    if windows.shape[1] == STEPS_PER_FRAME:
        return windows.flatten(0, 1)
    if not torch.equal(windows[:-1, STEPS_PER_FRAME:], windows[1:, :-STEPS_PER_FRAME]):
        raise InputError(
            f"The windows in {path} do not follow each other by {STEPS_PER_FRAME} steps of 20 ms, so they were not computed "
            "for 25 frames a second. Compute them again at that rate."
        )
    middle = WINDOW_LENGTH // 2
    own = windows[:, middle : middle + STEPS_PER_FRAME].flatten(0, 1)
    return torch.cat([own, windows[-1, middle + STEPS_PER_FRAME :]])


def _read_windows(path: Path, width: int) -> Float[Tensor, "frames steps {width}"]:
    values = read_array(path)
    if values.ndim != 3 or values.shape[1] not in (STEPS_PER_FRAME, WINDOW_LENGTH):
        raise InputError(
            f"{path} must hold windows of {WINDOW_LENGTH} steps (or {STEPS_PER_FRAME}, for HuBERT), [frames, steps, width]; it "
            f"has the shape {list(values.shape)}."
        )
    if values.shape[2] != width:
        raise InputError(f"{path} holds {values.shape[2]} values a step, but its kind of features has {width}.")
    return torch.from_numpy(values)
