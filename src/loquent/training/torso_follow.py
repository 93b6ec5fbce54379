"""Fitting how the torso follows the head: points tracked on the torso, a similarity per frame, a ridge on the head pose."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from loquent.fields.torso_follow import TorsoFollow

MAX_POINTS = 200
MIN_POINTS = 8
"""A frame with fewer tracked points is left out."""
MIN_FRAMES = 20
"""With fewer frames nothing is fitted: six features need examples."""
STRENGTH = 1.0
"""Ridge strength, for standardised features."""


def fit_torso_follow(
    picture: Callable[[int], UInt8[np.ndarray, "height width 3"]],
    torso: Bool[np.ndarray, "height width"],
    reference: int,
    world_from_camera: Float[Tensor, "frames 4 4"],
) -> TorsoFollow:
    """A fitted map; the identity when the torso shows too little to track, or when following would not help.

    Args:
        picture: the torso over the background in each of the frames.
        torso: where the reference frame certainly shows the torso.
        reference: the frame whose torso counts as at rest.
        world_from_camera: head poses of the frames.
    """
    follow = TorsoFollow()
    frames, motion = _track(picture, torso, reference, len(world_from_camera))
    if len(frames) < MIN_FRAMES:
        return follow
    poses = world_from_camera[frames]
    follow.reference.copy_(_mean_rotation(poses[:, :3, :3].transpose(1, 2)))
    features = follow.pose_features(poses)
    follow.mean.copy_(features.mean(dim=0))
    follow.scale.copy_(features.std(dim=0).clamp(min=1e-4))
    x = ((features - follow.mean) / follow.scale).double()
    y = torch.from_numpy(motion)
    if _left_over(x, y) < 0.8:
        follow.weight.copy_(_ridge(x, y - y.mean(dim=0)).float())
        follow.bias.copy_(y.mean(dim=0).float())
    return follow


def _track(
    picture: Callable[[int], np.ndarray], torso: np.ndarray, reference: int, count: int
) -> tuple[list[int], Float[np.ndarray, "tracked 4"]]:
    """Frames in which the torso could be followed, and the similarity that brings each back to the reference."""
    first = cv2.cvtColor(picture(reference), cv2.COLOR_RGB2GRAY)
    points = cv2.goodFeaturesToTrack(first, MAX_POINTS, 0.01, max(4, first.shape[0] // 75), mask=torso.astype(np.uint8))
    if points is None or len(points) < MIN_POINTS:
        return [], np.zeros((0, 4))
    window = max(15, first.shape[0] // 15) | 1
    frames, motion = [], []
    for i in range(count):
        grey = cv2.cvtColor(picture(i), cv2.COLOR_RGB2GRAY)
        there, found, _ = cv2.calcOpticalFlowPyrLK(
            first, grey, points, np.zeros_like(points), winSize=(window, window), maxLevel=4
        )
        back, found_back, _ = cv2.calcOpticalFlowPyrLK(
            grey, first, there, np.zeros_like(points), winSize=(window, window), maxLevel=4
        )
        kept = (found[:, 0] > 0) & (found_back[:, 0] > 0) & (np.linalg.norm(back - points, axis=2)[:, 0] < 1.0)
        if kept.sum() < MIN_POINTS:
            continue
        matrix, _ = cv2.estimateAffinePartial2D(there[kept], points[kept], ransacReprojThreshold=2.0)
        if matrix is not None and abs(matrix[0, 0] - 1) < 0.2:
            frames.append(i)
            motion.append(_in_plane(matrix, *first.shape))
    return frames, np.array(motion).reshape(-1, 4)


def _in_plane(matrix: Float[np.ndarray, "2 3"], height: int, width: int) -> list[float]:
    """A pixel similarity (x, y) as change of scale, turn and shift in plane coordinates (row, column) from -1 to 1.

    Plane units differ along rows and columns of a picture that is not square; the turn, tiny here, ignores that.
    """
    half_height, half_width = (height - 1) / 2, (width - 1) / 2
    centre = np.array([half_width, half_height])
    shift = matrix[:, :2] @ centre + matrix[:, 2] - centre
    return [matrix[0, 0] - 1, -matrix[1, 0], shift[1] / half_height, shift[0] / half_width]


def _ridge(x: Float[Tensor, "rows 6"], y: Float[Tensor, "rows 4"]) -> Float[Tensor, "6 4"]:
    weight: Tensor = torch.linalg.solve(x.T @ x + STRENGTH * torch.eye(6, dtype=x.dtype), x.T @ y)
    return weight


def _left_over(x: Float[Tensor, "rows 6"], y: Float[Tensor, "rows 4"]) -> float:
    """Share of the shifts' variance that is left on frames a ridge has not seen; folds are contiguous in time."""
    error = torch.zeros_like(y)
    for fold in torch.arange(len(x)).tensor_split(4):
        seen = torch.ones(len(x), dtype=torch.bool)
        seen[fold] = False
        mean = y[seen].mean(dim=0)
        error[fold] = y[fold] - (x[fold] @ _ridge(x[seen], y[seen] - mean) + mean)
    shift = (y - y.mean(dim=0))[:, 2:]
    return float(error[:, 2:].square().sum() / shift.square().sum().clamp(min=1e-12))


def _mean_rotation(rotations: Float[Tensor, "frames 3 3"]) -> Float[Tensor, "3 3"]:
    left, _, right = torch.linalg.svd(rotations.double().mean(dim=0))
    mean: Tensor = left @ right
    return mean.float()
