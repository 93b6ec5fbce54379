"""From pictures and landmarks to the figures of one row of the report."""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int, UInt8

from loquent.data.clip import Clip
from loquent.data.sampling import rectangles
from loquent.evaluation.lip_sync import LipSync, lip_sync
from loquent.evaluation.lmd import eye_distance_px, mouth_distance_px
from loquent.evaluation.psnr import box_psnr, matte_psnr, psnr
from loquent.evaluation.ssim import ssim
from loquent.face.indices import OUTER_LIPS
from loquent.face.landmarks import LandmarkTrack
from loquent.face.lips import lip_opening

MOUTH_MARGIN = 0.25
"""The mouth's rectangle is wider than the lips by this share of their size on each side, as in training."""


@dataclass(frozen=True)
class Row:
    """What was measured on one set of pictures of the held-out frames, against the real ones."""

    name: str
    """``truth``, ``recompressed``, ``head``, ``full``, or a setting followed by ``shuffled``."""
    psnr_db: float
    """PSNR of the whole picture, mean over frames; infinite for the truth itself."""
    head_psnr_db: float
    """PSNR with the squared error weighted by the head's matte, mean over the frames that show the head."""
    mouth_psnr_db: float
    """PSNR in a rectangle around the lips, mean over frames."""
    ssim: float
    """Structural similarity, mean over frames."""
    lmd_px: float | None
    """Landmark distance of the mouth, mean over frames with both faces; None when there is none."""
    lmd_share: float | None
    """The same in distances between the outer eye corners."""
    lips: LipSync | None
    """Lip opening against the real one; None when too few faces were found."""
    n_faces_missed: int
    """Frames in which no face was found."""
    ms_per_frame: float | None
    """Median time to render one frame, in milliseconds; None where nothing was rendered."""


def mouth_boxes(clip: Clip) -> Int[np.ndarray, "held_out 4"]:
    """The mouth's rectangle in every held-out frame (top, bottom, left, right), from the clip's track."""
    points = clip.track.landmarks_px[list(clip.held_out_frames), :, :2].numpy()
    return rectangles(points[:, list(OUTER_LIPS)], MOUTH_MARGIN, clip.info.height, clip.info.width)


@dataclass
class PictureScores:
    """Gathers the figures of pictures, frame after frame."""

    psnr_db: list[float] = field(default_factory=list)
    head_psnr_db: list[float] = field(default_factory=list)
    mouth_psnr_db: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)

    def add(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        truth: UInt8[np.ndarray, "height width 3"],
        head: UInt8[np.ndarray, "height width"],
        mouth: Int[np.ndarray, "4"],
    ) -> None:
        """Measure one picture; `head` is the matte, 0 to 255, and `mouth` a rectangle."""
        self.psnr_db.append(psnr(picture, truth))
        self.head_psnr_db.append(matte_psnr(picture, truth, head.astype(np.float64) / 255))
        self.mouth_psnr_db.append(box_psnr(picture, truth, mouth))
        self.ssim.append(ssim(picture, truth))


def summarise(
    name: str, scores: PictureScores, faces: LandmarkTrack, real: LandmarkTrack, clip: Clip, seconds: list[float]
) -> Row:
    """The row of one set of pictures; `faces` and `real` are the landmarks found on them and on the real ones."""
    distance = mouth_distance_px(faces.points_px, real.points_px)
    frame_ids = clip.track.frame_ids[list(clip.held_out_frames)].numpy()
    timed = seconds[1:] or seconds  # the first frame also compiles
    return Row(
        name=name,
        psnr_db=_mean(scores.psnr_db),
        head_psnr_db=_mean(scores.head_psnr_db),
        mouth_psnr_db=_mean(scores.mouth_psnr_db),
        ssim=_mean(scores.ssim),
        lmd_px=_mean_or_none(distance),
        lmd_share=_mean_or_none(distance / eye_distance_px(real.points_px)),
        lips=lip_sync(
            lip_opening(faces.points_px).astype(np.float64),
            lip_opening(real.points_px).astype(np.float64),
            frame_ids,
            clip.info.fps,
        ),
        n_faces_missed=int((~faces.found).sum()),
        ms_per_frame=1000 * float(np.median(timed)) if timed else None,
    )


def _mean(values: list[float]) -> float:
    """Mean of those that are numbers (a frame without a head has no head PSNR)."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _mean_or_none(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
