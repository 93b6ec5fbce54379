"""Small habits of the original programs that are not ours: smoothed tracks, and R2-Talker's treatment of landmarks.

The importer smooths tracks, so that imported portraits show the originals' pictures. Landmarks go, clamped and in windows, into
:meth:`loquent.portrait.Portrait.landmark_conditions`.
"""

import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

PATH_WINDOW = 7
"""Frames over which RAD-NeRF averages poses at test time (SPEC 5)."""
LANDMARK_WINDOW = 5
"""Frames of landmarks that R2-Talker looks at: two before, the frame, two after."""
_CLAMP, _CLAMP_EYES = 2.3, 1.15
"""Standard deviations within which R2-Talker keeps a new voice's landmarks: most of them; across, brows and eyes."""


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
