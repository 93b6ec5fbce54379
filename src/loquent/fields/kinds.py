"""Every method's head and torso by name: from facts in a file to fields, and from fields to a fast form for one frame."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from loquent.fields.ad_nerf import AdNerfConfig, AdNerfHead
from loquent.fields.ad_nerf_torso import AdNerfTorso, AdNerfTorsoConfig
from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.er_nerf_ablations import AblationConfig, BackboneHead, ConcatHead, FeatureAttentionHead
from loquent.fields.frozen_head import FrozenHead
from loquent.fields.head import FrozenField, FrozenPlacement, HeadCondition, HeadField, PlacingHead, unfolded
from loquent.fields.r2_talker import FoldedR2Talker, R2TalkerConfig, R2TalkerHead
from loquent.fields.rad_nerf import RadNerfConfig, RadNerfHead
from loquent.fields.rad_torso import RadNerfTorso, RadNerfTorsoConfig
from loquent.fields.torso import ErNerfTorso, ErNerfTorsoConfig
from loquent.fields.torso_field import TorsoField
from loquent.ops.ray_march import Box, RaySamples


@dataclass(frozen=True)
class HeadKind:
    """What is needed to make and use one kind of head."""

    config: Callable[..., Any]
    """Its sizes."""
    field: Callable[[Any], HeadField]
    """From sizes to the field."""
    freeze: Callable[[Any, HeadCondition], FrozenField]
    """The field under the condition of one frame."""


HEADS = {
    "er_nerf": HeadKind(ErNerfConfig, ErNerfHead, FrozenHead),
    "er_nerf_backbone": HeadKind(AblationConfig, BackboneHead, FrozenHead),
    "er_nerf_feature_attention": HeadKind(AblationConfig, FeatureAttentionHead, unfolded),
    "er_nerf_concat": HeadKind(AblationConfig, ConcatHead, unfolded),
    "rad_nerf": HeadKind(RadNerfConfig, RadNerfHead, unfolded),
    "ad_nerf": HeadKind(AdNerfConfig, AdNerfHead, unfolded),
    "r2_talker": HeadKind(R2TalkerConfig, R2TalkerHead, FoldedR2Talker),
}
TORSOS: dict[str, tuple[Callable[..., Any], Callable[[Any], TorsoField]]] = {
    "er_nerf": (ErNerfTorsoConfig, ErNerfTorso),
    "rad_nerf": (RadNerfTorsoConfig, RadNerfTorso),
    "ad_nerf": (AdNerfTorsoConfig, AdNerfTorso),
}
"""Sizes and field of each kind of torso."""


def describe_field(field: HeadField | TorsoField) -> dict[str, Any]:
    """Kind and sizes as JSON values."""
    return {"kind": field.kind, **asdict(field.config)}


def make_head(facts: dict[str, Any]) -> HeadField:
    """A new head from :func:`describe_field`'s facts; those of Loquent 0.1 name no kind.

    Raises:
        ValueError, TypeError: facts of no kind of head.
    """
    kind, sizes = _split(facts)
    if kind not in HEADS:
        raise ValueError(f"there is no kind of head called {kind!r}; there is {', '.join(HEADS)}")
    return HEADS[kind].field(HEADS[kind].config(**sizes))


def make_torso(facts: dict[str, Any]) -> TorsoField:
    """A new torso from :func:`describe_field`'s facts.

    Raises:
        ValueError, TypeError: facts of no kind of torso.
    """
    kind, sizes = _split(facts)
    if kind not in TORSOS:
        raise ValueError(f"there is no kind of torso called {kind!r}; there is {', '.join(TORSOS)}")
    config, field = TORSOS[kind]
    return field(config(**sizes))


def head_for_new_frames(head: HeadField, code: Float[Tensor, "code_width"]) -> HeadField:
    """A copy of a trained head that keeps a single appearance code, the one to render new frames with."""
    small = make_head({**describe_field(head), "n_codes": 1})
    small.load_state_dict({**head.state_dict(), "codes": code[None]})
    return small.requires_grad_(False).eval()


def torso_for_new_frames(torso: TorsoField, code: Float[Tensor, "code_width"]) -> TorsoField:
    """A copy of a trained torso that keeps a single appearance code, the one to render new frames with."""
    small = make_torso({**describe_field(torso), "n_codes": 1})
    small.load_state_dict({**torso.state_dict(), "codes": code[None]})
    return small.requires_grad_(False).eval()


def freeze(head: HeadField, condition: HeadCondition) -> FrozenField:
    """The fastest form of `head` under the condition of one frame; later changes of the head are not seen."""
    return HEADS[head.kind].freeze(head, condition)


def placement(head: HeadField, condition: HeadCondition) -> FrozenPlacement | None:
    """Where `head` is asked under the condition of one frame; None = wherever a march through occupied cells leads."""
    if not isinstance(head, PlacingHead):
        return None

    @torch.inference_mode()
    def place(origins: Tensor, directions: Tensor, box: Box) -> RaySamples:
        return head.place(origins, directions, condition, box).samples

    return place


_ONCE_NAMED = {"backbone": "trihash", "fusion": "attention_channel"}
"""What portraits of ER-NeRF's head said while its ablations were sizes of it."""


def _split(facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = facts.get("kind", "er_nerf")
    said = _ONCE_NAMED if kind == "er_nerf" else {}
    sizes = {name: value for name, value in facts.items() if name != "kind" and said.get(name) != value}
    return kind, sizes
