"""Training the head: its stages' steps, from rays to losses, and what is known to be empty."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loquent.data.clip import Clip
from loquent.data.frame_store import FrameStore
from loquent.face.surface import cells_near, face_surface
from loquent.fields.head import HeadCondition, HeadField, PlacedSamples, PlacingHead
from loquent.fields.kinds import freeze, placement
from loquent.geometry.cameras import pixel_rays
from loquent.media.images import to_bytes, write_image
from loquent.ops.composite import distortion
from loquent.ops.ray_march import RaySamples, march_rays
from loquent.rendering.layers import head_over
from loquent.rendering.occupancy import HEAD_BOX, OccupancyGrid, VisibilityGrid, occupied_box
from loquent.rendering.render import CHUNK, FieldSamples, MarchSettings, RenderedRays, render_head, render_samples
from loquent.training import losses
from loquent.training.budget import exponential
from loquent.training.learner import Learner
from loquent.training.presets import HeadStageConfig, Preset
from loquent.training.rays import RayBatch, RayDrawer

GRID_INTERVAL = 16
"""Steps between updates of the occupancy (SPEC 2.5)."""
MIN_RAYS, MAX_RAYS = 512, 16_384
"""Limits of the rays a step where their number follows the samples."""
CARVE_FRAMES = 40
"""Frames whose head mattes rule out empty space before training."""
JITTER_INTERVAL, JITTER_REACH = 16, 1e-3
"""Steps between, and displacement of samples for, the paper's code's smoothness term (SPEC 4.2)."""
PREVIEW_STRIDE = 2
"""Every so many pixels of a preview are rendered."""


class HeadTrainer(Learner[HeadField, VisibilityGrid | OccupancyGrid]):
    """Takes one step at a time of the head's stages; a stage is a way of calling :meth:`step`."""

    def __init__(
        self,
        clip: Clip,
        store: FrameStore,
        head: HeadField,
        inputs: Float[Tensor, "frames ..."],
        predicted: Float[Tensor, "frames ..."] | None,
        preset: Preset,
        device: torch.device,
        seed: int,
    ) -> None:
        """`inputs` are the lips' conditions of the store's frames: audio windows [frames, 8, width, 16], expression
        coefficients [frames, coefficients], or windows of landmarks [frames, 5, points, 3]; `predicted` stand in
        for them in the stages' share of frames (`loquent.training.lips.LipFit.with_tracked_opening`)."""
        self.store = store
        self.camera = clip.camera
        self.preset = preset
        self.device = device
        chosen = list(store.frames)
        self.world_from_camera = clip.track.world_from_camera[chosen]
        self.eye = clip.eye[chosen, : head.config.eye_width].to(device)
        self.inputs = inputs.to(device)
        self.predicted = self.inputs if predicted is None else predicted.to(device)
        self.landmarks_px = clip.track.landmarks_px[chosen].numpy()
        self.rays = RayDrawer(clip, store, device)
        self.march = MarchSettings(max_samples=preset.max_samples)
        stage, head = preset.head[0], head.to(device)
        self.n_rays = stage.rays
        grid: VisibilityGrid | OccupancyGrid = VisibilityGrid() if preset.occupancy == "visibility" else OccupancyGrid()
        groups = head.parameter_groups(stage.lr_grid, stage.lr_net)
        super().__init__(head, groups, grid.to(device), preset, device, seed)
        self.grid.mark_unseen(self.world_from_camera.to(device), self.camera)
        if isinstance(self.grid, VisibilityGrid):
            self._carve()

    def step(self, stage: HeadStageConfig, progress: float) -> dict[str, float]:
        """One optimiser step of `stage`, `progress` of the way through it; returns the loss terms and the PSNR of its rays."""
        if self.preset.coarse_to_fine > 0:
            self.field.reveal(head_share(self.preset, stage, progress) / self.preset.coarse_to_fine)
        self._update_grid()
        self.set_rates(exponential(stage.lr_start, stage.lr_end, progress))
        follows_samples = stage.samples > 0 and stage.patch == 0
        n_rays = self.n_rays if follows_samples else stage.rays
        batch = self.rays.draw(stage, n_rays, self.n_steps, self.generator)
        if isinstance(self.field, PlacingHead):
            condition = self._condition(stage, batch.frames)
            coarse = self._place(self.field, batch, condition)
            samples = coarse.samples
        else:
            coarse, samples = None, self._march(batch)
            condition = self._condition(stage, batch.frames)
        terms, mean_error = self._losses(stage, progress, batch, samples, condition)
        if coarse is not None:  # the network that placed the samples learns from the picture it saw itself
            pixels = coarse.colour + (1 - coarse.opacity)[:, None] * batch.behind
            terms["coarse"] = losses.squared_error(pixels, batch.target).mean()
        loss = self.learn(torch.stack(list(terms.values())).sum())
        figures = {name: float(value.detach()) for name, value in terms.items()}
        figures |= {"loss": loss, "psnr": -10 * float(np.log10(max(mean_error, 1e-10)))}
        figures |= {"samples": float(samples.n_samples), "rays": float(samples.n_rays)}
        if follows_samples:
            self._adapt_ray_count(stage, samples)
        return figures

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """Write a picture of the window of one training frame, at half size: the truth beside the rendering."""
        k = len(self.store.frames) // 2
        window = self.store.window
        rows, columns = torch.meshgrid(
            torch.arange(window.top, window.bottom, PREVIEW_STRIDE),
            torch.arange(window.left, window.right, PREVIEW_STRIDE),
            indexing="ij",
        )
        shape = rows.shape
        origins, directions = pixel_rays(
            self.world_from_camera[k][None], self.camera, rows.reshape(-1), columns.reshape(-1)
        )
        chosen = torch.tensor([k], device=self.device)
        condition = self.field.test_condition(self.field.encode(self.inputs[chosen]), self.eye[chosen])
        frozen = freeze(self.field, condition)
        rendered = render_head(
            lambda positions, along, ray_ids: FieldSamples(*frozen(positions, along, ray_ids)),
            origins.to(self.device),
            directions.to(self.device),
            self.grid.occupied,
            march=self.march,
            place=placement(self.field, condition),
        )
        behind = torch.from_numpy(self.store.behind[k, ::PREVIEW_STRIDE, ::PREVIEW_STRIDE].copy()).to(self.device)
        shown = head_over(rendered.colour, rendered.opacity, behind.reshape(-1, 3).float() / 255)
        picture = to_bytes(shown.reshape(*shape, 3).cpu().numpy())
        write_image(path, np.concatenate([self.store.target[k, ::PREVIEW_STRIDE, ::PREVIEW_STRIDE], picture], axis=1))

    def facts(self) -> dict[str, Any]:
        """See :meth:`Learner.facts`."""
        return super().facts() | {"n_rays": self.n_rays}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """See :meth:`Learner.restore`."""
        super().restore(tensors, facts)
        self.n_rays = facts["n_rays"]

    def _march(self, batch: RayBatch) -> RaySamples:
        """Samples in the occupied cells, shifted at random."""
        return march_rays(
            batch.origins,
            batch.directions,
            self.grid.occupied,
            box=HEAD_BOX,
            step=self.march.step,
            max_samples=self.march.max_samples,
            jitter=torch.rand(batch.origins.shape[0], generator=self.noise, device=self.device),
            pad_to=CHUNK,
        )

    def _place(self, head: PlacingHead, batch: RayBatch, condition: HeadCondition) -> PlacedSamples:
        """Samples where the method itself wants them, inside what the mattes leave of the volume."""
        return head.place(
            batch.origins,
            batch.directions,
            condition,
            occupied_box(self.grid.occupied),
            batch.frame_of_ray if batch.frames.numel() > 1 else None,
            self.noise,
        )

    def _losses(
        self,
        stage: HeadStageConfig,
        progress: float,
        batch: RayBatch,
        samples: RaySamples,
        condition: HeadCondition,
    ) -> tuple[dict[str, Tensor], float]:
        weights = stage.weights
        ramp = paper_ramp(self.preset, stage, progress)
        traced = self._render(stage, batch, samples, condition)
        pixels = (traced.colour + (1 - traced.opacity)[:, None] * batch.behind).clamp(0, 1)
        attention = traced.summed
        error = losses.squared_error(pixels, batch.target)
        terms = {"colour": error.mean()}
        if weights.uncertainty > 0 and "uncertainty" in traced.averaged:  # not every method estimates it
            terms["colour"] = weights.uncertainty * losses.uncertain_error(
                pixels, batch.target, traced.averaged["uncertainty"], batch.in_face, ramp
            )
        terms["entropy"] = weights.entropy * losses.opacity_entropy(traced.opacity)
        ambient = losses.ambient_attention(attention["audio"], attention["eye"], batch.in_face, self.march.max_samples)
        terms["ambient"] = weights.ambient * ramp * ambient
        assert traced.weights is not None
        if weights.jitter > 0 and self.n_steps % JITTER_INTERVAL == 0:
            terms["jitter"] = weights.jitter * ramp * self._unsteadiness(batch, samples, condition)
        if weights.distortion > 0:
            spread = distortion(traced.weights, samples.t, samples.steps, samples.ray_starts)
            terms["distortion"] = weights.distortion * spread.mean()
        if weights.matte > 0:
            fade = exponential(1.0, 0.1, progress)
            terms["matte"] = weights.matte * fade * (traced.opacity - batch.head).square().mean()
        if weights.structure > 0 and stage.patch > 0:
            patches = (-1, stage.patch, stage.patch, 3)
            terms["structure"] = weights.structure * losses.structural_dissimilarity(
                pixels.reshape(patches), batch.target.reshape(patches)
            )
        if isinstance(self.grid, VisibilityGrid) and not isinstance(self.field, PlacingHead):
            count = samples.n_samples
            self.grid.observe(samples.positions[:count], traced.weights.detach()[:count])
        return terms, float(error.detach().mean())

    def _unsteadiness(self, batch: RayBatch, samples: RaySamples, condition: HeadCondition) -> Tensor:
        """How much attention and uncertainty differ a little beside the samples (SPEC 4.2)."""
        count = samples.n_samples
        positions, ray_ids = samples.positions[:count], samples.ray_ids[:count]
        frames = batch.frame_of_ray[ray_ids] if batch.frames.numel() > 1 else None
        fixed = HeadCondition(audio=condition.audio.detach(), eye=condition.eye, code=condition.code.detach())
        noise = torch.rand(positions.shape, generator=self.noise, device=self.device) * 2 - 1

        def asked(places: Tensor) -> tuple[Tensor, ...]:
            out = self.field(places, batch.directions[ray_ids], fixed, frames, with_uncertainty=True)
            values = (out.uncertainty, out.audio_attention, out.eye_attention)
            return tuple(value for value in values if value is not None)

        with torch.no_grad():
            here = asked(positions)
        beside = asked(positions + JITTER_REACH * noise)
        return torch.stack([(a - b).square().mean() for a, b in zip(beside, here, strict=True)]).sum()

    def _render(
        self, stage: HeadStageConfig, batch: RayBatch, samples: RaySamples, condition: HeadCondition
    ) -> RenderedRays:
        several = batch.frames.numel() > 1

        def field(positions: Tensor, directions: Tensor, ray_ids: Tensor) -> FieldSamples:
            out = self.field(
                positions,
                directions[ray_ids],
                condition,
                batch.frame_of_ray[ray_ids] if several else None,
                with_uncertainty=stage.weights.uncertainty > 0,
            )
            averaged = {} if out.uncertainty is None else {"uncertainty": out.uncertainty}
            summed = {"audio": out.audio_attention, "eye": out.eye_attention}
            return FieldSamples(out.density, out.colour, averaged, summed)

        return render_samples(field, samples, batch.directions)

    def _condition(self, stage: HeadStageConfig, frames: Int[Tensor, "frames"]) -> HeadCondition:
        heard = torch.rand(len(frames), generator=self.noise, device=self.device) < stage.predicted
        inputs = torch.where(_beside(heard, self.inputs), self.predicted[frames], self.inputs[frames])
        if stage.condition_noise > 0:
            inputs = inputs + stage.condition_noise * torch.randn(
                inputs.shape, generator=self.noise, device=self.device
            )
        eye = self.eye[frames]
        noise = (torch.rand(eye.shape, generator=self.noise, device=self.device) * 2 - 1) * stage.eye_noise
        chosen = torch.tensor(self.store.frames, device=self.device)[frames]
        return HeadCondition(
            audio=self.field.encode(inputs),
            eye=eye + noise,
            code=self.field.codes[chosen],
        )

    def _adapt_ray_count(self, stage: HeadStageConfig, samples: RaySamples) -> None:
        """As many rays as give `stage.samples` samples: many short rays once empty space is known, the same work each step."""
        wanted = samples.n_rays * stage.samples / max(samples.n_samples, 1)
        self.n_rays = int(min(max(0.9 * self.n_rays + 0.1 * wanted, MIN_RAYS), MAX_RAYS))

    @torch.no_grad()
    def _carve(self) -> None:
        """Give up, before the first step, what lies outside the head's outline in many frames, or far from the face's skin."""
        count = len(self.store.frames)
        chosen = np.linspace(0, count - 1, min(CARVE_FRAMES, count)).round().astype(int)
        height, width = self.store.window.shape
        radius = max(4, round(0.02 * self.camera.height))
        kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        mattes = np.zeros((chosen.size, self.camera.height, self.camera.width), bool)
        rows = slice(self.store.window.top, self.store.window.top + height)
        columns = slice(self.store.window.left, self.store.window.left + width)
        for matte, k in zip(mattes, chosen, strict=True):
            matte[rows, columns] = cv2.dilate(self.store.head[k], kernel) > 32
        assert isinstance(self.grid, VisibilityGrid)
        poses = self.world_from_camera[torch.from_numpy(chosen)].to(self.device)
        self.grid.carve(poses, self.camera, torch.from_numpy(mattes).to(self.device))
        surface = face_surface(self.landmarks_px[chosen], poses.cpu().double().numpy(), self.camera)
        self.grid.keep_only(torch.from_numpy(cells_near(surface, self.grid.cells)).to(self.device))

    @torch.no_grad()
    def _update_grid(self) -> None:
        if self.n_steps % GRID_INTERVAL or isinstance(self.field, PlacingHead):
            return
        if isinstance(self.grid, VisibilityGrid):
            self.grid.update()
            return
        # The paper's occupancy: the density under one random training frame's sound and eyes (SPEC 2.5).
        k = torch.tensor([int(self.generator.integers(len(self.store.frames)))], device=self.device)
        condition = self.field.test_condition(self.field.encode(self.inputs[k]), self.eye[k])
        self.grid.update(lambda points: self.field.density(points, condition), generator=self.noise)


def paper_ramp(preset: Preset, stage: HeadStageConfig, progress: float) -> float:
    """The papers' s, by which slow terms come in (SPEC 4.2): the share done of the head's training up to the end of `stage`.

    It runs from 0 to 1 in the first stage; a later one goes on, that of `paper` from 0.8 to 1.
    """
    return head_share(preset, stage, progress) / head_share(preset, stage, 1.0)


def head_share(preset: Preset, stage: HeadStageConfig, progress: float) -> float:
    """The share done of all of the head's training, after a share `progress` of `stage`."""
    lengths = [one.share if preset.minutes > 0 else one.steps for one in preset.head]
    number = preset.head.index(stage)
    return (sum(lengths[:number]) + progress * lengths[number]) / sum(lengths)


def _beside(flags: Bool[Tensor, "frames"], values: Float[Tensor, "all ..."]) -> Bool[Tensor, "frames ..."]:
    """`flags` with as many axes as `values`, to choose between rows."""
    return flags.view(-1, *[1] * (values.ndim - 1))
