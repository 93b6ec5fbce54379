"""The steps on pictures: quality; plate, mattes and torso layer that part head, body, background (SPEC 1.9.4 to 1.9.6)."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from safetensors.numpy import load_file, save

from loquent.face.segmentation import PersonSegmenter
from loquent.media.images import read_image, write_image
from loquent.prepare.background import BackgroundPlate, estimate_background
from loquent.prepare.mattes import estimate_mattes, steady_landmarks
from loquent.prepare.parallel import ordered_map
from loquent.prepare.picture_quality import PictureQuality, measure_pictures, spread
from loquent.prepare.pipeline import Step, Workplace
from loquent.prepare.torso_layer import torso_layer
from loquent.prepare.track import TRACK, read_track_tensors
from loquent.storage import write_bytes, write_json

PLATE = "measured/plate.safetensors"
PICTURE_QUALITY = "measured/picture_quality.json"


def picture_quality_step() -> Step:
    """Measure noise, sharpness, light and camera motion on some frames."""
    return Step("pictures", "Judging the pictures", _measure_pictures, ("frames", TRACK), (PICTURE_QUALITY,))


def background_step() -> Step:
    """Estimate the static plate behind the person."""
    return Step(
        "background",
        "Finding the background",
        _find_background,
        ("frames", TRACK),
        ("background.png", PLATE),
        2,
        effort=8.0,
    )


def mattes_step() -> Step:
    """Write mattes/: head, neck with torso, background of every usable frame."""
    inputs = ("frames", TRACK, "background.png", PLATE)
    return Step("mattes", "Separating head, body, background", _write_mattes, inputs, ("mattes",), effort=30.0)


def torso_step() -> Step:
    """Write torso/: neck and torso in-painted under the head."""
    return Step(
        "torso", "Painting the torso layer", _write_torsos, ("frames", TRACK, "mattes"), ("torso",), effort=25.0
    )


def _measure_pictures(work: Workplace) -> None:
    files = _usable_files(work)

    def frame(i: int) -> UInt8[np.ndarray, "height width 3"]:
        work.advance(i, len(files), frame=int(files[i].stem))
        return read_image(files[i])

    landmarks = read_track_tensors(work.input(TRACK))["landmarks_px"]
    write_json(work.output(PICTURE_QUALITY), asdict(measure_pictures(frame, landmarks, spread(len(files)))))


def read_picture_quality(path: Path) -> PictureQuality:
    """The figures as the step stored them."""
    return PictureQuality(**json.loads(path.read_text()))


def _find_background(work: Workplace) -> None:
    files = _usable_files(work)
    with PersonSegmenter() as segmenter:

        def frame(i: int) -> UInt8[np.ndarray, "height width 3"]:
            work.advance(i, len(files), frame=int(files[i].stem))
            return read_image(files[i])

        plate = estimate_background(frame, lambda i: segmenter.matte(read_image(files[i])), len(files))
    write_image(work.output("background.png"), plate.image)
    write_bytes(work.output(PLATE), save({"seen": plate.seen, "noise_std": plate.noise_std}))


def _write_mattes(work: Workplace) -> None:
    files = _usable_files(work)
    track = read_track_tensors(work.input(TRACK))
    landmarks = steady_landmarks(track["landmarks_px"], track["frame_ids"])
    plate = BackgroundPlate(image=read_image(work.input("background.png")), **load_file(work.input(PLATE)))
    folder = work.output_folder("mattes")

    def segmented() -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]]:
        with PersonSegmenter() as segmenter:
            for i, picture in enumerate(ordered_map(read_image, files)):
                work.advance(i, len(files), frame=int(files[i].stem))
                yield i, picture, segmenter.matte(picture)

    def write(item: tuple[int, UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]) -> None:
        i, picture, person = item
        write_image(
            folder / f"{files[i].stem}.png", estimate_mattes(picture, person, landmarks[i], plate), durable=False
        )

    for _ in ordered_map(write, segmented()):
        pass


def _write_torsos(work: Workplace) -> None:
    files = _usable_files(work)
    mattes, folder = work.input("mattes"), work.output_folder("torso")

    def write(file: Path) -> None:
        name = f"{file.stem}.png"
        write_image(folder / name, torso_layer(read_image(file), read_image(mattes / name)), durable=False)

    for i, _ in enumerate(ordered_map(write, files)):
        work.advance(i, len(files), frame=int(files[i].stem))


def _usable_files(work: Workplace) -> list[Path]:
    """The frames that have a track."""
    frame_ids = read_track_tensors(work.input(TRACK))["frame_ids"].tolist()
    return [work.input("frames") / f"{frame_id:06d}.jpg" for frame_id in frame_ids]
