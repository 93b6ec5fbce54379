"""Networks that some metrics need, as far as their weights are in the model cache. What is missing is said, not replaced."""

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, UInt8

from loquent.errors import LoquentError
from loquent.evaluation.inception import Inception
from loquent.evaluation.lpips import Lpips
from loquent.evaluation.syncnet import SyncNet
from loquent.face.landmarks import N_BLENDSHAPES, LandmarkDetector
from loquent.face.models import FACE_LANDMARKER
from loquent.pretrained import need_model

LPIPS_ALEX, LPIPS_VGG, FID, SYNC, BLENDSHAPES = "LPIPS (alex)", "LPIPS (vgg)", "FID", "Sync", "blendshape error"
CHEAP: Final = (LPIPS_ALEX, BLENDSHAPES)
"""Metrics that take less time than rendering a frame does."""
ALL: Final = (LPIPS_ALEX, LPIPS_VGG, FID, SYNC, BLENDSHAPES)


@dataclass
class MetricNetworks:
    """Networks by the name of their metric."""

    loaded: dict[str, Any] = field(default_factory=dict)
    """Those that can be used."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why each of the others cannot, in one sentence that says what to do."""


class BlendshapeDetector:
    """Blendshapes of single pictures, by the Face Landmarker; a context manager like the detector inside."""

    def __init__(self) -> None:
        self._detector = LandmarkDetector(is_tracking=False, max_faces=1, task_file=need_model(FACE_LANDMARKER))

    def __enter__(self) -> "BlendshapeDetector":
        return self

    def __exit__(self, *_: object) -> None:
        self._detector.close()

    def shapes(self, picture: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "52"]:
        """How active each of the 52 shapes is, 0 to 1; NaN without a face."""
        faces = self._detector.detect(picture)
        found = faces[0].blendshapes if faces else None
        return np.full(N_BLENDSHAPES, np.nan, np.float32) if found is None else found


_LOADERS: Final[dict[str, Callable[[], Any]]] = {
    LPIPS_ALEX: lambda: Lpips.load("alex"),
    LPIPS_VGG: lambda: Lpips.load("vgg"),
    FID: Inception.load,
    SYNC: SyncNet.load,
    BLENDSHAPES: BlendshapeDetector,
}


@contextlib.contextmanager
def open_networks(wanted: Collection[str]) -> Iterator[MetricNetworks]:
    """Load what the `wanted` metrics need. A file that is missing or damaged costs its own metric only."""
    networks = MetricNetworks()
    with contextlib.ExitStack() as held:
        for name in wanted:
            try:
                network = _LOADERS[name]()
            except LoquentError as cause:
                networks.missing[name] = str(cause).rstrip(".")
                continue
            if isinstance(network, contextlib.AbstractContextManager):
                held.enter_context(network)
            networks.loaded[name] = network
        yield networks
