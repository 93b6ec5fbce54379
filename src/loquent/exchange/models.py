"""From the tensors of a checkpoint to our fields: how each program names its weights, and which sizes their shapes tell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Bool
from torch import Tensor

from loquent.errors import InputError
from loquent.exchange.checkpoint import Checkpoint
from loquent.fields.er_nerf import ErNerfConfig, ErNerfHead
from loquent.fields.head import HeadField
from loquent.fields.plane_torso import PlaneTorso
from loquent.fields.r2_talker import R2TalkerConfig, R2TalkerHead
from loquent.fields.rad_nerf import RadNerfConfig, RadNerfHead
from loquent.fields.rad_torso import RadNerfTorso, RadNerfTorsoConfig
from loquent.fields.torso import ErNerfTorso, ErNerfTorsoConfig
from loquent.nn.landmarks import LANDMARK_WINDOW
from loquent.ops.grid_encode import GridLayout
from loquent.rendering.cells import from_morton, unpack_bits
from loquent.rendering.occupancy import CELLS
from loquent.rendering.torso import TorsoOccupancy

_AUDIO = {
    "audio_net.encoder_conv": "condition_encoder.net.convolutions",
    "audio_net.encoder_fc1": "condition_encoder.net.head",
    "audio_att_net.attentionConvNet": "condition_encoder.attention.convolutions",
    "audio_att_net.attentionNet.0": "condition_encoder.attention.head",
}
_DENSITY_AND_COLOUR = {"sigma_net.net": "density_net.layers", "color_net.net": "colour_net.layers"}
_ER_NERF = {
    **_AUDIO,
    **_DENSITY_AND_COLOUR,
    "eye_att_net.net": "eye_attention.layers",
    "unc_net.net": "uncertainty_net.layers",
    "aud_ch_att_net.net": "audio_attention.layers",
}
_RAD_NERF = {
    **_AUDIO,
    **_DENSITY_AND_COLOUR,
    "encoder.embeddings": "grid.table",
    "encoder_ambient.embeddings": "ambient_grid.table",
    "ambient_net.net": "ambient_net.layers",
}
_R2_TALKER = {
    **_DENSITY_AND_COLOUR,
    "encoder.embeddings": "grid.table",
    "encoder_idexp_lm3d.embeddings": "landmark_encoder.grid.table",
    "mlp_lms_style_1.net": "style_nets.0.layers",
    "mlp_lms_style_2.net": "style_nets.1.layers",
}
_TORSO = {
    "torso_encoder.embeddings": "grid.table",
    "torso_deform_net.net": "deform_net.layers",
    "torso_net.net": "torso_net.layers",
    "anchor_points": "anchors",
}
Field = TypeVar("Field", HeadField, PlaneTorso)

_PLANES = ("encoder_xy", "encoder_yz", "encoder_xz")
_HUBERT_WIDTH = 1024
_GENEFACE_WIDTH = 204
"""Audio width of R2-Talker's other method, RAD-NeRF's field moved by 68 landmarks."""


@dataclass(frozen=True)
class Model:
    """What a checkpoint becomes."""

    head: HeadField
    """With one appearance code, the one the originals test with."""
    torso: PlaneTorso | None
    """Likewise; None in files of the head's stages."""
    occupied: Bool[Tensor, "cells cells cells"]
    """The stored bit field, not thresholded again: torso files hold no density to compare with (SPEC 2.5)."""
    torso_occupancy: TorsoOccupancy
    """Empty where there is no torso."""


def read_model(checkpoint: Checkpoint) -> Model:
    """The fields of a checkpoint, of whichever program.

    Raises:
        InputError: it is no such model, or one with options that Loquent does not have.
    """
    bound = float(checkpoint.take("aabb_infer")[3])
    if bound != 1.0:
        raise InputError(f"{checkpoint.path} was trained with --bound {bound:g}; Loquent reads models of bound 1.")
    make_head, make_torso = _PROGRAMS[_program_of(checkpoint)]
    head = make_head(checkpoint)
    torso, occupancy = None, TorsoOccupancy()
    occupancy.alpha.zero_()
    if "torso_encoder.embeddings" in checkpoint.tensors:
        torso = make_torso(checkpoint)
        stored = checkpoint.take("density_grid_torso")
        if stored.numel() != occupancy.alpha.numel():
            raise InputError(
                f"{checkpoint.path} holds a torso occupancy of {stored.numel()} cells; 128 x 128 are wanted."
            )
        occupancy.alpha.copy_(stored.reshape(occupancy.alpha.shape).t())  # stored [column, row] (SPEC 3.1)
    return Model(head, torso, _occupied(checkpoint), occupancy)


def _program_of(checkpoint: Checkpoint) -> str:
    for program, sign in (
        ("er_nerf", "encoder_xy.embeddings"),
        ("r2_talker", "encoder_idexp_lm3d.embeddings"),
        ("rad_nerf", "encoder_ambient.embeddings"),
    ):
        if sign in checkpoint.tensors:
            return program
    raise InputError(
        f"{checkpoint.path} is a model of another kind: it holds the grids of none of ER-NeRF, RAD-NeRF and R2-Talker."
    )


def _er_nerf_head(checkpoint: Checkpoint) -> HeadField:
    config = ErNerfConfig(
        audio_width_in=_audio_width(checkpoint),
        audio_steps=_audio_steps(checkpoint),
        condition_width=len(checkpoint.take("aud_ch_att_net.net.1.weight")),
        levels=_levels(checkpoint, "encoder_xy"),
        n_codes=1,
        code_width=_code_width(checkpoint, "individual_codes"),
    )
    for plane in _PLANES:
        _check_layout(checkpoint, plane, config.planes)
    head = ErNerfHead(config)
    state = checkpoint.renamed(_ER_NERF)
    state["planes.tables"] = torch.stack([checkpoint.take(f"{plane}.embeddings") for plane in _PLANES])
    if not any(name.startswith("uncertainty_net") for name in state):
        # Trained without the uncertainty term: nothing in a picture depends on it.
        state |= {f"uncertainty_net.{k}": torch.zeros_like(v) for k, v in head.uncertainty_net.state_dict().items()}
    return _filled(head, state, checkpoint, "individual_codes")


def _rad_nerf_head(checkpoint: Checkpoint) -> HeadField:
    if _audio_width(checkpoint) == _GENEFACE_WIDTH:
        raise InputError(
            f"{checkpoint.path} was trained with R2-Talker's --method genefaceDagger, whose audio net listens to landmarks; "
            "Loquent reads its methods r2talker and rad-nerf."
        )
    config = RadNerfConfig(
        audio_width_in=_audio_width(checkpoint),
        audio_steps=_audio_steps(checkpoint),
        condition_width=len(checkpoint.take("audio_net.encoder_fc1.2.weight")),
        has_eye=checkpoint.take("sigma_net.net.0.weight").shape[1] > 64,
        levels=_levels(checkpoint, "encoder"),
        n_codes=1,
        code_width=_code_width(checkpoint, "individual_codes"),
    )
    _check_layout(checkpoint, "encoder", config.layout(3))
    _check_layout(checkpoint, "encoder_ambient", config.layout(2))
    return _filled(RadNerfHead(config), checkpoint.renamed(_RAD_NERF), checkpoint, "individual_codes")


def _r2_talker_head(checkpoint: Checkpoint) -> HeadField:
    levels, features = _levels(checkpoint, "encoder"), checkpoint.take("encoder.embeddings").shape[1]
    n_inputs = checkpoint.take("mlp_lms_style_1.net.0.weight").shape[1]
    config = R2TalkerConfig(
        n_landmarks=n_inputs // (LANDMARK_WINDOW * 2 * levels),
        window=LANDMARK_WINDOW,
        has_eye=checkpoint.take("sigma_net.net.0.weight").shape[1] > levels * features,
        levels=levels,
        features=features,
        n_codes=1,
        code_width=_code_width(checkpoint, "individual_codes"),
    )
    _check_layout(checkpoint, "encoder", config.space)
    _check_layout(checkpoint, "encoder_idexp_lm3d", config.landmarks)
    return _filled(R2TalkerHead(config), checkpoint.renamed(_R2_TALKER), checkpoint, "individual_codes")


def _er_nerf_torso(checkpoint: Checkpoint) -> PlaneTorso:
    config = ErNerfTorsoConfig(
        levels=_levels(checkpoint, "torso_encoder"),
        n_codes=1,
        code_width=_code_width(checkpoint, "individual_codes_torso"),
    )
    return _torso(ErNerfTorso(config), checkpoint)


def _rad_nerf_torso(checkpoint: Checkpoint) -> PlaneTorso:
    config = RadNerfTorsoConfig(
        levels=_levels(checkpoint, "torso_encoder"),
        n_codes=1,
        code_width=_code_width(checkpoint, "individual_codes_torso"),
    )
    return _torso(RadNerfTorso(config), checkpoint)


_PROGRAMS: Mapping[str, tuple[Callable[[Checkpoint], HeadField], Callable[[Checkpoint], PlaneTorso]]] = {
    "er_nerf": (_er_nerf_head, _er_nerf_torso),
    "rad_nerf": (_rad_nerf_head, _rad_nerf_torso),
    "r2_talker": (_r2_talker_head, _rad_nerf_torso),
}
"""Readers of head and torso of each program."""


def _torso(torso: PlaneTorso, checkpoint: Checkpoint) -> PlaneTorso:
    _check_layout(checkpoint, "torso_encoder", torso.config.grid)
    return _filled(torso, checkpoint.renamed(_TORSO), checkpoint, "individual_codes_torso")


def _filled(field: Field, state: dict[str, Tensor], checkpoint: Checkpoint, codes: str) -> Field:
    state["codes"] = checkpoint.take(codes)[:1]  # new frames are rendered with the first frame's (SPEC 2.4)
    try:
        field.load_state_dict(state)
    except RuntimeError as cause:
        reason = " ".join(str(cause).split()).partition(": ")[2]
        raise InputError(
            f"{checkpoint.path} does not fit the released {field.kind}: {reason[:300]} It was trained with options or a "
            "version that Loquent does not know."
        ) from cause
    return field.requires_grad_(False).eval()


def _audio_width(checkpoint: Checkpoint) -> int:
    return checkpoint.take("audio_net.encoder_conv.0.weight").shape[1]


def _audio_steps(checkpoint: Checkpoint) -> int:
    """HuBERT's features are not cut into windows: a frame has its own two steps (SPEC 1.6)."""
    return 2 if _audio_width(checkpoint) == _HUBERT_WIDTH else 16


def _levels(checkpoint: Checkpoint, encoder: str) -> int:
    return len(checkpoint.take(f"{encoder}.offsets")) - 1


def _code_width(checkpoint: Checkpoint, codes: str) -> int:
    return checkpoint.take(codes).shape[1]


def _check_layout(checkpoint: Checkpoint, encoder: str, layout: GridLayout) -> None:
    """The stored offsets say how large each level is: they must be those of the resolutions that the program fixes."""
    stored = checkpoint.take(f"{encoder}.offsets").tolist()
    if stored != list(layout.offsets):
        raise InputError(
            f"{checkpoint.path}: the levels of {encoder} start at {stored[:4]} …, not at {list(layout.offsets[:4])} …: it has "
            "other resolutions than the released program."
        )


def _occupied(checkpoint: Checkpoint) -> Bool[Tensor, "cells cells cells"]:
    bits = checkpoint.take("density_bitfield")
    if bits.dtype != torch.uint8 or bits.numel() * 8 != CELLS**3:
        raise InputError(
            f"{checkpoint.path} holds an occupancy of {bits.numel() * 8} cells; {CELLS}³ are wanted (--bound 1)."
        )
    return from_morton(unpack_bits(bits), CELLS)
