"""What ER-NeRF's paper compares its head with: other encoders of position (its Table 4), other ways of using sound (Table 5).

Sizes that the paper does not state are our reading of it (SPEC 6.3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor, nn

from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.head import HeadCondition
from loquent.fields.per_frame import per_sample
from loquent.nn.backbones import DenseTriplane, PositionNetwork
from loquent.nn.grid import GridEncoder, PositionEncoder
from loquent.nn.mlp import Mlp
from loquent.ops.grid_encode import GridLayout

Backbone = Literal["trihash", "dense_triplane", "grid3d", "mlp"]

_GRID_3D: Final = GridLayout(3, levels=16, features=2, base=16, finest=2048, log2_entries=16, kind="tiled")
_ENCODERS: Final[dict[str, Callable[[ErNerfConfig], PositionEncoder]]] = {
    "trihash": ErNerfConfig.position_encoder,
    "dense_triplane": lambda config: DenseTriplane(bound=config.bound),
    "grid3d": lambda config: GridEncoder(_GRID_3D, config.bound),
    "mlp": lambda config: PositionNetwork(),
}


@dataclass(frozen=True)
class AblationConfig(ErNerfConfig):
    """Sizes of the field, and what encodes positions."""

    backbone: Backbone = "trihash"
    """Hashed planes (the paper's own), planes without hashing, RAD-NeRF's 3-D grid, or NeRF's trunk."""

    def position_encoder(self) -> PositionEncoder:
        """A new encoder of positions."""
        return _ENCODERS[self.backbone](self)


class BackboneHead(ErNerfHead):
    """ER-NeRF's head on another encoder of positions."""

    kind: ClassVar[str] = "er_nerf_backbone"
    config: AblationConfig

    def _tables(self) -> list[nn.Parameter]:
        """A network has no tables: all of it learns at the networks' rate."""
        return [] if self.config.backbone == "mlp" else super()._tables()


class FeatureAttentionHead(BackboneHead):
    """The sound is weighted as a whole: one weight for a point instead of one for every channel."""

    kind: ClassVar[str] = "er_nerf_feature_attention"

    def __init__(self, config: AblationConfig) -> None:
        super().__init__(config)
        self.audio_attention = Mlp(self.planes.width, 64, 1)


class ConcatHead(BackboneHead):
    """Sound and eye enter as they are, the same for every point."""

    kind: ClassVar[str] = "er_nerf_concat"

    def __init__(self, config: AblationConfig) -> None:
        super().__init__(config)
        del self.audio_attention, self.eye_attention

    def _attend(
        self, features: Tensor, condition: HeadCondition, frame_of_sample: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Output of the density net [samples, 65]; both attentions are 0 [samples, 1]."""
        audio = per_sample(condition.audio, frame_of_sample, len(features))
        eye = per_sample(condition.eye, frame_of_sample, len(features))
        none = torch.zeros_like(eye)
        return self.density_net(torch.cat([features, audio, eye], dim=-1)), none, none
