"""Does the face move as the real one, by MediaPipe's blendshapes? The action unit error's formula on other numbers.

Not to be mixed up with AUE: blendshapes are activations from 0 to 1, and there are more of them.
"""

import numpy as np
from jaxtyping import Float

from loquent.evaluation.action_units import action_unit_error

LEAST_FRAMES = 5
"""Fewer frames with both faces than this say nothing."""


def blendshape_error(
    rendered: Float[np.ndarray, "frames shapes"], truth: Float[np.ndarray, "frames shapes"]
) -> float | None:
    """Sum over the shapes of the mean squared difference over frames with both faces; NaN stands for no face.

    None when fewer than LEAST_FRAMES frames show both.
    """
    both = np.isfinite(rendered).all(axis=1) & np.isfinite(truth).all(axis=1)
    return action_unit_error(rendered[both], truth[both]) if both.sum() >= LEAST_FRAMES else None
