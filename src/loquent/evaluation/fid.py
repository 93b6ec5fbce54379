"""Fréchet inception distance: two sets of pictures compared as normal distributions of features (Heusel et al. 2017)."""

import numpy as np
from jaxtyping import Float


def frechet_distance(
    rendered: Float[np.ndarray, "frames features"], truth: Float[np.ndarray, "frames_of_truth features"]
) -> float:
    """|m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)) of both sets' means m and covariances C; 0 = alike.

    Tr (C1 C2)^(1/2) is the sum of the singular values of X1 X2^T / sqrt((n1 - 1)(n2 - 1)) with the centred samples X as
    rows, so no root of a 2048 x 2048 matrix is needed, and it is exact for fewer samples than features too. Each set needs two
    samples. Few samples make the distance large: compare only figures from equally many frames.
    """
    ours, theirs = (
        np.asarray(features - features.mean(axis=0)) / np.sqrt(len(features) - 1) for features in (rendered, truth)
    )
    between = float(np.square(rendered.mean(axis=0) - truth.mean(axis=0)).sum())
    spread = float(np.square(ours).sum() + np.square(theirs).sum())
    shared = float(np.linalg.svd(ours @ theirs.T, compute_uv=False).sum())
    return max(0.0, between + spread - 2 * shared)
