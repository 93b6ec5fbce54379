"""The surface of the head that the density alone describes, without sound and under several (ER-NeRF, Figure 3)."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from loquent.data.clip import Clip
from loquent.errors import DependencyError, InputError
from loquent.figures.panels import Panels, scale
from loquent.figures.subject import Moments, Subject, time_label
from loquent.figures.trace import Traced, trace_surface
from loquent.geometry.cameras import VOLUME_UNITS_PER_METRE
from loquent.geometry.rotations import head_angles_deg
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.speech.kinds import extract

_MM_PER_UNIT = 1000 / VOLUME_UNITS_PER_METRE
_SMOOTH_SHARE = 1 / 260
"""Radius over which normals are smoothed, as a share of the picture's width: the samples' steps would show otherwise."""
_LIGHT = np.array([0.45, 0.8, -0.4])
_SILENCE_S = 2.0
_RANGES_MM = (2.0, 5.0, 10.0, 20.0, 50.0)
"""Ends that the scale of distances may have: the first that the far greater part of the head stays within."""
_MARGIN = 0.06


def draw_surfaces(subjects: Sequence[Subject], clip: Clip, moments: Moments) -> tuple[Panels, list[str]]:
    """Shaded surfaces under different sounds, and how far the lips' surface moves between two of them."""
    pose = _most_frontal(clip)
    rows: list[dict[str, Traced]] = []
    notes: list[str] = []
    for subject in subjects:
        sounds = {
            "no sound": torch.zeros_like(subject.conditions[0]),
            "silence": _silence(subject, notes),
            "closed": subject.conditions[moments.lips_closed],
            "open": subject.conditions[moments.lips_open],
        }
        rows.append(
            {
                name: trace_surface(subject.portrait, pose, condition, subject.eyes_at_rest(clip))
                for name, condition in sounds.items()
                if condition is not None
            }
        )
    centre = pose[:3, 3].double().numpy()
    moved = [_forward_mm(traced["closed"], traced["open"], centre) for traced in rows]
    top, bottom, left, right = _head_box([seen for row in rows for seen in row.values()])
    window = (slice(top, bottom), slice(left, right))
    caption = (
        "Surface that the density alone describes: mean place where each ray's light ends, lit from one side, eyes at rest. "
        "No sound: the condition is zero. Silence: the portrait hears two seconds of digital silence. Lips closed and "
        f"open: the sound of the held-out frames of {clip.info.name} in which the real lips are closest and farthest. Right: "
        "how far the last two surfaces lie apart, positive where the surface comes forward as the lips open."
    )
    panels = Panels(5, [(bottom - top) / (right - left)] * len(rows), caption=caption, has_scales=True, width_in=2.0)
    far = max((float(np.nanpercentile(np.abs(mm), 95)) for mm in moved if np.isfinite(mm).any()), default=0.0)
    end = next((end for end in _RANGES_MM if end >= far), _RANGES_MM[-1])
    colours = scale(-end, end, matplotlib.colormaps["RdBu_r"])
    for row, (subject, traced) in enumerate(zip(subjects, rows, strict=True)):
        panels.name_row(row, subject.name)
        for column, name in enumerate(("no sound", "silence", "closed", "open")):
            if name in traced:
                panels.show(row, column, shaded(traced[name], centre)[window])
        panels.show(row, 4, np.where(np.isfinite(moved[row])[..., None], colours.to_rgba(moved[row]), 1.0)[window])
    panels.name_column(0, "no sound")
    panels.name_column(1, "silence")
    panels.name_column(2, f"lips closed, {time_label(clip, moments.lips_closed)}")
    panels.name_column(3, f"lips open, {time_label(clip, moments.lips_open)}")
    panels.name_column(4, "open against closed")
    panels.add_scale(4, colours, "forward (mm)")
    return panels, notes


def shaded(
    seen: Traced, camera_centre: Float[np.ndarray, "3"], *, smooth_px: float | None = None
) -> Float[np.ndarray, "height width 3"]:
    """A traced surface as grey plaster in [0, 1], white where there is no head.

    Args:
        seen: of :func:`loquent.figures.trace.trace_surface`.
        camera_centre: in the volume frame; normals point towards it.
        smooth_px: standard deviation of the Gaussian that points are averaged with; nothing = what suits the picture's size.
    """
    inside = seen.is_head
    sigma = inside.shape[1] * _SMOOTH_SHARE if smooth_px is None else smooth_px
    share = gaussian_filter(inside.astype(float), sigma)
    points = (
        np.stack(
            [gaussian_filter(np.where(inside, axis, 0.0), sigma) for axis in seen.surface.transpose(2, 0, 1)], axis=-1
        )
        / np.maximum(share, 1e-9)[..., None]
    )
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    faces_away = ((camera_centre - points) * normals).sum(axis=-1) < 0
    normals[faces_away] *= -1
    light = np.clip(normals @ (_LIGHT / np.linalg.norm(_LIGHT)), 0, 1)
    return np.repeat(np.where(inside, 0.24 + 0.74 * light, 1.0)[..., None], 3, axis=-1)


def _forward_mm(
    before: Traced, after: Traced, camera_centre: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "height width"]:
    """How much nearer to the camera the surface lies `after`, in mm; NaN where either shows no head."""
    near, far = (np.linalg.norm(seen.surface - camera_centre, axis=-1) for seen in (after, before))
    return np.where(before.is_head & after.is_head, (far - near) * _MM_PER_UNIT, np.nan)


def _silence(subject: Subject, notes: list[str]) -> Float[Tensor, "condition_width"] | None:
    """The condition in the middle of silence; nothing, and a sentence more in `notes`, where it cannot be had."""
    waveform = np.zeros(round(_SILENCE_S * SAMPLE_RATE_HZ), np.float32)
    try:
        features = extract(subject.portrait.speech_kind, waveform, SAMPLE_RATE_HZ)
        return subject.portrait.conditions(features, torch.tensor([round(_SILENCE_S / 2 * FPS)]))[0]
    except (DependencyError, InputError) as cause:
        notes.append(f"{subject.name}: no surface under silence, since its features cannot be computed here ({cause})")
        return None


def _most_frontal(clip: Clip) -> Float[Tensor, "4 4"]:
    """The pose of the usable frame in which the head is held most nearly straight."""
    poses = clip.track.world_from_camera
    return poses[int(np.abs(head_angles_deg(poses.double().numpy())).sum(axis=1).argmin())]


def _head_box(traced: Sequence[Traced]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what any of them shows, with a margin; the whole picture where there is no head."""
    inside = np.any([seen.is_head for seen in traced], axis=0)
    height, width = inside.shape
    if not inside.any():
        return 0, height, 0, width
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    room = round(_MARGIN * width)
    return (
        max(int(rows[0]) - room, 0),
        min(int(rows[-1]) + room + 1, height),
        max(int(columns[0]) - room, 0),
        min(int(columns[-1]) + room + 1, width),
    )
