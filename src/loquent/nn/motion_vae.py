"""From speech features to landmark motion by a variational auto-encoder with a flow as its prior (SPEC 7.5: GeneFace).

    speech ──┬── condition ─────────────────────────────┐
             └── every 4th frame ─┬─────────┐           │
    motion ── every 4th frame ── encoder ── latent ── decoder ── motion
                                            │
                              flow prior: latent ⇄ white noise

Landmarks count as coefficients over the person's principal motions, a rotation of them. Sizes are GeneFace's where the
configuration says so; the defaults are smaller, for seconds of one person instead of hours of many.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from loquent.nn.landmark_generator import LandmarkGenerator, LandmarkMotions
from loquent.speech.windows import STEPS_PER_FRAME

STRIDE = 4
"""Frames to one latent."""


@dataclass(frozen=True)
class MotionVaeConfig:
    """Sizes of `MotionVae`; GeneFace's in parentheses."""

    speech_width: int
    """Numbers in a step of speech features."""
    n_points: int
    """Landmarks."""
    n_motions: int = 16
    """Principal motions (all 204 coordinates)."""
    n_condition: int = 32
    """Channels of the condition (64)."""
    n_latent: int = 16
    """Channels of the latent (16); even."""
    n_hidden: int = 32
    """Channels inside encoder and decoder (256)."""
    encoder_layers: int = 4
    """Layers of the encoder (8)."""
    decoder_layers: int = 2
    """Layers of the decoder (4)."""
    kernel: int = 5
    """Frames under a layer of them (5); odd."""
    n_flows: int = 4
    """Coupling layers of the prior (4)."""
    flow_hidden: int = 32
    """Channels inside each (64)."""
    flow_layers: int = 2
    """Layers inside each (4)."""
    flow_kernel: int = 3
    """Latents under a layer of them (3); odd."""
    temperature: float = 0.0
    """Standard deviation of the noise that `generate` starts from: 0 = the prior's most likely motion, 1 = a fair sample."""
    noise_seed: int = 0
    """Of that noise."""


class GatedConvolutions(nn.Module):
    """WaveNet's stack (van den Oord et al. 2016): gated convolutions that hear a condition, residual, their skips summed."""

    def __init__(self, n_hidden: int, n_condition: int, n_layers: int, kernel: int) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(
            nn.Conv1d(n_hidden, 2 * n_hidden, kernel, padding=kernel // 2) for _ in range(n_layers)
        )
        self.conditions = nn.ModuleList(nn.Conv1d(n_condition, 2 * n_hidden, 1) for _ in range(n_layers))
        self.outputs = nn.ModuleList(nn.Conv1d(n_hidden, 2 * n_hidden, 1) for _ in range(n_layers))

    def forward(
        self, hidden: Float[Tensor, "batch hidden frames"], condition: Float[Tensor, "batch condition frames"]
    ) -> Float[Tensor, "batch hidden frames"]:
        total = torch.zeros_like(hidden)
        for inward, beside, outward in zip(self.inputs, self.conditions, self.outputs, strict=True):
            value, gate = (inward(hidden) + beside(condition)).chunk(2, dim=1)
            residual, skip = outward(value.tanh() * gate.sigmoid()).chunk(2, dim=1)
            hidden, total = hidden + residual, total + skip
        return total


class Coupling(nn.Module):
    """How far half of the channels are shifted, from the other half and the condition (Dinh et al. 2015); at first by 0."""

    def __init__(self, config: MotionVaeConfig) -> None:
        super().__init__()
        half = config.n_latent // 2
        self.enter = nn.Conv1d(half, config.flow_hidden, 1)
        self.body = GatedConvolutions(config.flow_hidden, config.n_condition, config.flow_layers, config.flow_kernel)
        self.leave = nn.Conv1d(config.flow_hidden, half, 1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(
        self, fixed: Float[Tensor, "batch half latents"], condition: Float[Tensor, "batch condition latents"]
    ) -> Float[Tensor, "batch half latents"]:
        shift: Tensor = self.leave(self.body(self.enter(fixed), condition))
        return shift


class FlowPrior(nn.Module):
    """Between latents and white noise, given the sound: coupling layers with the channels' order turned round in between."""

    def __init__(self, config: MotionVaeConfig) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(config) for _ in range(config.n_flows))

    def to_noise(
        self, latent: Float[Tensor, "batch channels latents"], condition: Float[Tensor, "batch condition latents"]
    ) -> Float[Tensor, "batch channels latents"]:
        for coupling in self.couplings:
            fixed, moved = latent.chunk(2, dim=1)
            latent = torch.cat([fixed, moved + coupling(fixed, condition)], dim=1).flip(1)
        return latent

    def from_noise(
        self, noise: Float[Tensor, "batch channels latents"], condition: Float[Tensor, "batch condition latents"]
    ) -> Float[Tensor, "batch channels latents"]:
        for coupling in reversed(self.couplings):
            fixed, moved = noise.flip(1).chunk(2, dim=1)
            noise = torch.cat([fixed, moved - coupling(fixed, condition)], dim=1)
        return noise


@dataclass(frozen=True)
class Reconstruction:
    """What training compares."""

    motion: Float[Tensor, "batch motions frames"]
    """The decoder's."""
    divergence: Float[Tensor, "batch latents"]
    """Kullback-Leibler divergence of the encoder's latents from the prior, mean over channels, from one sample."""


class MotionVae(LandmarkGenerator):
    """A conditional WaveNet auto-encoder of motion, sampled through its flow prior when only sound is known."""

    kind = "motion_vae"
    speech_mean: Tensor
    speech_scale: Tensor
    motion_scale: Tensor

    def __init__(self, config: MotionVaeConfig) -> None:
        """
        Raises:
            ValueError: an odd number of latent channels, or an even kernel.
        """
        super().__init__()
        if config.n_latent % 2 or not config.kernel % 2 or not config.flow_kernel % 2:
            raise ValueError("the latent needs an even number of channels, and kernels must be odd")
        self.config = config
        channels, hidden = config.n_condition, config.n_hidden
        self.motions = LandmarkMotions.empty(config.n_points, config.n_motions)
        self.register_buffer("speech_mean", torch.zeros(config.speech_width))
        self.register_buffer("speech_scale", torch.ones(config.speech_width))
        self.register_buffer("motion_scale", torch.ones(()))
        self.listen = nn.Sequential(
            nn.Conv1d(config.speech_width, channels, 3, padding=1, bias=False),
            nn.BatchNorm1d(channels),
            nn.GELU(),
            nn.Conv1d(channels, channels, 3, padding=1),
        )
        self.sparser_condition = _every_fourth(channels, channels)
        self.sparser_motion = _every_fourth(config.n_motions, hidden)
        self.encoder = GatedConvolutions(hidden, channels, config.encoder_layers, config.kernel)
        self.posterior = nn.Conv1d(hidden, 2 * config.n_latent, 1)
        self.prior = FlowPrior(config)
        self.denser = nn.ConvTranspose1d(config.n_latent, hidden, STRIDE, stride=STRIDE)
        self.decoder = GatedConvolutions(hidden, channels, config.decoder_layers, config.kernel)
        self.leave = nn.Conv1d(hidden, config.n_motions, 1)

    def condition(self, features: Float[Tensor, "steps width"], n_frames: int) -> Float[Tensor, "1 width frames"]:
        """Standardised speech features of the first `n_frames` frames: each one's own step; no sound counts as the mean."""
        heard = (
            features[::STEPS_PER_FRAME][:n_frames].to(self.speech_mean.device) - self.speech_mean
        ) / self.speech_scale
        return functional.pad(heard.T, (0, n_frames - len(heard)))[None]

    def forward(
        self,
        speech: Float[Tensor, "batch width frames"],
        motion: Float[Tensor, "batch motions frames"],
        noise: Float[Tensor, "batch channels latents"],
    ) -> Reconstruction:
        """Motion through the latent and back; frames are a multiple of four, `noise` picks the sample."""
        condition = self.listen(speech)
        sparse = self.sparser_condition(condition)
        mean, log_deviation = self.posterior(self.encoder(self.sparser_motion(motion), sparse)).chunk(2, dim=1)
        latent = mean + log_deviation.exp() * noise
        # The couplings preserve volume, so densities of latent and white noise are equal, and their constants cancel.
        white = self.prior.to_noise(latent, sparse)
        divergence = (white.square() / 2 - noise.square() / 2 - log_deviation).mean(dim=1)
        return Reconstruction(self._decode(latent, condition), divergence)

    @torch.no_grad()
    def generate(
        self, features: Float[Tensor, "steps width"], frame_ids: Int[Tensor, "frames"]
    ) -> Float[Tensor, "frames points 3"]:
        ids = frame_ids.long()
        if ids.numel() == 0:
            return self.motions.mean.new_zeros(0, self.config.n_points, 3)
        # Always the whole sound: what a frame shows must not depend on which others were asked for.
        n_heard = -(-len(features) // STEPS_PER_FRAME)
        n_frames = -(-max(int(ids.max()) + 1, n_heard) // STRIDE) * STRIDE
        condition = self.listen(self.condition(features, n_frames))
        random = torch.Generator().manual_seed(self.config.noise_seed)
        # Drawn latent by latent, so that a longer sound begins with the same noise.
        noise = torch.randn(n_frames // STRIDE, self.config.n_latent, generator=random).T[None].to(condition.device)
        latent = self.prior.from_noise(self.config.temperature * noise, self.sparser_condition(condition))
        motion = self._decode(latent, condition)[0, :, ids.to(condition.device)].T * self.motion_scale
        landmarks: Tensor = self.motions(motion)
        return landmarks

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self.config)}

    def _decode(
        self, latent: Float[Tensor, "batch channels latents"], condition: Float[Tensor, "batch condition frames"]
    ) -> Float[Tensor, "batch motions frames"]:
        motion: Tensor = self.leave(self.decoder(self.denser(latent), condition))
        return motion


def _every_fourth(n_in: int, n_out: int) -> nn.Conv1d:
    return nn.Conv1d(n_in, n_out, 2 * STRIDE, stride=STRIDE, padding=STRIDE // 2)
