"""Habits of the original programs that are not ours: the importer smooths tracks, so that imported portraits show the
originals' pictures."""

import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

PATH_WINDOW = 7
"""Frames over which RAD-NeRF averages poses at test time (SPEC 5)."""


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
