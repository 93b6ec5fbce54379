"""A fast look over a whole video: whose face it is, where to crop, where the picture jumps.

Nothing here needs landmarks; `doctor` and the first step of `prepare` share it.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from loquent.face.detection import FaceBox, face_detector
from loquent.media.video import TimedFrame

SAMPLE_EVERY = 10
"""Faces are looked for in every tenth frame of 25 a second."""
_THUMBNAIL_WIDTH = 96


@dataclass(frozen=True)
class Sample:
    """What one examined frame shows."""

    index: int
    """Its place on the 25 fps timeline."""
    faces: tuple[FaceBox, ...]
    """All faces, largest first."""


@dataclass(frozen=True)
class Survey:
    """What a fast look over a video found; lengths in pixels of the video."""

    height: int
    width: int
    n_frames: int
    """Frames of the 25 fps timeline."""
    change: tuple[float, ...]
    """Mean absolute change of each frame's thumbnail against the frame before, in grey levels; 0 for the first."""
    samples: tuple[Sample, ...]
    """The examined frames."""

    def to_json(self) -> dict[str, Any]:
        """Its fields by name, for :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Survey":
        """The survey whose :meth:`to_json` gave `values`, also when they went through a file."""
        samples = tuple(
            Sample(**{**sample, "faces": tuple(FaceBox(**face) for face in sample["faces"])})
            for sample in values["samples"]
        )
        return cls(**{**values, "change": tuple(values["change"]), "samples": samples})


def survey_frames(frames: Iterable[TimedFrame]) -> Survey:
    """Look over the frames of one video, in order; memory stays flat."""
    height = width = n_frames = 0
    change: list[float] = []
    samples: list[Sample] = []
    before = None
    with face_detector() as detect:
        for frame in frames:
            height, width = frame.image.shape[:2]
            rows = max(1, round(_THUMBNAIL_WIDTH * height / width))
            thumbnail = cv2.resize(frame.image, (_THUMBNAIL_WIDTH, rows), interpolation=cv2.INTER_AREA).astype(np.int16)
            change.append(0.0 if before is None else float(np.abs(thumbnail - before).mean()))
            before = thumbnail
            if n_frames % SAMPLE_EVERY == 0:
                samples.append(Sample(frame.index, tuple(detect(frame.image))))
            n_frames += 1
    return Survey(height, width, n_frames, tuple(change), tuple(samples))


def main_face(survey: Survey) -> list[tuple[int, FaceBox]]:
    """The most persistent face: (frame index, box) of each sample that shows it.

    Boxes that overlap from sample to sample form one face; the face with the largest sum of sides wins, so a big face
    that stays beats one that passes, and several small ones in the back.
    """
    tracks: list[list[tuple[int, FaceBox]]] = []
    for sample in survey.samples:
        free = list(sample.faces)
        for track in tracks:
            nearest = max(free, key=track[-1][1].overlap, default=None)
            if nearest is not None and track[-1][1].overlap(nearest) > 0.2:
                track.append((sample.index, nearest))
                free.remove(nearest)
        tracks += [[(sample.index, face)] for face in free]
    return max(tracks, key=lambda track: sum(face.side_px for _, face in track), default=[])


@dataclass(frozen=True)
class Crop:
    """A fixed square of the video, in its pixels."""

    left: int
    top: int
    side_px: int

    def __call__(self, image: UInt8[np.ndarray, "height width 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
        """Cut the square out and bring it to `size` pixels."""
        cut = image[self.top : self.top + self.side_px, self.left : self.left + self.side_px]
        if cut.shape[:2] == (size, size):
            return np.ascontiguousarray(cut)
        shrinking = size < self.side_px
        return cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LANCZOS4)


FACE_SHARE = 0.5
"""Side of the face box over side of the crop: head, hair and shoulders fit, as in the papers' clips."""


def choose_crop(survey: Survey, face: list[tuple[int, FaceBox]]) -> Crop:
    """The square that holds the main face through the whole video.

    A picture that is square already and shows the face at a fitting size is kept whole.
    """
    boxes = [box for _, box in face]
    side = float(np.median([box.side_px for box in boxes]))
    limit = min(survey.height, survey.width)
    if max(survey.height, survey.width) <= 1.02 * limit and 0.3 <= side / limit <= 0.75:
        wanted = float(limit)
    else:
        # Room for the head's own travel on top of the usual framing.
        travel = max(np.ptp(np.percentile([getattr(box, axis) for box in boxes], [2, 98])) for axis in "uv")
        wanted = side / FACE_SHARE + 0.5 * float(travel)
    crop_side = int(min(limit, max(16, round(wanted))))
    # The detector's box reaches from brows to chin, so its middle sits slightly below the crop's.
    centre_u = float(np.median([box.u for box in boxes]))
    centre_v = float(np.median([box.v for box in boxes])) - 0.02 * crop_side
    left = int(np.clip(round(centre_u - crop_side / 2), 0, survey.width - crop_side))
    top = int(np.clip(round(centre_v - crop_side / 2), 0, survey.height - crop_side))
    return Crop(left, top, crop_side)


__all__ = ["SAMPLE_EVERY", "Crop", "Sample", "Survey", "choose_crop", "main_face", "survey_frames"]
