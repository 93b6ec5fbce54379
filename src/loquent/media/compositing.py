"""One picture laid over another."""

import cv2
import numpy as np
from jaxtyping import Float, Real


def laid_over(
    over: Real[np.ndarray, "height width 3"],
    under: Real[np.ndarray, "height width 3"],
    alpha: Real[np.ndarray, "height width 1"],
) -> Float[np.ndarray, "height width 3"]:
    """`over` laid on `under` as a picture in [0, 1].

    In place and with alpha once per channel, since fresh memory and a last axis that is broadcast cost more than the sums.

    Args:
        over: 0 to 255, not weighted by alpha yet.
        under: 0 to 255.
        alpha: share of `over`, 0 to 255.
    """
    share = alpha.astype(np.float32) / 255
    mixed: np.ndarray = np.subtract(over, under, dtype=np.float32)
    mixed *= cv2.merge([share, share, share])
    mixed += under
    mixed /= 255
    return mixed
