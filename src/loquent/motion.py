"""Head pose, blinks and brows while speaking: an endless path through the clip's own track, or a file the user edits.

A motion file has one row per moment (CSV with a header, or a JSON list of objects) and these columns:

    time_s         seconds from the start
    yaw_deg        turn of the head, positive towards the picture's right
    pitch_deg      nod, positive upwards
    roll_deg       tilt, positive clockwise in the picture
    right_cm       place of the head's centre right of the picture's centre line
    down_cm        ... below it
    distance_cm    ... from the camera
    blink          0 = eyes open, 1 = closed
    brows          0 = as low, 1 = as high as the person draws them

Rows in between are interpolated, so a few rows suffice.
"""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from loquent.errors import InputError
from loquent.geometry.cameras import VOLUME_UNITS_PER_METRE
from loquent.geometry.rotations import head_angles_deg, head_rotations
from loquent.storage import write_bytes
from loquent.tables import number, read_text, table_rows

COLUMNS = ("time_s", "yaw_deg", "pitch_deg", "roll_deg", "right_cm", "down_cm", "distance_cm", "blink", "brows")
BLEND_FRAMES = 16
"""Length of the cross-fade where the path leaves the end of the track and joins it earlier."""
LEAP_DEG, LEAP_CM = 10.0, 5.0
"""A head that turns or moves by more than this from one frame to the next did not: the film was cut there."""
_PAIRS_AT_ONCE = 1_000_000
"""Possible joints compared at once: 8 MB of costs, however long the track is."""
CM_PER_UNIT = 100 / VOLUME_UNITS_PER_METRE


@dataclass(frozen=True)
class Motion:
    """Pose, blink and brows of consecutive frames."""

    world_from_camera: Float[Tensor, "frames 4 4"]
    """Head pose in the volume frame."""
    eye: Float[Tensor, "frames eye_width"]
    """Eye condition: closure (0 = open, 1 = closed), and after it, if known, how high the brows are."""

    def __len__(self) -> int:
        return len(self.eye)


def dense_track(
    frame_ids: Int[Tensor, "frames"],
    world_from_camera: Float[Tensor, "frames 4 4"],
    eye: Float[Tensor, "frames eye_width"],
) -> Motion:
    """The clip's track without gaps: frames that were dropped are interpolated from their neighbours.

    Where more than BLEND_FRAMES are missing, or the head leaps as at a cut, it moves over in BLEND_FRAMES instead.
    """
    rotations, centres = _decompose(world_from_camera)
    apart = np.diff(frame_ids.numpy())
    turn_deg = np.degrees((rotations[:-1].inv() * rotations[1:]).magnitude()) / apart
    shift_cm = np.linalg.norm(np.diff(centres, axis=0), axis=1) * CM_PER_UNIT / apart
    is_leap = (turn_deg > LEAP_DEG) | (shift_cm > LEAP_CM)
    apart = np.where(is_leap | (apart > BLEND_FRAMES), BLEND_FRAMES, apart)
    times = np.concatenate([[0], np.cumsum(apart)]).astype(float)
    return _interpolated(times, world_from_camera, eye, np.arange(times[-1] + 1))


def endless(track: Motion, n_frames: int, seed: int = 0) -> Motion:
    """`n_frames` of natural motion from a finite track, with no visible joint.

    The track plays forwards, always, from a place that the seed draws. Near its end the path cross-fades to an earlier
    place where head and speed are alike; among the best joints one is drawn at random, so that a long film does not repeat
    itself exactly.
    """
    places = _path(track, n_frames, np.random.default_rng(seed))
    source, target, share = places.T
    if not share.any():
        chosen = torch.from_numpy(source.astype(int))
        return Motion(track.world_from_camera[chosen], track.eye[chosen])
    a, b = source.astype(int), target.astype(int)
    rotations, centres = _decompose(track.world_from_camera)
    turn = (rotations[a].inv() * rotations[b]).as_rotvec() * share[:, None]
    blended = _compose(
        rotations[a] * Rotation.from_rotvec(turn), centres[a] * (1 - share[:, None]) + centres[b] * share[:, None]
    )
    eye = track.eye.double().numpy()
    return Motion(blended, torch.from_numpy(eye[a] * (1 - share[:, None]) + eye[b] * share[:, None]).float())


def read_motion(path: Path, n_frames: int, fps: float) -> Motion:
    """Read a motion file and sample it at `n_frames` frames; the last row holds after its time.

    Raises:
        InputError: the file is missing, lacks a column, or holds something that is not a number in range.
    """
    rows = _read_rows(path)
    times = rows[:, 0]
    if (np.diff(times) <= 0).any():
        raise InputError(f"{path}: the column time_s must rise from row to row.")
    if ((rows[:, 7:] < 0) | (rows[:, 7:] > 1)).any():
        raise InputError(f"{path}: blink must lie between 0 (open) and 1 (closed), brows between 0 (low) and 1 (high).")
    if (rows[:, 6] <= 0).any():
        raise InputError(f"{path}: distance_cm must be positive.")
    poses = _poses_from_angles(rows[:, 1:4], rows[:, 4:7])
    wanted = np.clip(np.arange(n_frames) / fps, times[0], times[-1])
    return _interpolated(times, poses, torch.from_numpy(rows[:, 7:]).float(), wanted)


def write_motion(path: Path, motion: Motion, fps: float) -> None:
    """Write a motion file that :func:`read_motion` reads back: CSV, or JSON when the name ends in ``.json``.

    `motion` holds blinks and brows.
    """
    angles, places = _angles_from_poses(motion.world_from_camera)
    times = np.arange(len(motion)) / fps
    table = np.column_stack([times, angles, places, motion.eye.double().numpy()]).round(4)
    if path.suffix.lower() == ".json":
        content = json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in table.tolist()], indent=1)
    else:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(table.tolist())
        content = text.getvalue()
    write_bytes(path, content.encode())


def _path(track: Motion, n_frames: int, generator: np.random.Generator) -> Float[np.ndarray, "frames 3"]:
    """For each frame of the film: place on the track, place it fades to, share of the latter."""
    length = len(track)
    blend = min(BLEND_FRAMES, length // 3)
    # Wherever the film has room, and anywhere in the first half: from there joints lead on.
    at = int(generator.integers(max(length - n_frames, length // 2) + 1))
    if at + n_frames <= length or blend < 2:
        # A track too short for a joint holds its last frame.
        places = np.minimum(at + np.arange(n_frames), length - 1).astype(float)
        return np.column_stack([places, places, np.zeros(n_frames)])
    leaves, joins = _joints(track, blend)
    rows: list[tuple[float, float, float]] = []
    while len(rows) < n_frames:
        ahead = np.nonzero(leaves > at)[0]
        chosen = ahead[generator.integers(ahead.size)] if ahead.size else 0
        leave, join = int(leaves[chosen]), int(joins[chosen])
        rows += [(float(i), float(i), 0.0) for i in range(at, leave)]
        for k in range(blend):
            s = (k + 1) / (blend + 1)
            rows.append((float(leave + k), float(join + k), s * s * (3 - 2 * s)))
        at = join + blend
    return np.array(rows[:n_frames])


def _joints(track: Motion, blend: int, count: int = 6) -> tuple[Int[np.ndarray, "joints"], Int[np.ndarray, "joints"]]:
    """The best places to leave the last third of the track and to join its first half."""
    rotations, centres = _decompose(track.world_from_camera)
    state = np.concatenate([rotations.as_rotvec(), centres], axis=1)
    # Eyes weigh little, but a joint in mid-blink shows.
    signal = np.column_stack([state, 0.05 * track.eye[:, 0].double().numpy()])
    speed = np.gradient(signal, axis=0)
    feature = np.concatenate([signal, 8 * speed], axis=1)
    length = len(track)
    leaves = np.arange(max(length * 2 // 3, 1), length - blend + 1)
    joins = np.arange(0, max(length // 2 - blend, 1))
    # The cross-fade is symmetric, so compare the states at its middle.
    middle = blend // 2
    best = _closest_pairs(feature[leaves + middle - 1], feature[joins + middle], count * 20)[::20]
    return leaves[best[:, 0]], joins[best[:, 1]]


def _closest_pairs(
    ones: Float[np.ndarray, "ones features"], others: Float[np.ndarray, "others features"], count: int
) -> Int[np.ndarray, "pairs 2"]:
    """Rows of the `count` pairs that differ least, closest first, gathered over blocks of `ones`."""
    costs, pairs = np.zeros(0), np.zeros((0, 2), np.int64)
    block = max(1, _PAIRS_AT_ONCE // len(others))
    for first in range(0, len(ones), block):
        apart = cdist(ones[first : first + block], others)
        few = np.argpartition(apart, min(count, apart.size) - 1, axis=None)[:count]
        rows, columns = np.unravel_index(few, apart.shape)
        costs = np.concatenate([costs, apart[rows, columns]])
        pairs = np.concatenate([pairs, np.column_stack([first + rows, columns])])
        kept = np.argsort(costs, kind="stable")[:count]
        costs, pairs = costs[kept], pairs[kept]
    return pairs


def _interpolated(
    times: Float[np.ndarray, "rows"],
    world_from_camera: Float[Tensor, "rows 4 4"],
    eye: Float[Tensor, "rows eye_width"],
    wanted: Float[np.ndarray, "frames"],
) -> Motion:
    if times.size == 1:
        return Motion(
            world_from_camera.expand(wanted.size, 4, 4).float().contiguous(),
            eye.expand(wanted.size, -1).float().contiguous(),
        )
    rotations, centres = _decompose(world_from_camera)
    turned = Slerp(times, rotations)(wanted)
    moved = np.column_stack([np.interp(wanted, times, axis) for axis in centres.T])
    levels = np.column_stack([np.interp(wanted, times, column) for column in eye.double().numpy().T])
    return Motion(_compose(turned, moved), torch.from_numpy(levels).float())


def _decompose(world_from_camera: Float[Tensor, "rows 4 4"]) -> tuple[Rotation, Float[np.ndarray, "rows 3"]]:
    matrices = world_from_camera.double().numpy()
    return Rotation.from_matrix(matrices[:, :3, :3]), matrices[:, :3, 3]


def _compose(rotations: Rotation, centres: Float[np.ndarray, "rows 3"]) -> Float[Tensor, "rows 4 4"]:
    matrices = np.tile(np.eye(4), (len(centres), 1, 1))
    matrices[:, :3, :3] = rotations.as_matrix()
    matrices[:, :3, 3] = centres
    return torch.from_numpy(matrices).float()


def _angles_from_poses(
    world_from_camera: Float[Tensor, "rows 4 4"],
) -> tuple[Float[np.ndarray, "rows 3"], Float[np.ndarray, "rows 3"]]:
    matrices = world_from_camera.double().numpy()
    camera_from_head = matrices[:, :3, :3].transpose(0, 2, 1)
    places = -(camera_from_head @ matrices[:, :3, 3:])[..., 0] * CM_PER_UNIT
    return head_angles_deg(matrices), places


def _poses_from_angles(
    angles: Float[np.ndarray, "rows 3"], places: Float[np.ndarray, "rows 3"]
) -> Float[Tensor, "rows 4 4"]:
    head_from_camera = head_rotations(angles)
    centres = -(head_from_camera @ (places / CM_PER_UNIT)[..., None])[..., 0]
    return _compose(Rotation.from_matrix(head_from_camera), centres)


def _read_rows(path: Path) -> Float[np.ndarray, "rows 9"]:
    text = read_text(path)
    try:
        if path.suffix.lower() == ".json":
            rows = [[float(row[column]) for column in COLUMNS] for row in json.loads(text)]
        else:
            rows = [[number(row[column]) for column in COLUMNS] for row in table_rows(text, COLUMNS).values()]
    except (KeyError, TypeError, ValueError) as cause:
        raise InputError(
            f"{path} is not a motion file ({cause}). Wanted are the columns {', '.join(COLUMNS)}, numbers only; "
            "`loquent inspect NAME.portrait --motion FILE.csv` writes one to start from."
        ) from cause
    table = np.array(rows)
    if table.size == 0 or not np.isfinite(table).all():
        raise InputError(f"{path} holds no rows, or numbers that are not finite.")
    return table
