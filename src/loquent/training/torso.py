"""Training the torso: a 2-D field over the picture plane, compared with the torso layer over the background (SPEC 3.1, 4.2)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from loquent.data.clip import Clip
from loquent.fields.torso import ErNerfTorso
from loquent.fields.torso_follow import TorsoFollow
from loquent.geometry.cameras import pixel_plane
from loquent.rendering.torso import TorsoOccupancy
from loquent.training import losses
from loquent.training.averaging import AveragedWeights
from loquent.training.budget import exponential
from loquent.training.checkpoints import optimiser_tensors, pack, restore_optimiser, unpack
from loquent.training.presets import Preset, TorsoStageConfig
from loquent.training.torso_follow import fit_torso_follow

GRID_INTERVAL = 16
"""Steps between updates of the 2-D occupancy grid (SPEC 3.1)."""
TORSO_SHARE = 0.7
"""Share of the pixels that fall where some frame's torso is; the rest is uniform."""


class TorsoTrainer:
    """Torso field, its optimiser, its occupancy and its averaged weights."""

    def __init__(
        self,
        clip: Clip,
        frames: tuple[int, ...],
        torso: ErNerfTorso,
        preset: Preset,
        device: torch.device,
        seed: int,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Loads the torso layers of `frames`; `tick` is called once a frame."""
        self.camera = clip.camera
        self.device = device
        self.frames = torch.tensor(frames, device=device)
        self.world_from_camera = clip.track.world_from_camera[list(frames)].to(device)
        self.background = torch.from_numpy(clip.background).to(device).float().reshape(-1, 3) / 255
        self.target = np.empty((len(frames), self.camera.height * self.camera.width, 3), np.uint8)
        self.alpha = np.empty(self.target.shape[:2], np.uint8)
        ever = np.zeros(self.camera.height * self.camera.width, bool)

        def load_one(k: int) -> None:
            self.target[k] = (clip.torso_over_background(frames[k]) * 255 + 0.5).astype(np.uint8).reshape(-1, 3)
            self.alpha[k] = clip.torso(frames[k])[..., 3].reshape(-1)
            np.logical_or(ever, self.alpha[k] > 8, out=ever)
            tick()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(load_one, range(len(frames))))
        self.torso_pixels = np.nonzero(ever)[0]
        self.follow = (self._fit_follow(clip, frames) if preset.torso_follows else TorsoFollow()).to(device)
        self.torso = torso.to(device)
        self.averaged = AveragedWeights(self.torso, preset.averaging)
        self.grid = TorsoOccupancy().to(device)
        self.generator = np.random.default_rng(seed)
        self.noise = torch.Generator(device).manual_seed(seed)
        stage = preset.torso
        self.optimiser = torch.optim.AdamW(
            self.torso.parameter_groups(stage.lr_grid, stage.lr_net), betas=preset.betas, eps=1e-8, fused=True
        )
        self.base_rates = [group["lr"] for group in self.optimiser.param_groups]
        self.rate_factor = 1.0
        self.n_steps = 0

    def step(self, stage: TorsoStageConfig, progress: float) -> dict[str, float]:
        """One optimiser step; returns the loss terms and the PSNR of its pixels."""
        self._update_grid()
        factor = exponential(1.0, stage.lr_end, progress) * self.rate_factor
        for group, rate in zip(self.optimiser.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        count = min(stage.frames, len(self.frames))
        chosen = self.generator.choice(len(self.frames), count, replace=False)
        share = stage.pixels // count
        pixels = np.stack([self._draw_pixels(share) for _ in chosen])
        target = torch.from_numpy(self.target[chosen[:, None], pixels]).to(self.device).float().reshape(-1, 3) / 255
        flat = torch.from_numpy(pixels).to(self.device).reshape(-1)
        rows, columns = flat // self.camera.width, flat % self.camera.width
        k = torch.from_numpy(chosen).to(self.device)
        poses = self.world_from_camera[k]
        of_frame = torch.arange(count, device=self.device).repeat_interleave(share)
        plane = self.follow(pixel_plane(rows, columns, self.camera), poses, of_frame)
        out = self.torso(plane, poses, self.torso.codes[self.frames[k]], of_frame)
        blended = out.colour * out.alpha[:, None] + self.background[flat] * (1 - out.alpha[:, None])
        error = losses.squared_error(blended.clamp(0, 1), target).mean()
        loss = error + self.torso.anchor_weight_loss()
        if stage.matte > 0:
            matte = torch.from_numpy(self.alpha[chosen[:, None], pixels]).to(self.device).float().reshape(-1) / 255
            loss = loss + stage.matte * (out.alpha - matte).square().mean()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        figures = {"loss": float(loss.detach()), "psnr": -10 * float(np.log10(max(float(error.detach()), 1e-10)))}
        if np.isfinite(figures["loss"]):
            self.optimiser.step()
            self.averaged.update(self.torso)
            self.n_steps += 1
        return figures

    def tensors(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, as named tensors."""
        return (
            pack("torso", self.torso.state_dict())
            | pack("averaged", self.averaged.tensors)
            | pack("grid", self.grid.state_dict())
            | pack("optimiser", optimiser_tensors(self.optimiser))
            | {"noise": self.noise.get_state()}
        )

    def facts(self) -> dict[str, Any]:
        """The part of the state that is not tensors."""
        return {
            "n_steps": self.n_steps,
            "averaged": self.averaged.count,
            "rate_factor": self.rate_factor,
            "generator": self.generator.bit_generator.state,
        }

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go back to a state from :meth:`tensors` and :meth:`facts`."""
        self.torso.load_state_dict(unpack("torso", tensors))
        self.averaged.restore(unpack("averaged", tensors), facts["averaged"])
        self.grid.load_state_dict(unpack("grid", tensors))
        restore_optimiser(self.optimiser, unpack("optimiser", tensors))
        self.noise.set_state(tensors["noise"])
        self.generator.bit_generator.state = facts["generator"]
        self.n_steps = facts["n_steps"]
        self.rate_factor = facts["rate_factor"]

    def _fit_follow(self, clip: Clip, frames: tuple[int, ...]) -> TorsoFollow:
        """Track the torso from the frame in the middle; keep clear of the head, which slides over it."""
        middle = len(frames) // 2
        size = (self.camera.height, self.camera.width)
        kernel = np.ones((2 * (size[0] // 40) + 1,) * 2, np.uint8)
        head = cv2.dilate(clip.matte(frames[middle])[..., 0], kernel) > 0
        body = cv2.erode(clip.torso(frames[middle])[..., 3], kernel) > 200
        return fit_torso_follow(
            lambda k: self.target[k].reshape(*size, 3), body & ~head, middle, self.world_from_camera.cpu()
        )

    def _draw_pixels(self, count: int) -> np.ndarray:
        n_torso = round(TORSO_SHARE * count) if self.torso_pixels.size else 0
        return np.concatenate(
            [
                self.generator.choice(self.torso_pixels, n_torso),
                self.generator.integers(0, self.camera.height * self.camera.width, count - n_torso),
            ]
        )

    @torch.no_grad()
    def _update_grid(self) -> None:
        if self.n_steps % GRID_INTERVAL:
            return
        k = int(self.generator.integers(len(self.frames)))
        pose, code = self.world_from_camera[k][None], self.torso.codes[self.frames[k]][None]

        def torso(plane: Tensor) -> tuple[Tensor, Tensor]:
            shown = self.torso(plane, pose, code)
            return shown.alpha, shown.colour

        self.grid.update(torso, generator=self.noise)
