"""What a measurement reports, and the way to one row of it from pictures and landmarks."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from loquent import __version__
from loquent.evaluation.blendshapes import blendshape_error
from loquent.evaluation.fid import frechet_distance
from loquent.evaluation.flip import flip
from loquent.evaluation.jitter import jitter
from loquent.evaluation.lip_sync import LipSync, lip_sync
from loquent.evaluation.lmd import mouth_distance_px
from loquent.evaluation.networks import BLENDSHAPES, FID, LPIPS_ALEX, LPIPS_VGG, MetricNetworks
from loquent.evaluation.psnr import box_psnr, matte_psnr, psnr
from loquent.evaluation.seam import seam_band, seam_error
from loquent.evaluation.silence import opening_in_silence
from loquent.evaluation.ssim import ssim
from loquent.face.landmarks import LandmarkTrack
from loquent.face.lips import eye_distance, lip_opening, lip_width

MOUTH_MARGIN = 0.25
"""The mouth's rectangle is wider than the lips by this share of their size on each side, as in training."""


@runtime_checkable
class Named(Protocol):
    """Whatever has a name, such as every kind of row."""

    @property
    def name(self) -> str:
        """Tells it from the others of its kind."""


NamedRow = TypeVar("NamedRow", bound=Named)


@dataclass(frozen=True)
class Figures(Generic[NamedRow]):
    """What every measurement reports; each kind adds what it was measured on."""

    rows: tuple[NamedRow, ...]
    """One for each set of pictures that was measured."""
    notes: tuple[str, ...]
    """What a reader must know to judge the figures."""
    missing: dict[str, str]
    """Metrics that could not be measured, with what each needs."""

    def row(self, name: str) -> NamedRow:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON values, rows and what belongs to them last; infinite or missing ones are null."""
        facts = asdict(self)
        last = {name: facts.pop(name) for name in ("rows", "notes", "missing")}
        plain: dict[str, Any] = _finite({"loquent": __version__, **facts, **last})
        return plain


@dataclass(frozen=True)
class Row:
    """What was measured on one set of pictures, against the real ones."""

    name: str
    """``truth``, ``recompressed``, ``head``, ``full``, or a setting followed by ``shuffled`` or ``tracked``; a file's name in
    `score`."""
    psnr_db: float
    """PSNR of the whole picture, mean over frames; infinite for the truth itself."""
    head_psnr_db: float
    """PSNR with the squared error weighted by the head's matte, mean over the frames that show the head."""
    person_psnr_db: float
    """The same weighted by all of the person: the background does not count."""
    mouth_psnr_db: float
    """PSNR in a rectangle around the lips, mean over frames."""
    ssim: float
    """Structural similarity, mean over frames."""
    flip: float
    """Visible difference (LDR-FLIP), 0 to 1, mean over frames."""
    seam: float
    """Gradient error along the border of head and torso in levels per pixel, mean over frames that show it."""
    jitter: float
    """Change from frame to frame where the real pixels stand still, in levels, mean over adjacent frames."""
    lmd_px: float | None
    """Landmark distance of the mouth, mean over frames with both faces; None when there is none."""
    lmd_share: float | None
    """The same in distances between the outer eye corners."""
    lips: LipSync | None
    """Lip opening against the real one; None when too few faces were found."""
    width_correlation: float | None
    """Correlation of the lips' width with the real one, high-passed, at lag 0; likewise."""
    silence_opening: float | None
    """Mean lip opening while the sound is silent, in distances between the outer eye corners; None without such frames."""
    n_faces_missed: int
    """Frames in which no face was found."""
    ms_per_frame: float | None
    """Median time to render one frame, in milliseconds; None where nothing was rendered."""
    lpips_alex: float | None = None
    """LPIPS with AlexNet, mean over frames; None, here and below, when the network or file is missing or was not asked for."""
    lpips_vgg: float | None = None
    """LPIPS with VGG16."""
    fid: float | None = None
    """Fréchet inception distance of all frames to all real ones."""
    sync_confidence: float | None = None
    """SyncNet's confidence."""
    sync_distance: float | None = None
    """SyncNet's distance."""
    aue: float | None = None
    """Action unit error, from OpenFace's files."""
    blendshape_error: float | None = None
    """The action unit error's formula on MediaPipe's blendshapes."""


@dataclass(frozen=True)
class TrueFrame:
    """One real frame and what its parts are."""

    picture: UInt8[np.ndarray, "height width 3"]
    """RGB."""
    head: Float[np.ndarray, "height width"]
    """Matte of the head in [0, 1]."""
    torso: Float[np.ndarray, "height width"]
    """Matte of neck and torso in [0, 1]."""
    mouth: Int[np.ndarray, "4"]
    """Rectangle around the lips (top, bottom, left, right), half open; empty without a face."""
    frame_id: int
    """Place on the timeline."""


@dataclass(frozen=True)
class Timeline:
    """When the frames are, and when it is silent."""

    frame_ids: Int[np.ndarray, "frames"]
    """Places on the timeline, ascending."""
    fps: float
    """Frames per second of the timeline."""
    is_silent: Bool[np.ndarray, "frames"]
    """Whether nothing is said around each frame."""


@dataclass
class PictureScores:
    """Gathers the figures of pictures, frame after frame."""

    networks: MetricNetworks = field(default_factory=MetricNetworks)
    figures: dict[str, list[float]] = field(default_factory=dict)
    """Figures of each frame by the name of their field in `Row`."""
    features: list[Float[np.ndarray, "features"]] = field(default_factory=list)
    """Inception's, when it is there."""
    shapes: list[Float[np.ndarray, "52"]] = field(default_factory=list)
    """Blendshapes, when the network is there."""
    _before: tuple[np.ndarray, TrueFrame] | None = None

    def add(self, picture: UInt8[np.ndarray, "height width 3"], truth: TrueFrame) -> None:
        """Measure one picture; pictures come in the order of the timeline."""
        real, person = truth.picture, np.minimum(truth.head + truth.torso, 1)
        self._note("psnr_db", psnr(picture, real))
        self._note("head_psnr_db", matte_psnr(picture, real, truth.head))
        self._note("person_psnr_db", matte_psnr(picture, real, person))
        self._note("mouth_psnr_db", box_psnr(picture, real, truth.mouth))
        self._note("ssim", ssim(picture, real))
        self._note("flip", flip(picture, real))
        self._note("seam", seam_error(picture, real, seam_band(truth.head, truth.torso)))
        if self._before is not None and self._before[1].frame_id == truth.frame_id - 1:
            self._note("jitter", jitter(self._before[0], picture, self._before[1].picture, real))
        self._before = picture, truth
        self._add_by_networks(picture, real)

    def mean(self, name: str) -> float:
        """Mean over the frames that have the figure (a frame without a head has no head PSNR); NaN when none has."""
        known = [value for value in self.figures.get(name, ()) if not math.isnan(value)]
        return float(np.mean(known)) if known else math.nan

    def mean_or_none(self, name: str) -> float | None:
        """The same for figures that may not have been measured at all."""
        return self.mean(name) if name in self.figures else None

    def _note(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def _add_by_networks(self, picture: np.ndarray, real: np.ndarray) -> None:
        loaded = self.networks.loaded
        for metric, name in ((LPIPS_ALEX, "lpips_alex"), (LPIPS_VGG, "lpips_vgg")):
            if metric in loaded:
                self._note(name, loaded[metric].distance(picture, real))
        if FID in loaded:
            self.features.append(loaded[FID].features(picture))
        if BLENDSHAPES in loaded:
            self.shapes.append(loaded[BLENDSHAPES].shapes(picture))


@dataclass(frozen=True)
class Measured:
    """One set of pictures, measured."""

    scores: PictureScores
    """What was measured picture by picture."""
    faces: LandmarkTrack
    """The landmarks found on them."""


def summarise(name: str, ours: Measured, real: Measured, timeline: Timeline, seconds: list[float]) -> Row:
    """The row of one set of pictures; `seconds` holds the time each took to render, if any was."""
    points, real_points = ours.faces.points_px, real.faces.points_px
    distance = mouth_distance_px(points, real_points)
    opening = lip_opening(points).astype(np.float64)
    width = lip_sync(
        lip_width(points).astype(np.float64),
        lip_width(real_points).astype(np.float64),
        timeline.frame_ids,
        timeline.fps,
    )
    scores = ours.scores
    return Row(
        name=name,
        psnr_db=scores.mean("psnr_db"),
        head_psnr_db=scores.mean("head_psnr_db"),
        person_psnr_db=scores.mean("person_psnr_db"),
        mouth_psnr_db=scores.mean("mouth_psnr_db"),
        ssim=scores.mean("ssim"),
        flip=scores.mean("flip"),
        seam=scores.mean("seam"),
        jitter=scores.mean("jitter"),
        lmd_px=_mean_or_none(distance),
        lmd_share=_mean_or_none(distance / eye_distance(real_points)),
        lips=lip_sync(opening, lip_opening(real_points).astype(np.float64), timeline.frame_ids, timeline.fps),
        width_correlation=width.correlation if width else None,
        silence_opening=opening_in_silence(opening, timeline.is_silent),
        n_faces_missed=int((~ours.faces.found).sum()),
        ms_per_frame=ms_per_frame(seconds),
        lpips_alex=scores.mean_or_none("lpips_alex"),
        lpips_vgg=scores.mean_or_none("lpips_vgg"),
        fid=_fid(scores.features, real.scores.features),
        blendshape_error=_blendshape_error(scores.shapes, real.scores.shapes),
    )


def ms_per_frame(seconds: Sequence[float]) -> float | None:
    """Median time of a frame in milliseconds, of the times that frames took; None where nothing was rendered."""
    timed = seconds[1:] or seconds  # the first frame also compiles
    return 1000 * float(np.median(timed)) if timed else None


def _fid(ours: list[np.ndarray], real: list[np.ndarray]) -> float | None:
    return frechet_distance(np.stack(ours), np.stack(real)) if len(ours) >= 2 else None


def _blendshape_error(ours: list[np.ndarray], real: list[np.ndarray]) -> float | None:
    return blendshape_error(np.stack(ours), np.stack(real)) if ours else None


def _mean_or_none(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _finite(value: Any) -> Any:
    """The value with infinity and NaN as None, which JSON knows."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
