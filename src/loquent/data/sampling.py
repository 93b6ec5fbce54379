"""Which pixels a training step looks at: random pixels by region, and random patches."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from loquent.data.frame_store import EDGE, HEAD, FrameStore, Window

MAX_REJECTION_ROUNDS = 8


@dataclass(frozen=True)
class RegionMix:
    """How the rays of one frame are shared out; the rest falls uniformly on the window."""

    head: float
    """Share on the head."""
    mouth: float
    """Share in the mouth's rectangle."""
    eyes: float
    """Share in the eyes' rectangles."""
    edge: float
    """Share in the band along the head's outline."""


@dataclass(frozen=True)
class FaceRegions:
    """Rectangles of the mouth and the eyes in every frame, as (top, bottom, left, right), half open, in picture pixels."""

    mouth: Int[np.ndarray, "frames 4"]
    eyes: Int[np.ndarray, "frames 2 4"]


def sample_pixels(
    store: FrameStore, k: int, n_rays: int, mix: RegionMix, regions: FaceRegions, generator: np.random.Generator
) -> tuple[Int[np.ndarray, "rays"], Int[np.ndarray, "rays"]]:
    """Rows and columns, in picture pixels, of `n_rays` random pixels of the store's k-th frame, shared out by `mix`."""
    window = store.window
    n_mouth, n_eyes = round(mix.mouth * n_rays), round(mix.eyes * n_rays / 2)
    n_head, n_edge = round(mix.head * n_rays), round(mix.edge * n_rays)
    parts = [
        _in_box(regions.mouth[k], window, n_mouth, generator),
        _in_box(regions.eyes[k, 0], window, n_eyes, generator),
        _in_box(regions.eyes[k, 1], window, n_eyes, generator),
        _with_label(store, k, HEAD, n_head, generator),
        _with_label(store, k, EDGE, n_edge, generator),
    ]
    whole = np.array([window.top, window.bottom, window.left, window.right])
    parts.append(_in_box(whole, window, n_rays - sum(part.shape[1] for part in parts), generator))
    rows, columns = np.concatenate(parts, axis=1)
    return rows, columns


def sample_patch(
    box: Int[np.ndarray, "4"], window: Window, size: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, "rays"], Int[np.ndarray, "rays"]]:
    """Rows and columns of one `size` x `size` patch whose centre lies in `box`, moved inside the window."""
    centre_row = int(generator.integers(box[0], max(box[0] + 1, box[1])))
    centre_column = int(generator.integers(box[2], max(box[2] + 1, box[3])))
    top = min(max(centre_row - size // 2, window.top), window.bottom - size)
    left = min(max(centre_column - size // 2, window.left), window.right - size)
    rows, columns = np.mgrid[top : top + size, left : left + size]
    return rows.reshape(-1), columns.reshape(-1)


def rectangles(
    points_px: Float[np.ndarray, "frames points 2"], margin: float, height: int, width: int
) -> Int[np.ndarray, "frames 4"]:
    """Bounding rectangles of landmark sets, widened by `margin` of their size on each side and kept inside the picture."""
    low, high = points_px.min(axis=1), points_px.max(axis=1)
    room = (high - low) * margin
    left, top = np.floor(low - room).T
    right, bottom = np.ceil(high + room).T + 1
    box = np.stack([top, bottom, left, right], axis=1)
    inside: np.ndarray = np.clip(box, 0, [height - 1, height, width - 1, width])
    return inside.astype(int)


def _in_box(
    box: Int[np.ndarray, "4"], window: Window, count: int, generator: np.random.Generator
) -> Int[np.ndarray, "2 rays"]:
    top, bottom = np.clip(box[:2], window.top, window.bottom)
    left, right = np.clip(box[2:], window.left, window.right)
    if bottom <= top or right <= left:
        return np.empty((2, 0), int)
    return np.stack([generator.integers(top, bottom, count), generator.integers(left, right, count)])


def _with_label(
    store: FrameStore, k: int, label: int, count: int, generator: np.random.Generator
) -> Int[np.ndarray, "2 rays"]:
    """Rejection sampling: exact in distribution, without keeping a list of pixels for every frame."""
    height, width = store.window.shape
    labels = store.labels[k]
    found: list[np.ndarray] = []
    missing = count
    for _ in range(MAX_REJECTION_ROUNDS):
        rows = generator.integers(0, height, 4 * count)
        columns = generator.integers(0, width, 4 * count)
        kept = np.nonzero(labels[rows, columns] & label)[0][:missing]
        found.append(np.stack([rows[kept] + store.window.top, columns[kept] + store.window.left]))
        missing -= kept.size
        if missing == 0:
            break
    return np.concatenate(found, axis=1)
