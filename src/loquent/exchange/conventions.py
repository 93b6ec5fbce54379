"""Small habits of the original loaders that are not ours: rectangles from 68 landmarks, smoothed tracks, clamped landmarks.

Imported portraits and written folders use them, so that the originals' figures can be reproduced.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation
from torch import Tensor

Points68 = Float[np.ndarray, "68 2"]
Rectangle = tuple[int, int, int, int]
"""First row, end row, first column, end column; half open."""

PATH_WINDOW = 7
"""Frames over which RAD-NeRF averages poses at test time (SPEC 5)."""
LANDMARK_WINDOW = 5
"""Frames of landmarks that R2-Talker looks at: two before, the frame, two after."""
_CLAMP, _CLAMP_EYES = 2.3, 1.15
"""Standard deviations within which R2-Talker keeps a new voice's landmarks: most of them; across, brows and eyes."""


def face_rectangle(points: Points68) -> Rectangle:
    """ER-NeRF's: around all 68 points (SPEC 1.7)."""
    return _around(points, points)


def lower_face_rectangle(points: Points68) -> Rectangle:
    """RAD-NeRF's: rows from the nostrils down, columns of all points."""
    top, _, _, _ = _around(points[31:36], points)
    _, bottom, left, right = _around(points, points)
    return top, bottom, left, right


def eye_rectangle(points: Points68) -> Rectangle:
    """Around both eyes."""
    return _around(points[36:48], points[36:48])


def lips_rectangle(points: Points68, height: int, width: int) -> Rectangle:
    """The square around the outer lips, cut at the picture's edge."""
    top, bottom, left, right = _around(points[48:60], points[48:60])
    row, column, half = (top + bottom) // 2, (left + right) // 2, max(bottom - top, right - left) // 2
    return max(0, row - half), min(height, row + half), max(0, column - half), min(width, column + half)


def smooth_path(
    world_from_camera: Float[Tensor, "frames 4 4"], window: int = PATH_WINDOW
) -> Float[Tensor, "frames 4 4"]:
    """Each pose replaced by the mean place and mean turn of the frames around it (SPEC 5)."""
    matrices = world_from_camera.double().numpy()
    smoothed, half = matrices.copy(), window // 2
    for i in range(len(matrices)):
        around = matrices[max(0, i - half) : i + half + 1]
        smoothed[i, :3, :3] = Rotation.from_matrix(around[:, :3, :3]).mean().as_matrix()
        smoothed[i, :3, 3] = around[:, :3, 3].mean(axis=0)
    return torch.from_numpy(smoothed).float()


def smooth_eyes(eye: Float[Tensor, "frames"]) -> Float[Tensor, "frames"]:
    """The mean of each frame and its neighbours."""
    return torch.stack([eye[max(0, i - 1) : i + 2].mean() for i in range(len(eye))])


def ping_pong(n: int, length: int) -> Int[np.ndarray, "frames"]:
    """Places 0 … length-1, length-1 … 0, 0 … for `n` frames: how the originals go on when a track ends (SPEC 1.8)."""
    turn, place = np.divmod(np.arange(n), length)
    return np.where(turn % 2 == 0, place, length - 1 - place)


def landmark_windows(landmarks: Float[Tensor, "frames points axes"]) -> Float[Tensor, "frames window points axes"]:
    """The landmarks of the frames around each frame, zero outside the track (SPEC 7.2)."""
    half = LANDMARK_WINDOW // 2
    padded = torch.cat(
        [torch.zeros_like(landmarks[:1])] * half + [landmarks] + [torch.zeros_like(landmarks[:1])] * half
    )
    return torch.stack([padded[k : k + len(landmarks)] for k in range(LANDMARK_WINDOW)], dim=1)


def clamp_landmarks(landmarks: Float[Tensor, "frames 68 3"]) -> Float[Tensor, "frames 68 3"]:
    """R2-Talker's treatment of a new voice's landmarks: held within some deviations of that sequence's own mean (SPEC 7.2)."""
    mean, deviation = landmarks.mean(dim=0), landmarks.std(dim=0)
    limit = torch.full((68, 3), _CLAMP)
    for part in (slice(17, 27), slice(36, 48)):  # brows and eyes, across and up; their depth as the rest
        limit[part, :2] = _CLAMP_EYES
    standard = (landmarks - mean) / deviation
    return torch.minimum(torch.maximum(standard, -limit), limit) * deviation + mean


def standardise_landmarks(
    landmarks: Float[Tensor, "frames 68 3"], reference: Float[Tensor, "all 68 3"], *, ddof: int
) -> Float[Tensor, "frames 68 3"]:
    """Each coordinate by its mean and deviation over `reference`, as R2-Talker's method genefaceDagger does (SPEC 7.2).

    `ddof` is 0 where it trains (reference: the whole file) and 1 where it is driven (the clamped new sequence itself).
    """
    return (landmarks - reference.mean(dim=0)) / reference.std(dim=0, correction=ddof)


def _around(rows: Float[np.ndarray, "some 2"], columns: Float[np.ndarray, "others 2"]) -> Rectangle:
    low, high = rows[:, 1].min(), rows[:, 1].max()
    return int(low), int(high), int(columns[:, 0].min()), int(columns[:, 0].max())
