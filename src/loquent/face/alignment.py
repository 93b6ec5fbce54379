"""Similarity alignment of point sets, and a face's relative 3-D landmarks with the head's motion taken out."""

import numpy as np
from jaxtyping import Float

from loquent.errors import InputError
from loquent.face import indices


def similarity_to(
    reference: Float[np.ndarray, "points 3"], targets: Float[np.ndarray, "frames points 3"]
) -> tuple[Float[np.ndarray, "frames 3 3"], Float[np.ndarray, "frames"]]:
    """Rotations and scales that bring `reference` closest to each target in least squares; both must be centred.

    ``target ~ scale * rotation @ reference``; reflections are excluded (Umeyama 1991).
    """
    left, strength, right = np.linalg.svd(np.einsum("fni,nj->fij", targets, reference))
    turn = np.ones((len(targets), 3))
    turn[:, 2] = np.sign(np.linalg.det(left @ right))
    rotations = (left * turn[:, None, :]) @ right
    return rotations, (strength * turn).sum(axis=1) / (reference**2).sum()


def mean_face(
    points: Float[np.ndarray, "frames 478 3"], rigid: tuple[int, ...] = indices.RIGID
) -> Float[np.ndarray, "478 3"]:
    """The face all frames share up to similarity (generalised Procrustes analysis on the rigid points; median over frames).

    The rigid points are centred and their root-sum-square radius is 1; axes are the camera's (x right, y down, z forward) for
    a face that looks straight at it: the face's own symmetry sets them, not how the head was held.

    Raises:
        InputError: no frame, a frame with NaN, or rigid points that all coincide.
    """
    if len(points) == 0 or not np.isfinite(points).all():
        raise InputError(
            "A mean face needs at least one frame, and landmarks without NaN: leave frames without a face out."
        )
    numbers = list(rigid)
    centred = points - points[:, numbers].mean(axis=1, keepdims=True)
    sizes = np.sqrt((centred[:, numbers] ** 2).sum(axis=(1, 2)))
    if not (sizes > 1e-6).all():
        raise InputError("The rigid landmarks of a frame all lie on one point. Give landmarks in pixels.")
    mean = centred[len(points) // 2] / sizes[len(points) // 2]
    for _ in range(10):
        rotations, scales = similarity_to(mean[numbers], centred[:, numbers])
        back = np.einsum("fji,fnj->fni", rotations, centred) / scales[:, None, None]
        mean = np.median(back, axis=0)
        mean -= mean[numbers].mean(axis=0)
        mean /= np.sqrt((mean[numbers] ** 2).sum())
    up, towards, lateral = face_axes(mean)
    return np.asarray(mean @ np.stack([lateral, -up, -towards]).T)


def aligned_faces(
    points: Float[np.ndarray, "frames 478 3"],
    mean: Float[np.ndarray, "478 3"],
    rigid: tuple[int, ...] = indices.RIGID,
) -> Float[np.ndarray, "frames 478 3"]:
    """Each frame's landmarks laid over `mean` by its rigid points, in units of the distance between the outer eye corners.

    Head pose and distance to the camera are gone; what moves is expression. Frames holding NaN stay NaN.
    """
    numbers = list(rigid)
    unit = float(np.linalg.norm(mean[indices.LEFT_EYE_OUTER] - mean[indices.RIGHT_EYE_OUTER]))
    aligned = np.full(points.shape, np.nan)
    seen = np.isfinite(points).all(axis=(1, 2))
    if seen.any():
        middles = points[seen][:, numbers].mean(axis=1, keepdims=True)
        centred = points[seen].astype(np.float64) - middles
        rotations, scales = similarity_to(mean[numbers] - mean[numbers].mean(axis=0), centred[:, numbers])
        aligned[seen] = np.einsum("fji,fnj->fni", rotations, centred) / (scales * unit)[:, None, None]
    return aligned


def face_axes(face: Float[np.ndarray, "478 3"]) -> Float[np.ndarray, "3 3"]:
    """Unit vectors up, towards the viewer and to the picture's right of a frontal face, from its symmetry.

    The lateral axis joins mirrored landmarks, the upward one runs from the chin to the top of the forehead. Rows, in the
    frame that `face` is given in.
    """
    lateral = (face[list(indices.RIGID_LEFT)] - face[list(indices.RIGID_RIGHT)]).sum(axis=0)
    lateral /= np.linalg.norm(lateral)
    up = face[indices.FOREHEAD_TOP] - face[indices.CHIN]
    up = up - lateral * (up @ lateral)
    up /= np.linalg.norm(up)
    return np.stack([up, np.cross(lateral, up), lateral])


__all__ = ["aligned_faces", "face_axes", "mean_face", "similarity_to"]
