"""Inception v3 as the Fréchet inception distance uses it: TensorFlow's network of December 2015, up to its last pooling.

It differs from the textbook network in its pooling: means leave the border's padding out, and the last block takes a maximum
where it should take a mean. Names of parts are those of the published weights.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from loquent.evaluation.weights import INCEPTION, load_weights

SIDE_PX = 299

Size = int | tuple[int, int]


class _Conv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, n_in: int, n_out: int, size: Size, *, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(n_out, eps=0.001)

    def forward(self, x: Float[Tensor, "batch n_in height width"]) -> Float[Tensor, "batch n_out rows columns"]:
        return functional.relu(self.bn(self.conv(x)))


def _row(n_in: int, n_out: int) -> _Conv:
    return _Conv(n_in, n_out, (1, 7), padding=(0, 3))


def _column(n_in: int, n_out: int) -> _Conv:
    return _Conv(n_in, n_out, (7, 1), padding=(3, 0))


def _mean_around(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _BlockA(nn.Module):
    """35 x 35 pixels: 1x1, 5x5, two 3x3, pooled."""

    def __init__(self, n_in: int, n_pooled: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(n_in, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = _Conv(n_in, 48, 1), _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(n_in, 64, 1), _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(n_in, n_pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        once = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(_mean_around(x))], 1)


class _BlockB(nn.Module):
    """From 35 x 35 to 17 x 17 pixels."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(n_in, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(n_in, 64, 1), _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), twice, functional.max_pool2d(x, 3, stride=2)], 1)


class _BlockC(nn.Module):
    """17 x 17 pixels: 7x7 as rows and columns, once and twice."""

    def __init__(self, n_in: int, n_mid: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(n_in, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = _Conv(n_in, n_mid, 1), _row(n_mid, n_mid)
        self.branch7x7_3 = _column(n_mid, 192)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = _Conv(n_in, n_mid, 1), _column(n_mid, n_mid)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = _row(n_mid, n_mid), _column(n_mid, n_mid)
        self.branch7x7dbl_5 = _row(n_mid, 192)
        self.branch_pool = _Conv(n_in, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(_mean_around(x))], 1)


class _BlockD(nn.Module):
    """From 17 x 17 to 8 x 8 pixels."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = _Conv(n_in, 192, 1), _Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1, self.branch7x7x3_2 = _Conv(n_in, 192, 1), _row(192, 192)
        self.branch7x7x3_3 = _column(192, 192)
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        large = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), large, functional.max_pool2d(x, 3, stride=2)], 1)


class _BlockE(nn.Module):
    """8 x 8 pixels: 3x3 as a row beside a column."""

    def __init__(self, n_in: int, *, takes_maximum: bool) -> None:
        super().__init__()
        self.branch1x1 = _Conv(n_in, 320, 1)
        self.branch3x3_1 = _Conv(n_in, 384, 1)
        self.branch3x3_2a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(n_in, 448, 1), _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = _Conv(n_in, 192, 1)
        self._takes_maximum = takes_maximum

    def forward(self, x: Tensor) -> Tensor:
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = functional.max_pool2d(x, 3, stride=1, padding=1) if self._takes_maximum else _mean_around(x)
        crossed = [
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
        ]
        return torch.cat([self.branch1x1(x), *crossed, self.branch_pool(pooled)], 1)


class Inception(nn.Module):
    """Pictures to the 2048 numbers whose distribution FID compares."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = _Conv(3, 32, 3, stride=2), _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = _Conv(64, 80, 1), _Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _BlockA(192, 32), _BlockA(256, 64), _BlockA(288, 64)
        self.Mixed_6a = _BlockB(288)
        self.Mixed_6b, self.Mixed_6c = _BlockC(768, 128), _BlockC(768, 160)
        self.Mixed_6d, self.Mixed_6e = _BlockC(768, 160), _BlockC(768, 192)
        self.Mixed_7a = _BlockD(768)
        self.Mixed_7b, self.Mixed_7c = _BlockE(1280, takes_maximum=False), _BlockE(2048, takes_maximum=True)
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls) -> "Inception":
        """Load the published weights from the model cache.

        Raises:
            DependencyError: they are not there.
            InputError: the file is damaged.
        """
        network = cls()
        weights = load_weights(INCEPTION)
        network.load_state_dict({name: values for name, values in weights.items() if not name.startswith("fc.")})
        return network

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 2048"]:
        """Features of pictures with colours in [-1, 1]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(functional.max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(functional.max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean(dim=(2, 3))

    @torch.no_grad()
    def features(self, picture: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "2048"]:
        """Features of one picture, resized as pytorch-fid does."""
        x = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
        x = functional.interpolate(x, (SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False)
        return np.asarray(self(2 * x - 1)[0].numpy().astype(np.float64))
