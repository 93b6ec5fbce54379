"""The step that finds 478 landmarks on every prepared frame."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from safetensors.numpy import load_file, save

from loquent.face.landmarks import LandmarkTrack, detect_all
from loquent.face.models import FACE_LANDMARKER
from loquent.media.images import read_image
from loquent.prepare.parallel import ordered_map
from loquent.prepare.pipeline import Step, Workplace
from loquent.pretrained import cached_model
from loquent.storage import write_bytes

LANDMARKS = "measured/landmarks.safetensors"


def landmarks_step() -> Step:
    """Landmarks of the most persistent face; blendshapes too when the Face Landmarker file is in the cache."""
    model = cached_model(FACE_LANDMARKER)
    parameters = {"model": model.name if model else "wheel", "sha256": FACE_LANDMARKER.sha256 if model else ""}
    return Step("landmarks", "Finding landmarks", _find, ("frames",), (LANDMARKS,), 1, parameters, 15.0)


def frame_files(folder: Path) -> list[Path]:
    """The frames of a folder in the order of the timeline; a file's name is its frame id."""
    return sorted(folder.glob("*.jpg"))


def read_frame_ids(folder: Path) -> list[int]:
    """Places of the folder's frames on the timeline."""
    return [int(path.stem) for path in frame_files(folder)]


def _find(work: Workplace) -> None:
    files = frame_files(work.input("frames"))

    def pictures() -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        for done, picture in enumerate(ordered_map(read_image, files)):
            work.advance(done, len(files), frame=int(files[done].stem))
            yield picture

    task_file = cached_model(FACE_LANDMARKER) if work.parameters["model"] != "wheel" else None
    track = detect_all(pictures(), task_file=task_file)
    tensors = {"points_px": track.points_px, "n_faces": track.n_faces}
    if track.blendshapes is not None:
        tensors["blendshapes"] = track.blendshapes
    write_bytes(work.output(LANDMARKS), save(tensors))


def read_landmarks(path: Path) -> LandmarkTrack:
    """The landmarks as the step stored them."""
    tensors = load_file(path)
    return LandmarkTrack(tensors["points_px"], tensors["n_faces"], tensors.get("blendshapes"))


def usable_frames(landmarks: LandmarkTrack, size: int) -> Bool[np.ndarray, "frames"]:
    """Which frames show the whole face: found, inside the picture, and about as large as in the rest of the clip."""
    points = landmarks.points_px[..., :2]
    low, high = points.min(axis=1), points.max(axis=1)
    face_px = (high - low).max(axis=1)
    found = landmarks.found
    if not found.any():
        return found
    inside = ((low > -0.02 * size) & (high < 1.02 * size)).all(axis=1)
    typical_px = float(np.median(face_px[found]))
    return np.asarray(found & inside & (face_px > typical_px / 1.8) & (face_px < typical_px * 1.8))
