"""What all torso fields share: the answer for a pixel, and the methods that others may call.

Training and portraits know only this; which methods there are says `loquent.fields.kinds`.
"""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loquent.fields.sizes import check_counts
from loquent.geometry.cameras import Camera


@dataclass(frozen=True)
class TorsoConfig:
    """Sizes that every torso field has."""

    n_codes: int = 10_000
    """Appearance codes: one per training frame, and spare ones."""
    code_width: int = dataclasses.field(default=8, metadata={"least": 0})
    """Values of an appearance code; 0 = all frames look alike."""

    def __post_init__(self) -> None:
        """Check that whatever counts something counts at least one."""
        check_counts(self)


@dataclass(frozen=True)
class TorsoPixels:
    """What the torso shows at each pixel."""

    alpha: Float[Tensor, "pixels"]
    """Coverage, from -0.001 to 1.001."""
    colour: Float[Tensor, "pixels 3"]
    """RGB, from -0.001 to 1.001."""
    coarse: "TorsoPixels | None" = None
    """What a first look showed, where the method takes one: it is trained by that, too."""


class TorsoField(nn.Module, ABC):
    """The neck and torso of a person, pixel by pixel."""

    kind: ClassVar[str]
    """Name of the method in `loquent.fields.kinds` and in portrait files."""
    is_in_front: ClassVar[bool] = False
    """Whether it is laid over the head, and so shows nothing where the head is seen; or stands behind it, whole."""
    is_told_of_lips: ClassVar[bool] = False
    """Whether it needs to know what moves the lips."""
    updates_occupancy: ClassVar[bool] = True
    """Whether it is asked now and then, all over the picture, where it shows nothing (SPEC 3.1). Where asking is dear, the
    mattes of the training frames say it, once."""
    config: TorsoConfig
    """Sizes of the field."""
    codes: nn.Parameter
    """Appearance codes [n_codes, code_width]."""

    @abstractmethod
    def forward(
        self,
        plane_xy: Float[Tensor, "pixels 2"],
        world_from_camera: Float[Tensor, "frames 4 4"],
        code: Float[Tensor, "frames code_width"],
        frame_of_pixel: Int[Tensor, "pixels"] | None = None,
        *,
        condition: Float[Tensor, "frames condition_width"] | None = None,
        noise: torch.Generator | None = None,
    ) -> TorsoPixels:
        """Alpha and colour of pixels.

        Args:
            plane_xy: (row, column) in [-1, 1], as :func:`loquent.geometry.cameras.pixel_plane` makes them.
            world_from_camera: pose of each frame, volume frame.
            code: appearance code of each frame.
            frame_of_pixel: which frame each pixel belongs to; None where there is one frame.
            condition: what moves the lips of each frame, as the head encodes it; for methods whose torso is told.
            noise: of random places along rays, while training; None = evenly, as for pictures.
        """

    @abstractmethod
    def parameter_groups(self, lr: float, lr_net: float) -> list[dict[str, Any]]:
        """Optimiser groups: `lr` for tables, `lr_net` for networks."""

    def regulariser(self, shown: TorsoPixels) -> Float[Tensor, ""]:
        """What the method adds to the loss of its picture, some pixels of which are `shown`."""
        return shown.alpha.new_zeros(())

    @torch.no_grad()
    def set_reference_view(self, camera: Camera, world_from_camera: Float[Tensor, "4 4"]) -> None:
        """Before training: tell the field the clip's camera and its first frame's pose, for methods that keep that view."""
        del camera, world_from_camera

    def test_code(self, n_frames: int) -> Float[Tensor, "frames code_width"]:
        """The code of frames that were not trained on: code 0."""
        return self.codes[:1].expand(n_frames, -1)
