"""Measure any video against the real one, frame by frame, whoever made it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from loquent.data.sampling import rectangles
from loquent.errors import InputError
from loquent.evaluation.action_units import action_unit_error, read_action_units
from loquent.evaluation.held_out import Picture
from loquent.evaluation.networks import ALL, SYNC, MetricNetworks, open_networks
from loquent.evaluation.scores import (
    MOUTH_MARGIN,
    Figures,
    Measured,
    PictureScores,
    Row,
    Timeline,
    TrueFrame,
    summarise,
)
from loquent.evaluation.silence import silent_frames
from loquent.evaluation.syncnet import sync_score
from loquent.face.head_region import head_region
from loquent.face.indices import OUTER_LIPS
from loquent.face.landmarks import LandmarkTrack, detect_all
from loquent.face.segmentation import PersonSegmenter
from loquent.media.audio import read_waveform
from loquent.media.probe import probe
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.media.video import read_frames

AUE = "AUE"


@dataclass(frozen=True)
class Score(Figures[Row]):
    """All figures of one video against another; rows: the real video against itself, then the video."""

    video: str
    """File name of the video that was judged."""
    against: str
    """File name of the real one."""
    n_frames: int
    """Frames that were compared, at 25 a second."""
    height: int
    """Rows of the pictures."""
    width: int
    """Columns of the pictures."""


def score(
    video: Path,
    against: Path,
    *,
    trim: bool = False,
    action_units: tuple[Path, Path] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Score:
    """Compare `video` with the real video `against`, frame k with frame k at 25 frames a second.

    Mattes of head and person are measured on the real frames. When `video` is silent, the real video's sound is taken for it.

    Args:
        trim: compare only as long as both last; without it videos of different length are refused.
        action_units: OpenFace's CSV files of `video` and of `against`.
        progress: called with the number of pictures done, and in all.

    Raises:
        InputError: the videos differ in size, or in length without `trim`, or an action unit file cannot be used.
        MediaError: a video cannot be read.
    """
    aue = None if action_units is None else _action_unit_error(*action_units, trim)
    height, width = _common_size(video, against)
    counts = tuple(sum(1 for _ in read_frames(path, fps=FPS)) for path in (video, against))
    if counts[0] != counts[1] and not trim:
        raise InputError(
            f"{video} has {counts[0]} frames at {FPS:g} a second, {against} has {counts[1]}, so frame k of one need not "
            "show the moment of frame k of the other. Cut both to the same moments, or compare as long as both last: --trim."
        )
    with open_networks(ALL) as networks:
        session = _Session(against, min(counts), networks, progress)
        rows = list(session.rows(video))
        missing = dict(networks.missing)
        if session.sound is None and SYNC not in missing and rows[1].sync_distance is None:
            missing[SYNC] = "it needs a voice, but neither video has sound"
    if aue is None:
        missing[AUE] = (
            "it needs OpenFace's FeatureExtraction run on both videos: give its files by --action-units A.csv B.csv"
        )
    else:
        rows = [replace(rows[0], aue=0.0), replace(rows[1], aue=aue)]
    return Score(
        video=video.name,
        against=against.name,
        n_frames=min(counts),
        height=height,
        width=width,
        rows=tuple(rows),
        notes=tuple(_notes(video, against, counts)),
        missing=missing,
    )


class _Session:
    """The real video's landmarks, mattes and sound, and another video beside it."""

    def __init__(
        self, against: Path, n_frames: int, networks: MetricNetworks, progress: Callable[[int, int], None]
    ) -> None:
        self.against, self.n_frames, self.networks = against, n_frames, networks
        self._progress, self._done, self._total = progress, 0, 2 * n_frames
        faces = detect_all(self._counted(self._pictures(against)))
        self.faces = faces
        frame_ids = np.arange(n_frames)
        self.sound = read_waveform(against, sample_rate_hz=SAMPLE_RATE_HZ) if probe(against).has_sound else None
        silent = np.zeros(0, np.float32) if self.sound is None else self.sound
        self.timeline = Timeline(frame_ids, FPS, silent_frames(silent, SAMPLE_RATE_HZ, frame_ids, FPS))

    def rows(self, video: Path) -> tuple[Row, Row]:
        """The real video and another one against the real one; both in one pass, since mattes take the longest."""
        real_scores, scores = PictureScores(self.networks), PictureScores(self.networks)
        faces = detect_all(self._counted(self._scored(video, scores, real_scores)))
        real = Measured(real_scores, self.faces)
        return (
            self._with_sync("truth", real, real, self.against),
            self._with_sync(video.name, Measured(scores, faces), real, video),
        )

    def _with_sync(self, name: str, measured: Measured, real: Measured, path: Path) -> Row:
        row = summarise(name, measured, real, self.timeline, [])
        own = read_waveform(path, sample_rate_hz=SAMPLE_RATE_HZ) if probe(path).has_sound else self.sound
        if SYNC not in self.networks.loaded or own is None:
            return row
        found = sync_score(self.networks.loaded[SYNC], self._pictures(path), measured.faces.points_px, own)
        return row if found is None else replace(row, sync_confidence=found.confidence, sync_distance=found.distance)

    def _pictures(self, path: Path) -> Iterator[Picture]:
        return (frame.image for frame in islice(read_frames(path, fps=FPS), self.n_frames))

    def _scored(self, path: Path, scores: PictureScores, real_scores: PictureScores) -> Iterator[Picture]:
        """Pass the pictures on; measure each, and the real one of the same moment, against the real one."""
        truths = _true_frames(self._pictures(self.against), self.faces)
        for picture, truth in zip(self._pictures(path), truths, strict=True):
            real_scores.add(truth.picture, truth)
            scores.add(picture, truth)
            yield picture

    def _counted(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        for picture in pictures:
            yield picture
            self._done += 1
            self._progress(self._done, self._total)


def _true_frames(pictures: Iterator[Picture], faces: LandmarkTrack) -> Iterator[TrueFrame]:
    """Real frames with mattes by MediaPipe: the person by segmentation, the head by the curve under the jaw."""
    with PersonSegmenter() as segmenter:
        for k, picture in enumerate(pictures):
            person, (height, width) = segmenter.matte(picture), picture.shape[:2]
            if faces.found[k]:
                points = faces.points_px[k]
                head = person * head_region(points, height, width)
                mouth = rectangles(points[None, list(OUTER_LIPS), :2], MOUTH_MARGIN, height, width)[0]
            else:
                head, mouth = np.zeros_like(person), np.zeros(4, int)
            yield TrueFrame(picture, head, person - head, mouth, k)


def _common_size(video: Path, against: Path) -> tuple[int, int]:
    ours, theirs = probe(video), probe(against)
    if (ours.height, ours.width) != (theirs.height, theirs.width):
        raise InputError(
            f"{video} shows {ours.width}x{ours.height} pixels, {against} {theirs.width}x{theirs.height}. "
            "Only videos of the same size and framing can be compared: scale or crop one like the other first."
        )
    return ours.height, ours.width


def _action_unit_error(ours: Path, theirs: Path, trim: bool) -> float:
    one, other = read_action_units(ours), read_action_units(theirs)
    n_rows = min(len(one), len(other)) if trim else None
    return action_unit_error(one[:n_rows], other[:n_rows])


def _notes(video: Path, against: Path, counts: tuple[int, ...]) -> Iterator[str]:
    if counts[0] != counts[1]:
        longer = video if counts[0] > counts[1] else against
        yield f"The last {abs(counts[0] - counts[1])} frames of {longer.name} were left out, since the other ends before."
    if not probe(video).has_sound and probe(against).has_sound:
        yield f"{video.name} is silent; it was judged with the sound of {against.name}."
