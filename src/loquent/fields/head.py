"""What all head fields share: the condition of a frame, the answer for a sample, and the methods that others may call.

Training and portraits know only this; which methods there are says `loquent.fields.kinds`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.errors import InputError
from loquent.fields.sizes import check_counts
from loquent.nn.audio import AudioEncoder
from loquent.nn.expression import ExpressionEncoder
from loquent.nn.landmarks import LANDMARK_WINDOW
from loquent.ops.ray_march import Box, RaySamples

HARMONICS = 16
"""Values of an encoded direction: spherical harmonics of degree 4."""
GEOMETRY = 64
"""Values that the density network hands to the colour network."""

_ATTENTION_RATE = 5.0

Inputs = Literal["audio", "expression", "landmarks"]
"""What moves a face: windows of speech features, expression coefficients, or 3-D facial landmarks."""

FrozenField = Callable[
    [Float[Tensor, "samples 3"], Float[Tensor, "rays 3"], Int[Tensor, "samples"]],
    tuple[Float[Tensor, "samples"], Float[Tensor, "samples 3"]],
]
"""Density and colour of samples of one frame, from positions, directions of rays, and the ray of each sample."""

FrozenPlacement = Callable[[Float[Tensor, "rays 3"], Float[Tensor, "rays 3"], Box], RaySamples]
"""Where along rays a field is asked for one frame, from their origins, their directions, and the box around the head."""


@dataclass(frozen=True)
class HeadConfig:
    """Sizes that every head field has."""

    condition: Inputs = "audio"
    """What moves the face."""
    eye_width: int = 1
    """Values of the eye condition."""
    n_codes: int = 10_000
    """Appearance codes: one per training frame, and spare ones."""
    code_width: int = 4
    """Values of an appearance code."""

    def __post_init__(self) -> None:
        """Check that whatever counts something counts at least one, and what moves the face."""
        if self.condition not in get_args(Inputs):
            raise InputError(f"condition must be one of {', '.join(get_args(Inputs))}; got {self.condition!r}.")
        check_counts(self)


@dataclass(frozen=True)
class SpeechHeadConfig(HeadConfig):
    """Sizes that a head has which listens to speech features, or in their place sees expression or landmarks.

    Landmarks enter as in GeneFace's renderer: a window of frames in place of one of speech windows (SPEC 7.3).
    """

    audio_width_in: int = 29
    """Values per step of the speech features (condition "audio")."""
    audio_steps: int = 16
    """Steps in a frame's window of speech features; two where a frame has but its own, as HuBERT's in the originals."""
    expression_width_in: int = 8
    """Coefficients per frame (condition "expression")."""
    n_landmarks: int = 68
    """Landmarks of a frame (condition "landmarks")."""
    condition_width: int = 32
    """Values of the encoded condition of a frame."""

    def encoder(self) -> AudioEncoder | ExpressionEncoder:
        """A new encoder of the condition."""
        if self.condition == "audio":
            return AudioEncoder(self.audio_width_in, self.condition_width)
        if self.condition == "landmarks":
            return AudioEncoder(3 * self.n_landmarks, self.condition_width, LANDMARK_WINDOW)
        return ExpressionEncoder(self.expression_width_in, self.condition_width)


@dataclass(frozen=True)
class HeadCondition:
    """What differs from frame to frame."""

    audio: Float[Tensor, "frames condition_width"]
    """What moves the lips: encoded sound, expression or landmarks."""
    eye: Float[Tensor, "frames eye_width"]
    """What moves the upper face: eye closure (0 = open, 1 = closed; SPEC 1.5), and in our own portraits the brows after it."""
    code: Float[Tensor, "frames code_width"]
    """Appearance code."""


@dataclass(frozen=True)
class HeadSamples:
    """What a field says of each sample."""

    density: Float[Tensor, "samples"]
    """Optical density per volume unit, ≥ 0."""
    colour: Float[Tensor, "samples 3"]
    """RGB, from -0.001 to 1.001."""
    audio_attention: Float[Tensor, "samples"]
    """How strongly the sound acts here, ≥ 0; 0 in fields without such a measure."""
    eye_attention: Float[Tensor, "samples"]
    """Mean attention to the eye's values, 0 to 1; 0 in fields without it."""
    uncertainty: Float[Tensor, "samples"] | None
    """Expected colour error, > 0; None where it was not asked for, or does not exist."""


class HeadField(nn.Module, ABC):
    """A radiance field of a head."""

    kind: ClassVar[str]
    """Name of the method in `loquent.fields.kinds` and in portrait files."""
    config: HeadConfig
    """Sizes of the field."""
    codes: nn.Parameter
    """Appearance codes [n_codes, code_width]."""

    @property
    def inputs(self) -> Inputs:
        """What moves this face."""
        return self.config.condition

    @abstractmethod
    def encode(self, inputs: Float[Tensor, "frames ..."]) -> Float[Tensor, "frames condition_width"]:
        """The condition of frames.

        Args:
            inputs: contexts of speech windows [frames, 8, width, steps], expression coefficients [frames, width], or
                windows of landmarks [frames, 5, points, 3], as :attr:`inputs` says.
        """

    @abstractmethod
    def forward(
        self,
        positions: Float[Tensor, "samples 3"],
        directions: Float[Tensor, "samples 3"],
        condition: HeadCondition,
        frame_of_sample: Int[Tensor, "samples"] | None = None,
        *,
        with_uncertainty: bool = True,
    ) -> HeadSamples:
        """Everything the field says of samples.

        Args:
            positions: in the volume frame.
            directions: unit vectors along the rays, world frame.
            condition: of one or several frames.
            frame_of_sample: which frame each sample belongs to; None where there is one frame.
            with_uncertainty: also estimate the colour error, where the field can.
        """

    @abstractmethod
    def density(
        self,
        positions: Float[Tensor, "samples 3"],
        condition: HeadCondition,
        frame_of_sample: Int[Tensor, "samples"] | None = None,
    ) -> Float[Tensor, "samples"]:
        """Density alone, for the occupancy grid; arguments as in :meth:`forward`."""

    @abstractmethod
    def parameter_groups(self, lr: float, lr_net: float) -> list[dict[str, Any]]:
        """Optimiser groups: `lr` for tables, `lr_net` for networks."""

    def reveal(self, share: float) -> None:
        """Coarse-to-fine training: let the field see this share, 0 to 1, of what it sees when it is finished.

        Raises:
            InputError: this method has no such order.
        """
        raise InputError(
            f"{self.kind} cannot be trained coarse to fine: set coarse_to_fine to 0 ({share:g} was asked)."
        )

    def _optimiser_groups(
        self,
        tables: list[nn.Parameter],
        lr: float,
        lr_net: float,
        *,
        name: str = "grids",
        table_decay: float = 0.0,
        attention: list[nn.Parameter] | None = None,
        attention_decay: float = 0.0,
    ) -> list[dict[str, Any]]:
        """`tables` called `name`, the attention over time at five times the networks' rate (SPEC 4.3, 6.1), and all others."""
        attention = attention or []
        special = {id(parameter) for parameter in [*tables, *attention]}
        networks = [parameter for parameter in self.parameters() if id(parameter) not in special]
        groups: list[dict[str, Any]] = [
            {"name": name, "params": tables, "lr": lr, "weight_decay": table_decay},
            {"name": "networks", "params": networks, "lr": lr_net, "weight_decay": 0.0},
        ]
        if attention:
            rate = _ATTENTION_RATE * lr_net
            groups.append({"name": "audio_attention", "params": attention, "lr": rate, "weight_decay": attention_decay})
        return groups

    def test_condition(
        self, audio: Float[Tensor, "frames condition_width"], eye: Float[Tensor, "frames eye_width"]
    ) -> HeadCondition:
        """The condition of frames that were not trained on: appearance code 0 (SPEC 2.4)."""
        return HeadCondition(audio, eye, self.codes[:1].expand(len(audio), -1))


@dataclass(frozen=True)
class PlacedSamples:
    """Where along rays a field is to be asked, and what was seen while looking for that."""

    samples: RaySamples
    """The samples; those of a ray that cannot meet the head are none."""
    colour: Float[Tensor, "rays 3"]
    """What a first, coarse look shows, weighted by opacity; differentiable."""
    opacity: Float[Tensor, "rays"]
    """Share of the light that ends in what the coarse look shows; differentiable."""


class PlacingHead(HeadField):
    """A head whose method looks for its samples itself, with a network of its own, instead of marching through occupied cells.

    It is trained by what the coarse look shows, too; nothing keeps account of empty cells for it.
    """

    @abstractmethod
    def place(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        condition: HeadCondition,
        box: Box,
        frame_of_ray: Int[Tensor, "rays"] | None = None,
        noise: torch.Generator | None = None,
    ) -> PlacedSamples:
        """Where along rays the field is to be asked.

        Args:
            origins: camera centres, volume frame.
            directions: unit vectors.
            condition: of one or several frames.
            box: around the head; outside nothing is asked.
            frame_of_ray: which frame each ray belongs to; None where there is one frame.
            noise: of the random places, while training; None = evenly, as for pictures.
        """


class SpeechHead(HeadField):
    """A head that listens to speech features, or in their place sees expression coefficients or landmarks."""

    condition_encoder: AudioEncoder | ExpressionEncoder

    def encode(self, inputs: Float[Tensor, "frames ..."]) -> Float[Tensor, "frames condition_width"]:
        """See :meth:`HeadField.encode` (SPEC 2.3)."""
        wanted = 2 if self.config.condition == "expression" else 4
        assert inputs.ndim == wanted, f"this head is driven by {self.config.condition}; {inputs.ndim} axes came"
        if self.config.condition == "landmarks":
            inputs = inputs.flatten(2)[..., None]
        encoded: Tensor = self.condition_encoder(inputs)
        return encoded

    def _attention_over_time(self) -> list[nn.Parameter]:
        encoder = self.condition_encoder
        return list(encoder.attention.parameters()) if isinstance(encoder, AudioEncoder) else []


def unfolded(head: HeadField, condition: HeadCondition) -> FrozenField:
    """The field itself under the condition of one frame, for methods that have no folded form."""

    @torch.inference_mode()
    def ask(positions: Tensor, directions: Tensor, ray_ids: Tensor) -> tuple[Tensor, Tensor]:
        shown: HeadSamples = head(positions, directions[ray_ids], condition, with_uncertainty=False)
        return shown.density, shown.colour

    return ask
