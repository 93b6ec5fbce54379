"""What a training run is told, as frozen values. `paper` follows the ER-NeRF paper and code (SPEC 4); `quick` is ours.

`r2_talker` and `geneface` are the head of R2-Talker and what it is compared with, GeneFace on RAD-NeRF's grids, trained as
`quick` is: faces that 3-D landmarks move (SPEC 7). `rad_nerf` and `ad_nerf` are head and torso of those methods (SPEC 6.1,
6.2). A method that needs more than its field is a function from any preset to its own, so that `compare` can train it with
the schedule of the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from loquent.data.sampling import RegionMix
from loquent.errors import InputError
from loquent.face.canonical_landmarks import PointSet, Scale


@dataclass(frozen=True)
class HeadLossWeights:
    """Weights of the head's loss terms; 0 leaves a term out."""

    entropy: float = 1e-4
    """Binary entropy of the opacity: a ray either hits the head or does not (SPEC 4.2)."""
    ambient: float = 1e-4
    """Audio and eye attention outside the face (SPEC 4.2)."""
    uncertainty: float = 0.0
    """1 = the authors' uncertainty-weighted error (SPEC 4.2); 0 = plain squared error."""
    jitter: float = 0.0
    """Smoothness of attention and uncertainty under small displacements, every 16th step (SPEC 4.2)."""
    distortion: float = 0.0
    """Concentrates each ray's weight (Mip-NeRF 360, eq. 15)."""
    matte: float = 0.0
    """Squared difference between opacity and the head matte at the start; falls to a tenth."""
    structure: float = 0.0
    """Structural dissimilarity of patches: a perceptual term that needs no downloaded network."""


@dataclass(frozen=True)
class HeadStageConfig:
    """One stage of training the head."""

    name: str
    """Shown in progress and kept in checkpoints."""
    share: float
    """Share of the run's time; used when the run has a time budget."""
    steps: int
    """Steps; used when the run has none."""
    rays: int
    """Rays a step, or those of the first step where `samples` is given."""
    frames: int
    """Different frames a step."""
    mix: RegionMix
    """Where rays fall."""
    weights: HeadLossWeights
    """Weights of the loss terms."""
    lr_grid: float
    """Learning rate of the tri-plane tables."""
    lr_net: float
    """Learning rate of the networks."""
    lr_start: float = 1.0
    """Factor on both learning rates at the start of the stage ..."""
    lr_end: float = 0.1
    """... and at its end; exponential in between."""
    samples: int = 0
    """Samples a step: the number of rays follows how many samples a ray has; 0 = always `rays` rays."""
    patch: int = 0
    """Side of the patches in pixels that replace single rays; 0 = single rays."""
    closed_eyes: float = 0.0
    """Share of the frames drawn that show closed eyes, where the clip has fewer, though none is drawn more than six times as
    often as another; with single rays, eyes and mouth change places in their `mix` (ours: a blink is over in a few frames, and
    a short training would leave the eyes open). 0 = as often as they are."""
    eye_noise: float = 0.05
    """Half width of the uniform noise on the eye condition (SPEC 1.5)."""
    predicted: float = 0.0
    """Share of frames whose expression, but for the opening, is predicted from the sound, by a predictor that never saw them,
    instead of tracked: so the field learns what to show when only sound speaks
    (`loquent.training.lips.LipFit.with_tracked_opening`)."""
    condition_noise: float = 0.0
    """Standard deviation of noise on expression coefficients or landmarks, in their own units."""


@dataclass(frozen=True)
class TorsoStageConfig:
    """The stage that trains the torso."""

    share: float
    """Share of the run's time; used when the run has a time budget."""
    steps: int
    """Steps; used when the run has none."""
    pixels: int
    """Pixels a step."""
    frames: int
    """Different frames a step."""
    lr_grid: float = 1e-2
    """Learning rate of the table."""
    lr_net: float = 1e-3
    """Learning rate of the networks, anchors and codes."""
    lr_end: float = 0.5
    """Factor on both at the end; exponential from 1."""
    matte: float = 0.0
    """Weight of the squared difference between alpha and the torso matte: without it, alpha and colour share the blame
    for every background pixel, and a short training leaves a haze there."""


@dataclass(frozen=True)
class Preset:
    """A whole run."""

    name: str
    """What `--preset` calls it."""
    condition: Literal["audio", "expression", "landmarks"]
    """What moves the lips while training: the sound itself (the paper), the tracked expression, which a predictor then learns
    from the sound (ours), or tracked landmarks (R2-Talker)."""
    head: tuple[HeadStageConfig, ...]
    """The head's stages, in order."""
    torso: TorsoStageConfig | None
    """The torso's stage, trained last; None = a head alone, for comparisons of heads."""
    method: Mapping[str, Any] = field(default_factory=lambda: {"kind": "er_nerf"})
    """Kind of the head's field and sizes that differ from its released ones, for `loquent.fields.kinds.make_head`. ER-NeRF's
    released model has 12 `levels` a plane, the paper's text says 14."""
    torso_method: Mapping[str, Any] = field(default_factory=lambda: {"kind": "er_nerf"})
    """Kind of the torso's field and sizes that differ from its released ones, for `loquent.fields.kinds.make_torso`."""
    brows: bool = False
    """Whether the head is told how high the brows are (ours), beside how far the eyes are closed (the paper)."""
    landmarks: PointSet = "68"
    """Which of the clip's landmarks (condition "landmarks")."""
    landmark_scale: Scale = "one"
    """One unit for all of their coordinates, as R2-Talker has, or one for each, as GeneFace."""
    landmarks_have_eyes: bool = True
    """Whether the clip's landmarks move eyes and brows, too (the paper). No sound tells how: a head that is told of both beside
    the landmarks had better not expect it of these, or the eyes of a film stay open through every blink."""
    coarse_to_fine: float = 0.0
    """Share of the head's training over which finer and finer levels of its grid come in; 0 = all from the start (SPEC 7.4)."""
    occupancy: Literal["density", "visibility"] = "density"
    """What marks a cell worth sampling: its density (the paper), or the weight it ever had in a pixel (ours)."""
    max_samples: int = 16
    """Most samples of a ray."""
    betas: tuple[float, float] = (0.0, 0.99)
    """AdamW's decay rates; the paper's code uses no momentum (SPEC 4.3)."""
    averaging: float = 0.0
    """Decay per step of the averaged weights that the portrait keeps; 0 = the raw weights, as the released models."""
    mean_code: bool = False
    """Render new frames with the mean appearance code instead of the first frame's, as the released models do."""
    torso_follows: bool = False
    """Take out of the torso's motion what a linear map from head pose predicts (`fields/torso_follow.py`)."""
    max_frames: int = 100_000
    """Keep at most this many training frames in memory, evenly spread."""
    minutes: float = 0.0
    """Time budget; 0 = count steps."""


_PAPER_MIX = RegionMix(head=0.0, mouth=0.0, eyes=0.0, edge=0.0)
_PAPER_COARSE = HeadStageConfig(
    name="head",
    share=0.7,
    steps=100_000,
    rays=65_536,
    frames=1,
    mix=_PAPER_MIX,
    weights=HeadLossWeights(uncertainty=1.0, jitter=1e-5),
    lr_grid=1e-2,
    lr_net=1e-3,
    lr_end=0.5,
)
_PAPER_FINE = HeadStageConfig(
    name="head-fine",
    share=0.1,
    steps=25_000,
    rays=65_536,
    frames=1,
    mix=_PAPER_MIX,
    weights=HeadLossWeights(structure=0.1),
    lr_grid=1e-2,
    lr_net=1e-3,
    lr_start=0.087,
    lr_end=0.05,
    patch=32,
)
PAPER = Preset(
    name="paper",
    condition="audio",
    head=(_PAPER_COARSE, _PAPER_FINE),
    torso=TorsoStageConfig(share=0.2, steps=200_000, pixels=65_536, frames=1),
)

_QUICK_MIX = RegionMix(head=0.50, mouth=0.18, eyes=0.06, edge=0.16)
_QUICK_HEAD = HeadStageConfig(
    name="head",
    share=0.76,
    steps=5_000,
    rays=512,
    samples=16_384,
    frames=4,
    mix=_QUICK_MIX,
    weights=HeadLossWeights(distortion=3e-4, matte=0.02),
    lr_grid=3e-2,
    lr_net=6e-3,
    lr_end=0.1,
    closed_eyes=0.2,
    predicted=0.25,
    condition_noise=0.1,
)
_QUICK_FINE = HeadStageConfig(
    name="head-fine",
    share=0.08,
    steps=400,
    rays=4_096,
    frames=4,
    mix=_QUICK_MIX,
    weights=HeadLossWeights(distortion=3e-4, matte=0.002, structure=0.005),
    lr_grid=3e-2,
    lr_net=6e-3,
    lr_start=0.1,
    lr_end=0.02,
    patch=32,
    closed_eyes=0.2,
    predicted=0.5,
    condition_noise=0.1,
)
QUICK = Preset(
    name="quick",
    condition="expression",
    head=(_QUICK_HEAD, _QUICK_FINE),
    torso=TorsoStageConfig(
        share=0.16, steps=2_500, pixels=4_096, frames=8, lr_grid=3e-2, lr_net=6e-3, lr_end=0.05, matte=0.1
    ),
    torso_method={"kind": "er_nerf", "code_width": 0},
    brows=True,
    occupancy="visibility",
    max_samples=64,
    betas=(0.9, 0.99),
    averaging=0.99,
    mean_code=True,
    torso_follows=True,
    max_frames=2_400,
    minutes=8.0,
)

_LANDMARK_NOISE = 0.03
"""Of the landmarks' range: about as much as the detector's own from frame to frame. Levels of the landmarks' grid that are
finer than it tell training frames apart by that noise, and say nothing of other frames: hence `landmark_finest` below."""
_AD_NERF_RATE, _AD_NERF_RAYS = 5e-4, 64
"""The original draws 2048 rays for 400 000 steps, and for the torso 1024 for 300 000."""
_AD_NERF_MATTE = 0.1


def er_nerf_joint(base: Preset) -> Preset:
    """ER-NeRF with the paper's way from sound to lips, otherwise trained as `base` says: sound goes straight into the field,
    whose audio net learns along with it (SPEC 2.3).
    """
    head = tuple(replace(stage, predicted=0.0, condition_noise=0.0) for stage in base.head)
    return replace(base, condition="audio", head=head, method={"kind": "er_nerf"})


def r2_talker(base: Preset) -> Preset:
    """R2-Talker's head, trained as `base` says."""
    return replace(
        base,
        name="r2_talker",
        condition="landmarks",
        head=tuple(replace(stage, predicted=0.0, condition_noise=_LANDMARK_NOISE) for stage in base.head),
        method={"kind": "r2_talker", "has_eye": True, "landmark_finest": 64},
        landmarks_have_eyes=not base.brows,
        coarse_to_fine=0.25,
    )


def r2_talker_at_once(base: Preset) -> Preset:
    """The same, without progressive optimisation."""
    return replace(r2_talker(base), name="r2_talker_at_once", coarse_to_fine=0.0)


def geneface(base: Preset) -> Preset:
    """What the R2-Talker paper calls GeneFace on instant-NGP."""
    return replace(r2_talker_at_once(base), name="geneface", method={"kind": "rad_nerf"}, landmark_scale="each")


def rad_nerf(base: Preset) -> Preset:
    """RAD-NeRF's head and torso, trained as `base` says."""
    return replace(base, name="rad_nerf", method={"kind": "rad_nerf"}, torso_method={"kind": "rad_nerf"})


def ad_nerf(base: Preset) -> Preset:
    """AD-NeRF's head and torso, trained as `base` says, but each in a single stage of few rays and at the rate of SPEC 6.2.

    Its deep networks are asked some hundred times a ray: in a given time, few rays a step learn more than many, and patches,
    which the original has neither, would take minutes each. The torso is always told where it is: by colours alone it first
    gives way everywhere, and a density that fell below zero does not come back.
    """
    first = base.head[0]
    stage = replace(
        first,
        share=sum(stage.share for stage in base.head),
        steps=sum(stage.steps for stage in base.head),
        rays=_AD_NERF_RAYS,
        samples=0,
        closed_eyes=0.0,  # this head is not told of the eyes
        lr_grid=_AD_NERF_RATE,
        lr_net=_AD_NERF_RATE,
    )
    torso = base.torso and replace(base.torso, pixels=_AD_NERF_RAYS, lr_net=_AD_NERF_RATE, matte=_AD_NERF_MATTE)
    kind = {"kind": "ad_nerf"}
    return replace(base, name="ad_nerf", head=(stage,), torso=torso, method=kind, torso_method=kind)


R2_TALKER = r2_talker(QUICK)
R2_TALKER_AT_ONCE = r2_talker_at_once(QUICK)
R2_TALKER_DENSE = replace(R2_TALKER, name="r2_talker_dense", landmarks="dense", landmarks_have_eyes=True)
"""The skin around eyes and brows moves with them and is not told apart here."""
GENEFACE = geneface(QUICK)
RAD_NERF = rad_nerf(QUICK)
AD_NERF = ad_nerf(QUICK)

PRESETS = {
    preset.name: preset
    for preset in (QUICK, PAPER, R2_TALKER, R2_TALKER_AT_ONCE, R2_TALKER_DENSE, GENEFACE, RAD_NERF, AD_NERF)
}


def preset_called(name: str) -> Preset:
    """The preset of that name.

    Raises:
        InputError: there is none.
    """
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}. There is: {', '.join(PRESETS)}.")
    return PRESETS[name]
