"""How well landmarks made from sound follow the real ones, and the two predictions that a generator must beat."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.evaluation.lip_sync import LipSync, lip_sync
from loquent.face import indices
from loquent.face.lips import lip_opening


@dataclass(frozen=True)
class MotionScore:
    """One generator on one set of frames. Distances are in the units of the landmarks."""

    name: str
    """What made the landmarks."""
    error: float
    """Mean distance of all points from where they were."""
    mouth_error: float
    """The same of lips and jaw line's lower half alone."""
    lips: LipSync | None
    """How the opening of the lips follows the real one; none on fewer than 25 frames."""
    speed: float
    """Mean distance that lip points travel between neighbouring frames, over that of the real ones: 1 = as lively."""
    n_frames: int
    """Frames compared."""

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def score_motion(
    name: str,
    predicted: Float[np.ndarray, "frames points 3"],
    truth: Float[np.ndarray, "frames points 3"],
    numbers: tuple[int, ...],
    frame_ids: Int[np.ndarray, "frames"],
    fps: float,
) -> MotionScore:
    """Hold predicted landmarks against the real ones.

    Args:
        name: what made the landmarks.
        predicted, truth: both free of head pose, in the same units.
        numbers: each point's place in MediaPipe's mesh; inner lips' middles and outer eye corners among them.
        frame_ids: places on the timeline, ascending.
        fps: frames per second of the timeline.
    """
    distance = np.linalg.norm(predicted - truth, axis=-1)
    is_lip = np.isin(numbers, (*indices.OUTER_LIPS, *indices.INNER_LIPS))
    is_mouth = is_lip | np.isin(numbers, indices.JAW)
    is_next = np.diff(frame_ids) == 1
    ours, theirs = (
        np.linalg.norm(np.diff(points[:, is_lip], axis=0), axis=-1)[is_next].sum() for points in (predicted, truth)
    )
    return MotionScore(
        name=name,
        error=float(distance.mean()),
        mouth_error=float(distance[:, is_mouth].mean()),
        lips=lip_sync(_opening(predicted, numbers), _opening(truth, numbers), frame_ids, fps),
        speed=float(ours / theirs) if theirs > 0 else float("nan"),
        n_frames=len(truth),
    )


def nearest_neighbours(
    asked: Float[Tensor, "frames width steps"], known: Float[Tensor, "known width steps"]
) -> Int[Tensor, "frames"]:
    """For each window of sound the place of the known one nearest to it, every value counted in its own standard deviation."""
    mean, scale = known.mean(dim=(0, 2), keepdim=True), known.std(dim=(0, 2), keepdim=True).clamp(min=1e-6)
    ours, theirs = (((windows - mean) / scale).flatten(1) for windows in (asked, known))
    return torch.cdist(ours, theirs).argmin(dim=1)


def _opening(points: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
    """The lips' opening, once the points are at their places among the 478 of MediaPipe's mesh."""
    mesh = np.full((len(points), indices.N_LANDMARKS, 3), np.nan)
    mesh[:, numbers] = points
    return lip_opening(mesh)
