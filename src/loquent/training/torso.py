"""Training the torso: a field asked for pixels, compared with the torso layer over the background (SPEC 3.1, 4.2).

A torso that lies in front of the head is compared with the whole picture, the true head behind it (SPEC 6.2).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loquent.data.clip import Clip
from loquent.data.memory import check_memory
from loquent.fields.torso_field import TorsoField, TorsoPixels
from loquent.fields.torso_follow import TorsoFollow
from loquent.geometry.cameras import pixel_plane
from loquent.media.images import to_bytes
from loquent.rendering.layers import torso_over
from loquent.rendering.torso import TorsoOccupancy
from loquent.training import losses
from loquent.training.budget import exponential
from loquent.training.learner import Learner
from loquent.training.presets import Preset, TorsoStageConfig
from loquent.training.torso_follow import fit_torso_follow

GRID_INTERVAL = 16
"""Steps between updates of the 2-D occupancy grid (SPEC 3.1)."""
FAINT = 8
"""Alpha of a pixel, of 255, up to which it does not count as torso."""
TORSO_SHARE = 0.7
"""Share of the pixels that fall where some frame's torso is; the rest is uniform."""


class TorsoTrainer(Learner[TorsoField, TorsoOccupancy]):
    """Takes one step at a time of the torso's stage."""

    def __init__(
        self,
        clip: Clip,
        frames: tuple[int, ...],
        torso: TorsoField,
        stage: TorsoStageConfig,
        preset: Preset,
        device: torch.device,
        seed: int,
        *,
        condition: Float[Tensor, "frames condition_width"] | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Loads the torso layers of `frames`; `tick` is called once a frame.

        `condition` is what moves the lips of these frames, as the head encodes it, for torsos that are told.

        Raises:
            InputError: they do not fit into memory.
        """
        self.camera = clip.camera
        self.device = device
        self.frames = torch.tensor(frames, device=device)
        self.world_from_camera = clip.track.world_from_camera[list(frames)].to(device)
        self.condition = None if condition is None else condition.to(device)
        n_pixels = len(frames) * self.camera.height * self.camera.width
        check_memory(
            (7 if torso.is_in_front else 4) * n_pixels, f"The torso in {len(frames)} frames and what is behind it"
        )
        self.target = np.empty((len(frames), self.camera.height * self.camera.width, 3), np.uint8)
        self.alpha = np.empty(self.target.shape[:2], np.uint8)
        plate = np.broadcast_to(clip.background.reshape(-1, 3), self.target.shape)
        self.behind = np.empty_like(self.target) if torso.is_in_front else plate

        def load_one(k: int) -> None:  # threads write rows of their own only
            if torso.is_in_front:
                self.target[k] = to_bytes(clip.target(frames[k])).reshape(-1, 3)
                self.behind[k] = to_bytes(clip.head_over_background(frames[k])).reshape(-1, 3)
                self.alpha[k] = clip.matte(frames[k])[..., 1].reshape(-1)
            else:
                layer = clip.torso(frames[k])
                self.target[k] = to_bytes(clip.over_background(layer)).reshape(-1, 3)
                self.alpha[k] = layer[..., 3].reshape(-1)
            tick()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(load_one, range(len(frames))))
        self.torso_pixels = np.nonzero(self.alpha.max(axis=0) > FAINT)[0]
        self.follow = (self._fit_follow(clip, frames) if preset.torso_follows else TorsoFollow()).to(device)
        torso = torso.to(device)
        torso.set_reference_view(self.camera, self.world_from_camera[0])
        groups = torso.parameter_groups(stage.lr_grid, stage.lr_net)
        super().__init__(torso, groups, TorsoOccupancy().to(device), preset, device, seed)
        if not torso.updates_occupancy:
            self._occupy()

    def step(self, stage: TorsoStageConfig, progress: float) -> dict[str, float]:
        """One optimiser step of `stage`, `progress` of the way through it; returns the loss and the PSNR of its pixels."""
        self._update_grid()
        self.set_rates(exponential(1.0, stage.lr_end, progress))
        count = min(stage.frames, len(self.frames))
        chosen = self.generator.choice(len(self.frames), count, replace=False)
        share = stage.pixels // count
        pixels = np.stack([self._draw_pixels(share) for _ in chosen])
        target, behind = (self._colours(pictures, chosen, pixels) for pictures in (self.target, self.behind))
        flat = torch.from_numpy(pixels).to(self.device).reshape(-1)
        rows, columns = flat // self.camera.width, flat % self.camera.width
        k = torch.from_numpy(chosen).to(self.device)
        poses = self.world_from_camera[k]
        of_frame = torch.arange(count, device=self.device).repeat_interleave(share)
        plane = self.follow(pixel_plane(rows, columns, self.camera), poses, of_frame)
        told = None if self.condition is None else self.condition[k]
        out = self.field(plane, poses, self.field.codes[self.frames[k]], of_frame, condition=told, noise=self.noise)
        error = losses.squared_error(_blended(out, behind), target).mean()
        matte = torch.from_numpy(self.alpha[chosen[:, None], pixels]).to(self.device).float().reshape(-1) / 255
        loss = error + self.field.regulariser(out) + stage.matte * (out.alpha - matte).square().mean()
        if out.coarse is not None:  # the network that places the samples learns alike
            loss = loss + losses.squared_error(_blended(out.coarse, behind), target).mean()
            loss = loss + stage.matte * (out.coarse.alpha - matte).square().mean()
        return {"loss": self.learn(loss), "psnr": -10 * float(np.log10(max(float(error.detach()), 1e-10)))}

    def _fit_follow(self, clip: Clip, frames: tuple[int, ...]) -> TorsoFollow:
        """Track the torso from the frame in the middle; keep clear of the head, which slides over it."""
        middle = len(frames) // 2
        size = (self.camera.height, self.camera.width)
        kernel = np.ones((2 * (size[0] // 40) + 1,) * 2, np.uint8)
        head = cv2.dilate(clip.matte(frames[middle])[..., 0], kernel) > 0
        body = cv2.erode(self.alpha[middle].reshape(size), kernel) > 200
        return fit_torso_follow(
            lambda k: self.target[k].reshape(*size, 3), body & ~head, middle, self.world_from_camera.cpu()
        )

    def _colours(self, pictures: np.ndarray, chosen: np.ndarray, pixels: np.ndarray) -> Float[Tensor, "pixels 3"]:
        """What the chosen frames show at their own `pixels` [frames, pixels], in [0, 1]."""
        return torch.from_numpy(pictures[chosen[:, None], pixels]).to(self.device).float().reshape(-1, 3) / 255

    def _draw_pixels(self, count: int) -> np.ndarray:
        n_torso = round(TORSO_SHARE * count) if self.torso_pixels.size else 0
        return np.concatenate(
            [
                self.generator.choice(self.torso_pixels, n_torso),
                self.generator.integers(0, self.camera.height * self.camera.width, count - n_torso),
            ]
        )

    def _occupy(self) -> None:
        """Mark where the training frames show a torso, each followed back to where the field is asked."""
        self.grid.clear()
        for k, alpha in enumerate(self.alpha):
            seen = torch.from_numpy(np.nonzero(alpha > FAINT)[0]).to(self.device)
            plane = pixel_plane(seen // self.camera.width, seen % self.camera.width, self.camera)
            self.grid.mark(self.follow(plane, self.world_from_camera[k][None]))

    @torch.no_grad()
    def _update_grid(self) -> None:
        if self.n_steps % GRID_INTERVAL or not self.field.updates_occupancy:
            return
        k = int(self.generator.integers(len(self.frames)))
        pose, code = self.world_from_camera[k][None], self.field.codes[self.frames[k]][None]
        told = None if self.condition is None else self.condition[k][None]

        def torso(plane: Tensor) -> tuple[Tensor, Tensor]:
            shown = self.field(plane, pose, code, condition=told)
            return shown.alpha, shown.colour

        self.grid.update(torso, generator=self.noise)


def _blended(shown: TorsoPixels, behind: Float[Tensor, "pixels 3"]) -> Float[Tensor, "pixels 3"]:
    """Pixels of the torso over what is behind it."""
    return torso_over(shown.alpha, shown.colour, behind).clamp(0, 1)
