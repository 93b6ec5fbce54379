"""Which parts of the face attend to the sound, and which to the eye (ER-NeRF, Figure 4)."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float

from loquent.data.clip import Clip
from loquent.figures.panels import Panels, over_grey, scale
from loquent.figures.subject import Moments, Subject, time_label
from loquent.figures.trace import Traced, trace_attention

WORDS = {"sound": "the sound", "eye": "the eyes"}
_COLOURS = scale(0.0, 1.0, matplotlib.colormaps["inferno"])
_LARGEST = 99.7
"""Percentile of the head's pixels that counts as the largest attention, so that no single pixel sets the scale."""


def draw_attention(subjects: Sequence[Subject], clip: Clip, moments: Moments) -> tuple[Panels | None, list[str]]:
    """The frame with the lips farthest apart and that with the eyes most closed, each with the attention that acts there.

    Returns:
        The figure, or nothing where no field has attention; and a sentence for each attention that a field lacks.
    """
    shown = {"sound": moments.lips_open, "eye": moments.eyes_closed}
    traced = {which: [_traced(subject, clip, k) for subject in subjects] for which, k in shown.items()}
    has = {which: [bool(seen.averaged[which][seen.is_head].any()) for seen in traced[which]] for which in shown}
    notes = [
        f"{subject.name}: its head ({subject.portrait.head.kind}) has no attention to {WORDS[which]}; left out."
        for which in shown
        for subject, there in zip(subjects, has[which], strict=True)
        if not there
    ]
    columns = [which for which in shown if any(has[which])]
    rows = [i for i in range(len(subjects)) if any(has[which][i] for which in shown)]
    if not rows:
        return None, notes
    caption = (
        "Region attention, averaged along each ray as colour is, over the rendered frame. Attention to the sound is the "
        "length of the attention vector (ER-NeRF, eq. 9; in RAD-NeRF, the ambient coordinates), that to the eyes the mean of "
        "eq. 10 over closure and, where the head is told of them, brows; both as shares of the head's largest. "
        f"Held-out frames of {clip.info.name}: lips farthest apart, eyes most closed."
    )
    ratio = clip.info.height / clip.info.width
    panels = Panels(2 * len(columns), [ratio] * len(rows), caption=caption, has_scales=True)
    for row, i in enumerate(rows):
        panels.name_row(row, subjects[i].name)
        for place, which in enumerate(columns):
            if has[which][i]:
                picture, seen = subjects[i].picture(clip, shown[which]), traced[which][i]
                panels.show(row, 2 * place, picture)
                panels.show(row, 2 * place + 1, over_grey(picture, _relative(seen, which), _COLOURS, seen.opacity))
    for place, which in enumerate(columns):
        panels.name_column(2 * place, f"rendered, {time_label(clip, shown[which])}")
        panels.name_column(2 * place + 1, f"attention to {WORDS[which]}")
        panels.add_scale(2 * place + 1, _COLOURS, "share of the largest")
    return panels, notes


def _traced(subject: Subject, clip: Clip, k: int) -> Traced:
    pose = clip.track.world_from_camera[clip.held_out_frames[k]]
    return trace_attention(subject.portrait, pose, subject.conditions[k], subject.eye(clip, k))


def _relative(seen: Traced, which: str) -> Float[np.ndarray, "height width"]:
    """Attention as a share of its largest."""
    values = seen.averaged[which]
    return values / max(float(np.percentile(values[seen.is_head], _LARGEST)), 1e-12)
