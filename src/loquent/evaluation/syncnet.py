"""SyncNet: how well lips fit a voice, in the features of a network trained on both (Chung and Zisserman 2016).

The protocol is that of joonson/syncnet_python: five frames of the face at 224 x 224 pixels against 0.2 s of sound, the
distance of their features averaged over the film at offsets of up to 15 frames. The smallest is the distance, the median above
it the confidence. Faces are placed by MediaPipe's mesh, not by the S3FD detector: figures differ a little from published ones.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from scipy.ndimage import median_filter
from torch import Tensor, nn
from torch.nn import functional

from loquent.errors import InputError
from loquent.evaluation.weights import SYNCNET, load_weights
from loquent.face.indices import N_MESH
from loquent.face.lips import fill_gaps
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.speech.mfcc import mfcc

FRAMES: Final = 5
"""Frames of one look."""
STEPS: Final = 20
"""Steps of sound, at 100 Hz, of one look."""
MOST_OFFSET: Final = 15
"""Offsets between picture and sound that are tried, in frames."""
LEAST_FRAMES: Final = 25
"""Shorter films say nothing."""

_COEFFICIENTS: Final = 13
_SIDE_PX: Final = 224
_MARGIN: Final = 0.4
"""Room around the face, in half face sizes: this much at each side, twice this much below."""
_SMOOTHING_FRAMES: Final = 13
_PADDING_LEVEL: Final = 110
_BATCH: Final = 8


@dataclass(frozen=True)
class SyncScore:
    """What SyncNet says of a film."""

    confidence: float
    """Median distance over all offsets less the smallest: higher is better; about 7 for real films, below 3 is bad."""
    distance: float
    """Smallest mean distance: lower is better."""
    offset_frames: int
    """Where it is smallest; positive: the sound comes later than the lips."""


class SyncNet(nn.Module):
    """Both networks. Names of parts are those of the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *(nn.Conv2d(1, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(1, 1)),
            *(nn.Conv2d(64, 192, 3, padding=1), nn.BatchNorm2d(192), nn.ReLU(), nn.MaxPool2d(3, (1, 2))),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.BatchNorm2d(384), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.BatchNorm2d(256), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.BatchNorm2d(256), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(256, 512, (5, 4)), nn.BatchNorm2d(512), nn.ReLU()),
        )
        self.netcnnlip = nn.Sequential(
            *(nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2)), nn.BatchNorm3d(96), nn.ReLU()),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)), nn.BatchNorm3d(256), nn.ReLU()),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(256), nn.ReLU()),
            *(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(256), nn.ReLU()),
            *(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(256), nn.ReLU()),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *(nn.Conv3d(256, 512, (1, 6, 6)), nn.BatchNorm3d(512), nn.ReLU()),
        )
        self.netfcaud, self.netfclip = (
            nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024)) for _ in range(2)
        )
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls) -> "SyncNet":
        """Load the published weights from the model cache.

        Raises:
            DependencyError: they are not there.
            InputError: the file is damaged.
        """
        network = cls()
        network.load_state_dict(load_weights(SYNCNET))
        return network

    def of_lips(self, pictures: Float[Tensor, "batch 3 5 224 224"]) -> Float[Tensor, "batch 1024"]:
        """Features of five face pictures each: blue, green, red from 0 to 255."""
        seen: Tensor = self.netfclip(self.netcnnlip(pictures).flatten(1))
        return seen

    def of_sound(self, coefficients: Float[Tensor, "batch 1 13 20"]) -> Float[Tensor, "batch 1024"]:
        """Features of 0.2 s of sound each, given as cepstral coefficients."""
        heard: Tensor = self.netfcaud(self.netcnnaud(coefficients).flatten(1))
        return heard


@torch.no_grad()
def sync_score(
    network: SyncNet,
    pictures: Iterable[UInt8[np.ndarray, "height width 3"]],
    points_px: Float[np.ndarray, "frames 478 axes"],
    waveform: Float[np.ndarray, "samples"],
) -> SyncScore | None:
    """Score a film at 25 frames a second.

    Args:
        network: with its weights.
        pictures: the frames, RGB, in order; read once.
        points_px: their face meshes, NaN where no face was found.
        waveform: the sound at 16 kHz in [-1, 1], sample 0 at the first frame.

    Returns:
        None when fewer than LEAST_FRAMES frames have both picture and sound, or no frame shows a face.
    """
    n_frames = min(len(points_px), waveform.size * round(FPS) // SAMPLE_RATE_HZ)
    if n_frames < LEAST_FRAMES or not np.isfinite(points_px).any():
        return None
    n_looks = n_frames - FRAMES
    heard = _heard(network, waveform, n_looks)
    seen = []
    for batch in _batches(_looks(face_crops(pictures, points_px)), n_looks):
        seen.append(network.of_lips(torch.from_numpy(batch)))
    return score_from_features(torch.cat(seen), heard)


def score_from_features(seen: Float[Tensor, "looks 1024"], heard: Float[Tensor, "looks 1024"]) -> SyncScore:
    """Distances at every offset and what follows from them; sound beyond the ends counts as zeros, as in the protocol."""
    padded = functional.pad(heard, (0, 0, MOST_OFFSET, MOST_OFFSET))
    shifted = (padded[k : k + len(seen)] for k in range(2 * MOST_OFFSET + 1))
    distances = torch.stack([functional.pairwise_distance(seen, sound).mean() for sound in shifted])
    smallest, place = distances.min(0)
    return SyncScore(
        confidence=float(distances.median() - smallest),
        distance=float(smallest),
        offset_frames=MOST_OFFSET - int(place),
    )


def face_crops(
    pictures: Iterable[UInt8[np.ndarray, "height width 3"]], points_px: Float[np.ndarray, "frames 478 axes"]
) -> Iterator[UInt8[np.ndarray, "224 224 3"]]:
    """The face in each picture, its place and size steadied over 13 frames, with room around and below it.

    Raises:
        InputError: there are fewer pictures than meshes.
    """
    skin = points_px[:, :N_MESH, :2].astype(np.float64)
    low, high = skin.min(axis=1), skin.max(axis=1)
    measures = (*((low + high) / 2).T, (high - low).max(axis=1) / 2)
    steadied = (median_filter(fill_gaps(measure), _SMOOTHING_FRAMES, mode="nearest") for measure in measures)
    count = 0
    for picture, u, v, half in zip(pictures, *steadied, strict=False):
        count += 1
        yield _crop(picture, u, v, half)
    if count < len(points_px):
        raise InputError(f"There are {len(points_px)} face meshes, but only {count} pictures.")


def _crop(
    picture: UInt8[np.ndarray, "height width 3"], u: float, v: float, half: float
) -> UInt8[np.ndarray, "224 224 3"]:
    room = int(half * (1 + 2 * _MARGIN)) + 1
    value = (_PADDING_LEVEL,) * 3
    padded = np.asarray(cv2.copyMakeBorder(picture, room, room, room, room, cv2.BORDER_CONSTANT, value=value))
    rows = np.array([v - half, v + half * (1 + 2 * _MARGIN)]) + room
    columns = np.array([u - half * (1 + _MARGIN), u + half * (1 + _MARGIN)]) + room
    top, bottom = np.clip(rows, 0, padded.shape[0]).astype(int)
    left, right = np.clip(columns, 0, padded.shape[1]).astype(int)
    if bottom <= top or right <= left:
        return np.full((_SIDE_PX, _SIDE_PX, 3), _PADDING_LEVEL, np.uint8)
    return np.asarray(cv2.resize(padded[top:bottom, left:right], (_SIDE_PX, _SIDE_PX)), np.uint8)


def _looks(crops: Iterable[UInt8[np.ndarray, "224 224 3"]]) -> Iterator[Float32[np.ndarray, "3 5 224 224"]]:
    """Five crops in a row each, channels in the order the network learned: blue, green, red."""
    held: list[np.ndarray] = []
    for crop in crops:
        held = [*held[1 - FRAMES :], crop[..., ::-1].astype(np.float32)]
        if len(held) == FRAMES:
            yield np.stack(held).transpose(3, 0, 1, 2)


def _batches(
    looks: Iterator[Float32[np.ndarray, "3 5 224 224"]], n_looks: int
) -> Iterator[Float32[np.ndarray, "batch 3 5 224 224"]]:
    waiting = []
    for number, look in enumerate(looks, 1):
        if number <= n_looks:
            waiting.append(look)
        if waiting and (len(waiting) == _BATCH or number == n_looks):
            yield np.ascontiguousarray(np.stack(waiting))
            waiting = []


def _heard(network: SyncNet, waveform: Float[np.ndarray, "samples"], n_looks: int) -> Float[Tensor, "looks 1024"]:
    samples = np.round(waveform.astype(np.float64) * 32767)
    coefficients = torch.from_numpy(mfcc(samples, _COEFFICIENTS).T.astype(np.float32))
    steps_per_frame = round(100 / FPS)
    parts = []
    for start in range(0, n_looks, _BATCH):
        looks = range(start, min(start + _BATCH, n_looks))
        cut = [coefficients[:, k * steps_per_frame : k * steps_per_frame + STEPS] for k in looks]
        parts.append(network.of_sound(torch.stack(cut)[:, None]))
    return torch.cat(parts)
