"""The head turned, nodded and tilted beyond what the clip shows (ER-NeRF, Figure 6)."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loquent.data.clip import Clip
from loquent.figures.panels import INK, Panels
from loquent.figures.subject import Moments, Subject
from loquent.geometry.rotations import head_angles_deg, head_rotations
from loquent.media.images import to_bytes

BEYOND_DEG = (10, 20)
"""How far beyond the clip's range the head is turned to either side."""
_AXES = ("turned", "nodded", "tilted")
_OUTSIDE = "#c8501e"


def draw_poses(subjects: Sequence[Subject], clip: Clip, moments: Moments) -> tuple[Panels, list[str]]:
    """Each angle of the head in turn, from beyond the one end of the clip's range to beyond the other."""
    angles = head_angles_deg(clip.track.world_from_camera[list(clip.train_frames)].double().numpy())
    middle = np.median(angles, axis=0)
    # The frame that is held most like the median gives the head's place.
    usual = int(np.abs(angles - middle).sum(axis=1).argmin())
    pose = clip.track.world_from_camera[usual]
    n = len(subjects)
    gaps = [0.0 if row == 0 else 0.26 if row % n == 0 else 0.06 for row in range(3 * n)]
    caption = (
        f"All rendered. The head is turned (yaw), nodded (pitch) and tilted (roll); the other two angles and its place stay at "
        f"the clip's usual. Each row runs from {BEYOND_DEG[-1]}° below to {BEYOND_DEG[-1]}° above what the training frames of "
        f"{clip.info.name} show; angles beyond them are orange. Lips as at one held-out frame, eyes at rest."
    )
    panels = Panels(7, [clip.info.height / clip.info.width] * (3 * n), caption=caption, gaps_in=gaps, width_in=1.6)
    for axis, word in enumerate(_AXES):
        low, high = float(angles[:, axis].min()), float(angles[:, axis].max())
        down, up = [low - more for more in reversed(BEYOND_DEG)], [high + more for more in BEYOND_DEG]
        for column, angle in enumerate([*down, low, float(middle[axis]), high, *up]):
            wanted = middle.copy()
            wanted[axis] = angle
            turned = turn_head(pose, wanted)
            is_outside = not low <= angle <= high
            colour = _OUTSIDE if is_outside else INK
            panels.name_column(column, f"{angle:+.0f}°".replace("-", "−"), row=axis * n, colour=colour)
            for i, subject in enumerate(subjects):
                picture = subject.portrait.render(
                    turned, subject.conditions[moments.lips_open], subject.eyes_at_rest(clip), camera=clip.camera
                )
                panels.show(axis * n + i, column, to_bytes(picture.numpy()))
        for i, subject in enumerate(subjects):
            panels.name_row(axis * n + i, word if n == 1 else f"{word}, {subject.name}")
    return panels, []


def turn_head(world_from_camera: Float[Tensor, "4 4"], angles_deg: Float[np.ndarray, "3"]) -> Float[Tensor, "4 4"]:
    """The pose of a head at the same place before the camera, held at this yaw, pitch and roll."""
    given = world_from_camera.double()
    place = given[:3, :3].T @ -given[:3, 3]  # of the head's centre, as the camera sees it
    turned = torch.eye(4, dtype=torch.float64)
    turned[:3, :3] = torch.from_numpy(head_rotations(angles_deg[None])[0])
    turned[:3, 3] = -turned[:3, :3] @ place
    return turned.float()
