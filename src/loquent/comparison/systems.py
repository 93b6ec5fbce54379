"""The systems that can be compared: a preset of each, made of the one that all are trained by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from loquent.training import presets
from loquent.training.presets import Preset


@dataclass(frozen=True)
class System:
    """A head that can be compared."""

    title: str
    """What the tables call it."""
    preset: Callable[[Preset], Preset]
    """From how all are trained to how it is: its field, what moves its lips, and what else it cannot do without."""


def _field(kind: str, **sizes: Any) -> Callable[[Preset], Preset]:
    """The same training with another field, of this kind and these sizes (`loquent.fields.kinds.make_head`)."""
    return lambda preset: replace(preset, method={"kind": kind, **sizes})


def _concatenated_joint(preset: Preset) -> Preset:
    return replace(presets.er_nerf_joint(preset), method={"kind": "er_nerf_concat"})


SYSTEMS: Mapping[str, System] = MappingProxyType(
    {
        "er_nerf": System("ER-NeRF: hashed planes, channel attention", _field("er_nerf")),
        "rad_nerf": System("RAD-NeRF", presets.rad_nerf),
        "mlp_concat": System("MLP, concatenated", _field("er_nerf_concat", backbone="mlp")),
        "planes_concat": System("planes, concatenated", _field("er_nerf_concat", backbone="dense_triplane")),
        "planes_attention": System("planes, attention", _field("er_nerf_backbone", backbone="dense_triplane")),
        "grid_concat": System("3-D grid, concatenated", _field("er_nerf_concat", backbone="grid3d")),
        "grid_attention": System("3-D grid, attention", _field("er_nerf_backbone", backbone="grid3d")),
        "hash_concat": System("hashed planes, concatenated", _field("er_nerf_concat")),
        "feature_attention": System("hashed planes, feature attention", _field("er_nerf_feature_attention")),
        "er_nerf_joint": System("ER-NeRF, sound straight in", presets.er_nerf_joint),
        "hash_concat_joint": System("hashed planes, concatenated, sound straight in", _concatenated_joint),
        "r2_talker": System("R2-Talker", presets.r2_talker),
        "r2_talker_at_once": System("R2-Talker, not progressive", presets.r2_talker_at_once),
        "geneface": System("GeneFace + instant-NGP", presets.geneface),
        "ad_nerf": System("AD-NeRF", presets.ad_nerf),
    }
)
"""Every system by the name its files get."""

ON_REQUEST = ("ad_nerf", "er_nerf_joint", "hash_concat_joint")
"""Systems that are compared only where they are named: AD-NeRF takes minutes a picture on a CPU, and the two that hear the
sound themselves answer a question of ours, which does not arise under the preset `paper`, where all do."""

BY_DEFAULT = tuple(name for name in SYSTEMS if name not in ON_REQUEST)
"""The others."""
