"""Do the lips do what the phones ask for, whoever speaks? Closure on p, b and m, opening on open vowels, the order of visemes.

No picture of the speaker is needed, only when which phone is spoken. Openings are measured against the portrait's own
person: 0 is the 5th percentile of the real lips' opening, 1 the 95th.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import spearmanr

from loquent.evaluation.lip_sync import APART_S, LEAST_FRAMES, LEAST_SHIFTS
from loquent.media.rates import FPS
from loquent.speech.articulation import CLOSE_VOWELS, LIP_SHAPES, OPEN_VOWELS
from loquent.speech.phones import Segment
from loquent.speech.phonetic_net import CLASSES
from loquent.speech.usual_lips import usual_lips
from loquent.speech.windows import STEPS_PER_FRAME

REST_PERCENTILE, WIDE_PERCENTILE = 5.0, 95.0
OUTER_PERCENTILES = (1.0, 99.0)
QUARTER = 0.25
"""Lips count as met in the lowest quarter of the film's own openings, where chance alone puts a quarter of all closures or a
few more, and as shut in the lowest quarter of the person's range."""
TOLERANCE_FRAMES = 1
"""A closure may be this much earlier or later than its phone."""
_PARTS = 4
"""Parts of a step of 0.02 s, so that a phone which fills a step in part counts in part."""
_ALIKE = 1e-9
LEAST_PHONES = 3
"""Fewer phones of a kind than this say nothing."""
LEAST_CLASSES = 4
"""Fewer classes than this have no order."""


@dataclass(frozen=True)
class LipRange:
    """How far one person's real lips open, as `loquent.face.lips.lip_opening`."""

    rest: float
    """5th percentile."""
    wide: float
    """95th percentile."""
    lowest: float
    """1st percentile."""
    highest: float
    """99th percentile."""

    @classmethod
    def of(cls, opening: Float[np.ndarray, "frames"]) -> "LipRange | None":
        """From the openings of real frames, NaN without a face; None when there are too few, or they never change."""
        known = opening[np.isfinite(opening)]
        if known.size < LEAST_FRAMES:
            return None
        wanted = (REST_PERCENTILE, WIDE_PERCENTILE, *OUTER_PERCENTILES)
        rest, wide, lowest, highest = np.percentile(known, wanted).tolist()
        return cls(rest, wide, lowest, highest) if wide > rest else None

    def relative(self, opening: Float[np.ndarray, "frames"]) -> Float[np.ndarray, "frames"]:
        """Openings in the person's range: 0 at rest, 1 wide."""
        return (opening - self.rest) / (self.wide - self.rest)

    def share_outside(self, opening: Float[np.ndarray, "frames"]) -> float | None:
        """Share of the frames with a face whose opening is below the 1st or above the 99th percentile; None without a face."""
        known = opening[np.isfinite(opening)]
        return float(((known < self.lowest) | (known > self.highest)).mean()) if known.size else None


@dataclass(frozen=True)
class Recall:
    """How many closures are seen, and how many would be if the sound were another moment's."""

    share: float
    """Share of the bilabials at which the lips close."""
    chance: float | None
    """Mean share after shifting all bilabials together by every time of more than half a second; None for films too short."""
    chance_high: float | None
    """95 % of these shares lie below."""


@dataclass(frozen=True)
class Visemes:
    """What lips do at known phones."""

    n_bilabials: int
    """p, b and m (silent closures included) during which the face is seen."""
    met: Recall | None
    """Bilabials at which the opening falls into the lowest quarter of the film's own openings: is the time right?
    None, here and below, where there are fewer than LEAST_PHONES."""
    shut: Recall | None
    """Bilabials at which it falls into the lowest quarter of the person's range: do the lips close?"""
    n_open_vowels: int
    """Open vowels (a, æ, ɑ, ʌ)."""
    open_vowels: float | None
    """Their mean opening in the person's range."""
    open_vowels_shut: float | None
    """Share of them whose mean opening is that of shut lips: false closures."""
    n_close_vowels: int
    """Close vowels (i, ɪ, y, ø, u, ʊ, ɨ, ɯ ...)."""
    close_vowels: float | None
    """Their mean opening in the person's range."""
    vowel_order: float | None
    """How often an open vowel is wider open than a close one, over all pairs; 0.5 is chance."""
    viseme_order: float | None
    """Spearman's rank correlation, over the classes with LEAST_PHONES, of mean opening and usual opening (`LIP_SHAPES`)."""
    n_classes: int
    """Classes that `viseme_order` compares."""


def visemes(opening: Float[np.ndarray, "frames"], segments: Sequence[Segment], person: LipRange, fps: float) -> Visemes:
    """Measure the lips of a film at the phones of its sound.

    Args:
        opening: `loquent.face.lips.lip_opening` of frame k, at k / fps seconds; NaN without a face.
        segments: what is spoken when.
        person: how far the real lips open.
        fps: frames per second.
    """
    relative = person.relative(opening)
    known = relative[np.isfinite(relative)]
    quarter = float(np.quantile(known, QUARTER)) if known.size else np.nan
    spans = [_frames(item, fps, TOLERANCE_FRAMES, len(relative)) for item in segments if item.name == "bilabial"]
    spans = [span for span in spans if np.isfinite(relative[span]).any()]
    means = _mean_openings(relative, segments, fps)
    opens, closes = (
        np.concatenate([[], *(means[name] for name in sorted(kind))]) for kind in (OPEN_VOWELS, CLOSE_VOWELS)
    )
    has_opens, has_closes = opens.size >= LEAST_PHONES, closes.size >= LEAST_PHONES
    compared = [name for name, values in means.items() if values.size >= LEAST_PHONES]
    return Visemes(
        n_bilabials=len(spans),
        met=_recall(relative <= quarter, spans, fps),
        shut=_recall(relative <= QUARTER, spans, fps),
        n_open_vowels=opens.size,
        open_vowels=float(opens.mean()) if has_opens else None,
        open_vowels_shut=float((opens <= QUARTER).mean()) if has_opens else None,
        n_close_vowels=closes.size,
        close_vowels=float(closes.mean()) if has_closes else None,
        vowel_order=_share_above(opens, closes) if has_opens and has_closes else None,
        viseme_order=_rank_correlation({name: float(means[name].mean()) for name in compared}),
        n_classes=len(compared),
    )


def usual_opening(segments: Sequence[Segment], n_frames: int) -> Float[np.ndarray, "frames"]:
    """How far anybody's lips would be open at each frame of 25 a second (`loquent.speech.usual_lips`).

    Only its course means something, not its size. Where no phone is known lips count as silent.
    """
    shares = np.zeros((n_frames * STEPS_PER_FRAME * _PARTS, len(CLASSES)), np.float32)
    shares[:, CLASSES.index("silence")] = 1
    parts_hz = FPS * STEPS_PER_FRAME * _PARTS
    for item in segments:
        spoken = slice(round(item.start_s * parts_hz), round(item.end_s * parts_hz))
        shares[spoken] = 0
        shares[spoken, CLASSES.index(item.name)] = 1
    steps = shares.reshape(n_frames * STEPS_PER_FRAME, _PARTS, len(CLASSES)).mean(axis=1)
    return usual_lips(torch.from_numpy(steps)[None])[0, 0, ::STEPS_PER_FRAME].double().numpy()


def _frames(item: Segment, fps: float, tolerance: int, n_frames: int) -> slice:
    """Frames from `tolerance` before the segment to as many after it; nothing beyond the film."""
    first = math.ceil(round(item.start_s * fps, 6)) - tolerance
    last = math.floor(round(item.end_s * fps, 6)) + tolerance
    return slice(min(max(first, 0), n_frames), max(min(last + 1, n_frames), 0))


def _mean_openings(
    relative: Float[np.ndarray, "frames"], segments: Sequence[Segment], fps: float
) -> dict[str, Float[np.ndarray, "phones"]]:
    """For each class the mean opening over the frames of each of its phones; a short one has at least the nearest."""
    found: dict[str, list[float]] = {name: [] for name in CLASSES}
    for item in segments:
        inside = relative[_frames(item, fps, 0, len(relative))]
        if inside.size == 0:
            nearest = round((item.start_s + item.end_s) / 2 * fps)
            inside = relative[nearest : nearest + 1]
        inside = inside[np.isfinite(inside)]
        if inside.size:
            found[item.name].append(float(inside.mean()))
    return {name: np.array(values) for name, values in found.items()}


def _recall(is_closed: Bool[np.ndarray, "frames"], spans: Sequence[slice], fps: float) -> Recall | None:
    """Share of the spans with a closed frame, as they are and shifted round the film."""
    if len(spans) < LEAST_PHONES:
        return None
    n_frames = len(is_closed)
    count = np.concatenate([[0], np.cumsum(np.tile(is_closed, 2))])
    shifts = np.arange(int(APART_S * fps) + 1, n_frames - int(APART_S * fps))
    hits = np.zeros(len(shifts))
    for span in spans:
        first = (span.start + shifts) % n_frames
        hits += count[first + span.stop - span.start] > count[first]
    return Recall(
        share=sum(bool(is_closed[span].any()) for span in spans) / len(spans),
        chance=float(hits.mean() / len(spans)) if len(shifts) >= LEAST_SHIFTS else None,
        chance_high=float(np.quantile(hits, 0.95) / len(spans)) if len(shifts) >= LEAST_SHIFTS else None,
    )


def _share_above(ours: Float[np.ndarray, "ours"], theirs: Float[np.ndarray, "theirs"]) -> float:
    """How often one of `ours` is above one of `theirs`, over all pairs; equal ones count half."""
    ranked = np.sort(theirs)
    below, not_above = (np.searchsorted(ranked, ours, side=side) for side in ("left", "right"))
    return float((below + not_above).mean() / 2 / len(theirs))


def _rank_correlation(means: Mapping[str, float]) -> float | None:
    """Spearman's, of the mean openings and the usual ones; None for too few classes, or means that are all equal."""
    if len(means) < LEAST_CLASSES or max(means.values()) - min(means.values()) < _ALIKE:
        return None
    usual = [LIP_SHAPES[name][0] for name in means]
    return float(spearmanr(list(means.values()), usual).statistic)
