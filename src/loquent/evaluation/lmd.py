"""Landmark distance of the mouth: how far its outline is from the real one, place of the mouth aside.

SPEC 5.1 with MediaPipe's landmarks in the place of FAN's, so the figures cannot be compared with those of papers.
"""

import numpy as np
from jaxtyping import Float

from loquent.face import indices

MOUTH = indices.MESH_OF_68[48:]
"""Mesh points that stand for points 48 to 67 of the 68-point convention."""


def mouth_distance_px(
    rendered: Float[np.ndarray, "frames 478 axes"], truth: Float[np.ndarray, "frames 478 axes"]
) -> Float[np.ndarray, "frames"]:
    """Mean distance in pixels between the mouth points of both, each set's mean taken out; NaN where a face is missing."""
    ours, theirs = (
        points[:, MOUTH, :2] - points[:, MOUTH, :2].mean(axis=1, keepdims=True) for points in (rendered, truth)
    )
    return np.asarray(np.linalg.norm(ours - theirs, axis=-1).mean(axis=-1))
