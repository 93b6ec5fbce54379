"""Which rays a step of the head looks at, and what they should show."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loquent.data.clip import Clip
from loquent.data.frame_store import FrameStore
from loquent.data.sampling import FaceRegions, RegionMix, rectangles, sample_patch, sample_pixels
from loquent.face import indices
from loquent.geometry.cameras import pixel_rays
from loquent.training.presets import HeadStageConfig

PATCH_PLACES = ("mouth", "face", "eyes", "face")
"""Where the patches of a step are centred, in turn."""
_CLOSED = 0.5
"""Eyes closed further than this (0 open, 1 closed) are in a blink."""
_MOST_OFTEN = 6.0
"""Most by which a frame is drawn more often than another: one that is mistaken for a blink must not be learnt by heart."""


@dataclass(frozen=True)
class RayBatch:
    """The rays of one step, frame after frame."""

    frames: Int[Tensor, "frames"]
    """Places in the FrameStore."""
    frame_of_ray: Int[Tensor, "rays"]
    """Which of `frames` each ray belongs to, counted from 0."""
    origins: Float[Tensor, "rays 3"]
    directions: Float[Tensor, "rays 3"]
    target: Float[Tensor, "rays 3"]
    behind: Float[Tensor, "rays 3"]
    head: Float[Tensor, "rays"]
    in_face: Bool[Tensor, "rays"]
    """Inside the papers' face rectangle (SPEC 1.7)."""


class RayDrawer:
    """Draws rays from the frames of a store."""

    def __init__(self, clip: Clip, store: FrameStore, device: torch.device) -> None:
        self.store, self.camera, self.device = store, clip.camera, device
        chosen = list(store.frames)
        self.world_from_camera = clip.track.world_from_camera[chosen]
        points = clip.track.landmarks_px[chosen, :, :2].numpy()
        size = (self.camera.height, self.camera.width)
        rings = (indices.RIGHT_EYE_RING, indices.LEFT_EYE_RING)
        eyes = [rectangles(points[:, list(ring)], 0.4, *size) for ring in rings]
        mouth = rectangles(points[:, list(indices.OUTER_LIPS)], 0.25, *size)
        self.regions = FaceRegions(mouth=mouth, eyes=np.stack(eyes, axis=1))
        self.face = rectangles(points[:, : indices.N_MESH], 0.0, *size)
        self.inner_face = rectangles(points[:, list(indices.MESH_OF_68)], 0.0, *size)
        """The papers' face: the box of the 68 points, without the forehead (SPEC 1.7)."""
        self.closed: Bool[np.ndarray, "frames"] = (clip.track.blink[chosen].mean(dim=1) > _CLOSED).numpy()

    def draw(self, stage: HeadStageConfig, n_rays: int, n_steps: int, generator: np.random.Generator) -> RayBatch:
        """About `n_rays` rays of random frames, where `stage` wants them; patches take turns by `n_steps`, those taken."""
        count = min(stage.frames, len(self.store.frames))
        chances = self._chances(stage.closed_eyes) if stage.closed_eyes > 0 else None
        frames = generator.choice(len(self.store.frames), count, replace=False, p=chances)
        share = n_rays // count
        drawn = [self._pixels(stage, int(k), share, n_steps, generator) for k in frames]
        window = self.store.window
        target, behind, head, origins, directions, in_face = [], [], [], [], [], []
        for k, (rows, columns) in zip(frames, drawn, strict=True):
            r, c = rows - window.top, columns - window.left
            target.append(self.store.target[k, r, c])
            behind.append(self.store.behind[k, r, c])
            head.append(self.store.head[k, r, c])
            top, bottom, left, right = self.inner_face[k]
            in_face.append((rows >= top) & (rows < bottom) & (columns >= left) & (columns < right))
            start, along = pixel_rays(
                self.world_from_camera[k][None], self.camera, torch.from_numpy(rows), torch.from_numpy(columns)
            )
            origins.append(start)
            directions.append(along)

        def colours(parts: list[np.ndarray]) -> Tensor:
            return torch.from_numpy(np.concatenate(parts)).to(self.device).float() / 255

        lengths = torch.tensor([rows.size for rows, _ in drawn])
        return RayBatch(
            frames=torch.from_numpy(frames).to(self.device),
            frame_of_ray=torch.repeat_interleave(torch.arange(count), lengths).to(self.device),
            origins=torch.cat(origins).to(self.device),
            directions=torch.cat(directions).to(self.device),
            target=colours(target),
            behind=colours(behind),
            head=colours(head),
            in_face=torch.from_numpy(np.concatenate(in_face)).to(self.device),
        )

    def _chances(self, share: float) -> Float[np.ndarray, "frames"] | None:
        """How likely each frame is drawn: those with closed eyes make up `share` of the draws where they are rarer; None = all
        alike."""
        n_closed = int(self.closed.sum())
        n_open = self.closed.size - n_closed
        if n_closed == 0 or n_closed >= share * self.closed.size:
            return None
        weights = np.where(self.closed, min(_MOST_OFTEN, share / (1 - share) * n_open / n_closed), 1.0)
        chances: np.ndarray = weights / weights.sum()
        return chances

    def _mix(self, stage: HeadStageConfig, k: int) -> RegionMix:
        if stage.closed_eyes == 0 or not self.closed[k]:
            return stage.mix
        return replace(stage.mix, eyes=stage.mix.mouth, mouth=stage.mix.eyes)

    def _pixels(
        self, stage: HeadStageConfig, k: int, count: int, n_steps: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        if stage.patch == 0:
            return sample_pixels(self.store, k, count, self._mix(stage, k), self.regions, generator)
        patches = []
        for n in range(max(1, count // stage.patch**2)):
            place = PATCH_PLACES[(n_steps + n + k) % len(PATCH_PLACES)]
            box = {
                "mouth": self.regions.mouth[k],
                "eyes": self.regions.eyes[k, (n_steps + n) % 2],
                "face": self.face[k],
            }[place]
            patches.append(sample_patch(box, self.store.window, stage.patch, generator))
        rows, columns = np.concatenate(patches, axis=1)
        return rows, columns
