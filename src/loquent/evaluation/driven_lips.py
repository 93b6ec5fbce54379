"""What the lips of one film do while a sound is heard: the rows of another voice's report."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from loquent.evaluation.lip_sync import LipSync, lip_sync
from loquent.evaluation.lmd import mouth_distance_px
from loquent.evaluation.silence import opening_in_silence
from loquent.evaluation.visemes import WIDE_PERCENTILE, LipRange, Visemes, usual_opening, visemes
from loquent.face.lips import eye_distance, lip_opening
from loquent.media.rates import FPS
from loquent.speech.phones import Phones


@dataclass(frozen=True)
class DrivenRow:
    """What the lips of one film do."""

    name: str
    """``person``: the clip's real frames and its own sound; ``speaker``: the film that came with the sound; ``head`` or
    ``full``: the portrait driven by the sound; ``head shuffled``: driven by the same sound in another order."""
    n_frames: int
    """Frames of the film."""
    n_faces_missed: int
    """Frames in which no face was found."""
    visemes: Visemes
    """What the lips do at the phones."""
    silence_opening: float | None
    """Mean opening while the sound is silent, over the range's 95th percentile; None without such frames."""
    widest: float | None
    """The 95th percentile of the film's openings over that of the person's real ones; None without a face."""
    outside: float | None
    """Share of frames whose opening is below the 1st or above the 99th percentile of the person's; None without a face."""
    usual: LipSync | None
    """Lip opening against the course that anybody's lips would take at these phones (`usual_opening`): do they follow the
    sound, and how late? None with too few faces."""
    lips: LipSync | None = None
    """Lip opening against the speaker's; None without a film of the speaker."""
    lmd_share: float | None = None
    """Landmark distance to the speaker's mouth, both faces scaled to the same distance of their outer eye corners, in such
    distances."""
    sync_confidence: float | None = None
    """SyncNet's confidence; None where its weights are missing."""
    sync_distance: float | None = None
    """SyncNet's distance."""
    ms_per_frame: float | None = None
    """Median time to render one frame, in milliseconds; None where nothing was rendered."""


def driven_row(
    name: str,
    points: Float[np.ndarray, "frames 478 axes"],
    spoken: Phones,
    is_silent: Bool[np.ndarray, "frames"],
    person: LipRange,
) -> DrivenRow:
    """What the lips do at the phones and in the silence of a sound, and whether they take the usual course.

    Args:
        name: of the row.
        points: landmarks of frame k, at k / 25 s; NaN without a face.
        spoken: the phones of the sound.
        is_silent: in which frames the sound is silent.
        person: how far the lips of the film's own person open.
    """
    opening = lip_opening(points).astype(np.float64)
    known = opening[np.isfinite(opening)]
    silence = opening_in_silence(opening, is_silent)
    return DrivenRow(
        name=name,
        n_frames=len(points),
        n_faces_missed=len(opening) - known.size,
        visemes=visemes(opening, spoken.segments, person, FPS),
        silence_opening=None if silence is None else silence / person.wide,
        widest=float(np.percentile(known, WIDE_PERCENTILE)) / person.wide if known.size else None,
        outside=person.share_outside(opening),
        usual=lip_sync(opening, usual_opening(spoken.segments, len(points)), np.arange(len(points)), FPS),
    )


def with_speaker(
    row: DrivenRow, points: Float[np.ndarray, "frames 478 axes"], speaker: Float[np.ndarray, "frames 478 axes"]
) -> DrivenRow:
    """The row with what tells the lips of `points` from the speaker's in the same frames.

    Both faces are scaled to an eye distance of 1: they are two people's, filmed from two distances.
    """
    ours, theirs = (part[..., :2].astype(np.float64) / eye_distance(part)[:, None, None] for part in (points, speaker))
    apart = mouth_distance_px(ours, theirs)
    both = np.isfinite(apart)
    return replace(
        row,
        lips=lip_sync(lip_opening(ours), lip_opening(theirs), np.arange(len(points)), FPS),
        lmd_share=float(apart[both].mean()) if both.any() else None,
    )
