"""The published figures: ER-NeRF's Tables 1, 2, 4 and 5, as their rows are called in `loquent.comparison.systems`.

Two tables more have no published figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Published:
    """A row of ER-NeRF's tables: means over its four videos of about 6500 frames."""

    psnr_db: float
    """PSNR of the whole picture."""
    lpips: float
    """LPIPS."""
    lmd_px: float
    """Landmark distance; of another detector than ours."""


@dataclass(frozen=True)
class PublishedSync:
    """A row of ER-NeRF's Table 2: a model of Obama driven by the sound of two demo films, testset A and testset B."""

    sync: tuple[float, float]
    """SyncNet's confidence."""
    lmd_px: tuple[float, float]
    """Landmark distance to the demo films' own faces."""


TABLES: Mapping[str, Mapping[str, Published | None]] = MappingProxyType(
    {
        "Table 1: systems": {
            "ad_nerf": Published(30.75, 0.1034, 3.345),
            "rad_nerf": Published(33.13, 0.0519, 2.812),
            "er_nerf": Published(33.10, 0.0291, 2.740),
        },
        "Table 4: representation and attention": {
            "mlp_concat": Published(30.75, 0.103, 3.345),
            "planes_concat": Published(32.11, 0.033, 2.960),
            "planes_attention": Published(33.14, 0.030, 2.825),
            "grid_concat": Published(33.05, 0.031, 2.919),
            "grid_attention": Published(33.12, 0.030, 2.810),
            "hash_concat": Published(33.25, 0.029, 2.881),
            "er_nerf": Published(33.10, 0.029, 2.740),
        },
        "Table 5: kind of attention": {
            "feature_attention": Published(33.14, 0.030, 2.781),
            "er_nerf": Published(33.10, 0.029, 2.740),
        },
        "Lips learned with the field, from the sound itself, as in the paper; the same fields above by way of the preset": {
            "er_nerf_joint": None,
            "hash_concat_joint": None,
        },
        "R2-Talker: landmarks as the condition": {
            "geneface": None,
            "r2_talker_at_once": None,
            "r2_talker": None,
        },
    }
)
"""The tables of ER-NeRF's paper, R2-Talker's, and one of ours: which systems each has, and what was published of them."""

TABLE_2: Mapping[str, PublishedSync] = MappingProxyType(
    {
        "ad_nerf": PublishedSync((5.195, 4.316), (6.192, 8.006)),
        "rad_nerf": PublishedSync((6.186, 6.680), (6.357, 8.332)),
        "er_nerf": PublishedSync((6.242, 6.830), (6.254, 8.150)),
    }
)
"""What was published of the systems that the paper drives by another sound; its ground truth has Sync 6.701 and 7.309."""

WHAT_DIFFERS = (
    "The published figures are means over four videos of about 6500 frames each, every system trained for hours on a GPU with "
    "DeepSpeech features and LPIPS in the loss, landmarks by another detector. Compare the order of rows, not the numbers."
)
