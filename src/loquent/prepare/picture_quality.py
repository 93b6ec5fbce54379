"""How good the pictures of a face are: noise, sharpness, light, and whether the camera stands still."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from loquent.face.indices import N_MESH
from loquent.face.segmentation import PersonSegmenter
from loquent.prepare.background import camera_motion_px

N_SAMPLES = 24
"""Frames looked at, evenly spread over the clip."""
_FACE_WIDTH_PX = 256
_ReadFrame = Callable[[int], UInt8[np.ndarray, "height width 3"]]


@dataclass(frozen=True)
class PictureQuality:
    """Figures of the cropped frames; medians over the samples."""

    noise: float
    """Standard deviation of the picture's noise, in grey levels of 255."""
    detail: float
    """Share of the face's texture that is finer than 1/100 of its width: about 0.3 when sharp, 0.15 when blurred."""
    face_brightness: float
    """Mean grey level of the face, 0 to 255."""
    camera_motion: float | None
    """How far the background moves, as a share of the picture's side; nothing = too smooth to tell."""


def measure_pictures(
    frame: _ReadFrame, landmarks_px: Float[np.ndarray, "frames 478 3"], samples: Sequence[int]
) -> PictureQuality:
    """Measure the sampled frames.

    Args:
        frame: reads cropped frame i.
        landmarks_px: landmarks of all frames that `frame` reads.
        samples: frames to look at, at least one.
    """
    figures = []
    for i in samples:
        grey = cv2.cvtColor(frame(i), cv2.COLOR_RGB2GRAY)
        face = _face_part(grey, landmarks_px[i])
        figures.append((image_noise(grey), face_detail(face), float(face.mean())))
    noise, detail, brightness = np.median(figures, axis=0).tolist()
    with PersonSegmenter() as segmenter:
        motion_px = camera_motion_px(
            lambda k: frame(samples[k]),
            lambda k: segmenter.matte(frame(samples[k])),
            len(samples),
            max_samples=N_SAMPLES,
        )
    motion = None if np.isnan(motion_px) else motion_px / grey.shape[0]
    return PictureQuality(noise, detail, brightness, motion)


def spread(n_frames: int) -> list[int]:
    """At most :data:`N_SAMPLES` frame numbers, evenly spread."""
    places = np.linspace(0, n_frames - 1, min(n_frames, N_SAMPLES))
    return sorted({round(float(place)) for place in places})


def image_noise(grey: UInt8[np.ndarray, "height width"]) -> float:
    """Noise of a picture in grey levels, by a kernel that cancels smooth surfaces (Immerkær 1996), on its smooth half."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    picture = grey.astype(np.float32)
    response = np.abs(cv2.filter2D(picture, -1, kernel))
    # Edges are no noise: only the half of the picture with the gentler slopes counts.
    smooth = cv2.GaussianBlur(picture, (0, 0), 2)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    # The kernel's gain is 6, and the mean of |N(0, 1)| is sqrt(2 / pi).
    return float(response[slope <= np.median(slope)].mean()) * float(np.sqrt(np.pi / 2)) / 6


def face_detail(face: UInt8[np.ndarray, "height width"]) -> float:
    """Share of the texture of a face that is finer than 1/100 of its width, whatever its size in pixels and contrast."""
    zoom = _FACE_WIDTH_PX / face.shape[1]
    resized = cv2.resize(face, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    picture = resized.astype(np.float32)
    fine = picture - cv2.GaussianBlur(picture, (0, 0), 1.5)
    all_texture = picture - cv2.GaussianBlur(picture, (0, 0), 6)
    return float(fine.std() / max(float(all_texture.std()), 1e-3))


def _face_part(
    grey: UInt8[np.ndarray, "height width"], landmarks_px: Float[np.ndarray, "478 3"]
) -> UInt8[np.ndarray, "face_height face_width"]:
    """The box around the face's skin points."""
    low, high = landmarks_px[:N_MESH, :2].min(axis=0), landmarks_px[:N_MESH, :2].max(axis=0)
    left, top = np.maximum(low, 0).astype(int)
    right, bottom = np.minimum(high, grey.shape[::-1]).astype(int)
    return grey[top : max(bottom, top + 1), left : max(right, left + 1)]
