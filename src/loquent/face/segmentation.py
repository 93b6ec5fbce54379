"""Where the person is in a picture: MediaPipe's selfie segmentation, whose model ships inside its wheel."""

from types import TracebackType
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from loquent.errors import InputError
from loquent.face.quiet import quiet_stderr


class PersonSegmenter:
    """Person against everything else, one picture at a time, no memory between pictures.

    Use as a context manager: the network's threads end with it. Not for several threads at once; make one per thread.
    """

    def __init__(self) -> None:
        self._solution: Any = None

    def __enter__(self) -> "PersonSegmenter":
        with quiet_stderr():
            from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

            # Model 0 sees 256 x 256 pixels and has clearly better edges than model 1 (144 x 256).
            self._solution = SelfieSegmentation(model_selection=0)
            self._solution.process(
                np.zeros((256, 256, 3), np.uint8)
            )  # the graph starts, and speaks, on its first picture
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._solution.close()
        self._solution = None

    def matte(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
        """How much each pixel of an RGB picture belongs to a person: 0 = not at all, 1 = wholly; float32.

        The edge is that of a 256 x 256 network, right to one or two hundredths of the picture; `loquent.prepare.mattes`
        sharpens it.

        Raises:
            InputError: the picture has no pixels.
        """
        assert self._solution is not None, "PersonSegmenter is a context manager: use it inside `with`"
        height, width = image.shape[:2]
        if height == 0 or width == 0:
            raise InputError(f"A picture of {width} x {height} pixels cannot be segmented; give one with pixels.")
        found: np.ndarray = self._solution.process(np.ascontiguousarray(image)).segmentation_mask
        if found.shape != (height, width):
            found = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.clip(np.nan_to_num(found.astype(np.float32)), 0.0, 1.0)
