"""LPIPS: the distance of two pictures in the features of a network that knows objects (Zhang et al. 2018, version 0.1)."""

import importlib.util
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from loquent.errors import DependencyError
from loquent.evaluation.weights import ALEXNET, VGG16, load_weights, read_tensors

Backbone = Literal["alex", "vgg"]

_MEAN: Final = (-0.030, -0.088, -0.188)
_SPREAD: Final = (0.458, 0.448, 0.450)
"""Shift and scale of colours in [-1, 1] before the network."""
_NO_FEATURE: Final = 1e-10
"""Keeps features that are all zero from being divided by zero."""

_ALEX: Final = ((("0", 4, 2),), (("3", 1, 2),), (("6", 1, 1),), (("8", 1, 1),), (("10", 1, 1),))
_VGG: Final = tuple(
    tuple((layer, 1, 1) for layer in layers)
    for layers in (("0", "2"), ("5", "7"), ("10", "12", "14"), ("17", "19", "21"), ("24", "26", "28"))
)
"""Convolutions of each stage (name in torchvision's file, stride, padding); features are taken after each stage."""
_POOLED_BEFORE: Final = {"alex": (1, 2), "vgg": (1, 2, 3, 4)}
"""Stages that begin with max pooling."""
_POOL_SIZE: Final = {"alex": 3, "vgg": 2}


class Lpips:
    """LPIPS with one backbone. Backbone weights as torchvision stores them, linear weights as the authors do."""

    def __init__(self, backbone: Backbone, features: dict[str, Tensor], linear: dict[str, Tensor]) -> None:
        """Keep the weights: ``features.N.weight`` and ``.bias`` of the backbone, ``linN.model.1.weight``."""
        self.backbone = backbone
        self._stages = _ALEX if backbone == "alex" else _VGG
        self._features = features
        self._linear = [linear[f"lin{k}.model.1.weight"].reshape(-1) for k in range(len(self._stages))]

    @classmethod
    def load(cls, backbone: Backbone) -> "Lpips":
        """Load the published weights: the backbone's from the model cache, the linear ones from the torchmetrics wheel.

        Raises:
            DependencyError: the backbone is not in the model cache.
            InputError: a file is damaged.
        """
        features = load_weights(ALEXNET if backbone == "alex" else VGG16)
        return cls(backbone, features, read_tensors(linear_weights_file(backbone)))

    @torch.no_grad()
    def distance(
        self, rendered: UInt8[np.ndarray, "height width 3"], truth: UInt8[np.ndarray, "height width 3"]
    ) -> float:
        """0 = equal; about 0.02 to 0.1 for good portraits. Pictures need at least 32 rows and columns."""
        if np.array_equal(rendered, truth):
            return 0.0
        total = 0.0
        for ours, theirs, weight in zip(self._of(rendered), self._of(truth), self._linear, strict=True):
            total += float(torch.einsum("chw,c->hw", (ours - theirs).square(), weight).mean())
        return total

    def _of(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[Float[Tensor, "channels rows columns"]]:
        """Features after each stage, each pixel's scaled to length 1."""
        x = torch.from_numpy(picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        x = (x - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_SPREAD)[:, None, None]
        taken = []
        for number, stage in enumerate(self._stages):
            if number in _POOLED_BEFORE[self.backbone]:
                x = functional.max_pool2d(x, _POOL_SIZE[self.backbone], stride=2)
            for layer, stride, padding in stage:
                weight, bias = self._features[f"features.{layer}.weight"], self._features[f"features.{layer}.bias"]
                x = functional.conv2d(x, weight, bias, stride, padding).relu()
            taken.append(x[0] / (x[0].norm(dim=0) + _NO_FEATURE))
        return taken


def linear_weights_file(backbone: Backbone) -> Path:
    """The authors' linear weights, a copy of which the torchmetrics wheel carries; torchmetrics itself is not imported.

    Raises:
        DependencyError: this version of torchmetrics has no such file.
    """
    package = importlib.util.find_spec("torchmetrics")
    for folder in (package.submodule_search_locations or []) if package else []:
        path = Path(folder) / "functional" / "image" / "lpips_models" / f"{backbone}.pth"
        if path.is_file():
            return path
    raise DependencyError(
        f"the linear weights {backbone}.pth of LPIPS are missing: install the torchmetrics named in constraints.txt"
    )
