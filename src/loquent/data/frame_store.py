"""The training frames in memory: what rays are compared with, cut to the window in which the head ever appears."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int, UInt8

from loquent.data.clip import Clip
from loquent.data.memory import check_memory

HEAD = 1  # bit of `FrameStore.labels`: the pixel belongs to the head
EDGE = 2  # bit of `FrameStore.labels`: the pixel lies in a band along the head's outline
_PIXEL_BYTES = 8


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels, rows [top, bottom) and columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, number of columns."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class FrameStore:
    """Pictures of the chosen frames of a clip, uint8, inside `window`."""

    frames: tuple[int, ...]
    """Which usable frames of the clip are held, in order."""
    window: Window
    """The head's bounding box over all held frames, with a margin."""
    target: UInt8[np.ndarray, "frames rows columns 3"]
    """What the full rendering should look like."""
    behind: UInt8[np.ndarray, "frames rows columns 3"]
    """The true torso over the background plate: what stands behind the head."""
    head: UInt8[np.ndarray, "frames rows columns"]
    """Head matte, 0 to 255."""
    labels: UInt8[np.ndarray, "frames rows columns"]
    """Bits HEAD and EDGE, for sampling."""

    @classmethod
    def load(cls, clip: Clip, frames: tuple[int, ...], tick: Callable[[], None] = lambda: None) -> "FrameStore":
        """Read `frames` of `clip`, one thread a core; `tick` is called once a frame.

        Raises:
            InputError: they do not fit into memory.
        """
        window = _head_window(clip, frames)
        rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
        count, shape = len(frames), window.shape
        check_memory(_PIXEL_BYTES * count * shape[0] * shape[1], f"The {count} training frames")
        target, behind = (np.empty((count, *shape, 3), np.uint8) for _ in range(2))
        head, labels = (np.empty((count, *shape), np.uint8) for _ in range(2))

        def load_one(k: int) -> None:
            i = frames[k]
            target[k] = _to_uint8(clip.target(i, (rows, columns)))
            behind[k] = _to_uint8(clip.torso_over_background(i, (rows, columns)))
            head[k] = clip.matte(i)[rows, columns, 0]
            labels[k] = _label(head[k])
            tick()

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(load_one, range(count)))
        return cls(frames, window, target, behind, head, labels)


def spread_frames(frames: range, limit: int) -> tuple[int, ...]:
    """At most `limit` of `frames`, evenly spread."""
    if len(frames) <= limit:
        return tuple(frames)
    chosen: Int[np.ndarray, "chosen"] = np.linspace(frames.start, frames.stop - 1, limit).round().astype(int)
    return tuple(chosen.tolist())


def _head_window(clip: Clip, frames: tuple[int, ...]) -> Window:
    """Bounding box of the heads, from the landmarks of all frames and the mattes of a few, with room for the outline."""
    camera = clip.camera
    top, left, bottom, right = camera.height, camera.width, 0, 0
    for i in spread_frames(range(len(frames)), 48):
        rows, columns = np.nonzero(clip.matte(frames[i])[..., 0] > 8)
        if rows.size:
            top, bottom = min(top, int(rows.min())), max(bottom, int(rows.max()) + 1)
            left, right = min(left, int(columns.min())), max(right, int(columns.max()) + 1)
    points = clip.track.landmarks_px[list(frames), :, :2]
    lowest, highest = points.amin((0, 1)).tolist(), points.amax((0, 1)).tolist()
    margin = max(8, round(0.04 * camera.height))
    return Window(
        top=max(0, min(top, int(lowest[1])) - margin),
        bottom=min(camera.height, max(bottom, int(highest[1])) + margin),
        left=max(0, min(left, int(lowest[0])) - margin),
        right=min(camera.width, max(right, int(highest[0])) + margin),
    )


def _label(head: UInt8[np.ndarray, "rows columns"]) -> UInt8[np.ndarray, "rows columns"]:
    inside = (head > 127).astype(np.uint8)
    radius = max(3, round(0.015 * head.shape[0]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, kernel)
    return np.where(head > 8, HEAD, 0).astype(np.uint8) | np.where(edge > 0, EDGE, 0).astype(np.uint8)


def _to_uint8(image: np.ndarray) -> np.ndarray:
    """A picture in [0, 1] rounded to bytes; `image` is used up."""
    image *= 255
    image += 0.5
    return image.astype(np.uint8)
