"""The model files of this part."""

from typing import Final

from loquent.pretrained import ModelFile

FACE_LANDMARKER: Final = ModelFile(
    name="face_landmarker.task",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    licence="Apache-2.0 (Google)",
    meaning="478 face landmarks with 52 blendshapes (blink, jaw, lips)",
)

__all__ = ["FACE_LANDMARKER"]
