"""Idle motion without visible joints, and motion files that survive a round trip."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from loquent import motion
from loquent.errors import InputError
from loquent.geometry.rotations import VOLUME_FROM_FRONTAL
from loquent.motion import BLEND_FRAMES, COLUMNS, Motion, dense_track, endless, read_motion, write_motion


def swaying_track(n_frames: int) -> Motion:
    """A head that sways smoothly, with blinks and brows."""
    t = np.arange(n_frames) / 25
    angles = np.stack([8 * np.sin(2 * np.pi * t / 3.1), 5 * np.sin(2 * np.pi * t / 2.3), 3 * np.sin(t)], axis=1)
    camera_from_head = Rotation.from_euler("YXZ", angles, degrees=True).as_matrix() @ VOLUME_FROM_FRONTAL.T
    poses = np.tile(np.eye(4), (n_frames, 1, 1))
    poses[:, :3, :3] = camera_from_head.transpose(0, 2, 1)
    poses[:, :3, 3] = np.stack([0.05 * np.sin(t), 3 + 0.02 * np.cos(t), 0.03 * np.sin(2 * t)], axis=1)
    eye = (np.abs((t % 2.7) - 1.3) < 0.1).astype(float)
    brows = 0.5 + 0.5 * np.sin(t)
    return Motion(torch.from_numpy(poses).float(), torch.from_numpy(np.stack([eye, brows], axis=1)).float())


def degrees_per_frame(motion: Motion) -> np.ndarray:
    rotations = Rotation.from_matrix(motion.world_from_camera[:, :3, :3].double().numpy())
    return np.degrees((rotations[:-1].inv() * rotations[1:]).magnitude())


def test_an_endless_path_never_moves_faster_than_the_track_did() -> None:
    track = swaying_track(300)
    path = endless(track, 3000, seed=3)
    assert len(path) == 3000
    assert degrees_per_frame(path).max() < 1.5 * degrees_per_frame(track).max()


def test_an_endless_path_always_plays_forwards() -> None:
    track = swaying_track(200)
    path = endless(track, 1000)
    distance = torch.cdist(path.world_from_camera.flatten(1), track.world_from_camera.flatten(1))
    nearest = distance.argmin(dim=1)
    exact = distance.min(dim=1).values < 1e-5
    steps = nearest.diff()[exact[1:] & exact[:-1]]
    # Between frames taken unchanged from the track, time runs forwards by one, but for the jumps at joints.
    assert (steps == 1).float().mean() > 0.95


@pytest.mark.parametrize("n_frames", [1, 20, 49, 50])
def test_the_seed_says_where_a_short_film_starts(n_frames: int) -> None:
    track = swaying_track(50)
    starts = set()
    for seed in range(40):
        path = endless(track, n_frames, seed)
        start = int((track.world_from_camera - path.world_from_camera[0]).abs().amax(dim=(1, 2)).argmin())
        starts.add(start)
        n_alike = n_frames if start + n_frames <= 50 else 50 * 2 // 3 - start  # joints leave in the last third
        piece = track.world_from_camera[start : start + n_alike]
        torch.testing.assert_close(path.world_from_camera[:n_alike], piece, rtol=0, atol=1e-6)
        assert torch.equal(path.world_from_camera, endless(track, n_frames, seed).world_from_camera)
    assert len(starts) > 15
    assert max(starts) > 20


def test_a_film_that_the_track_has_room_for_is_one_piece_of_it() -> None:
    track = swaying_track(200)
    for seed in range(20):
        path = endless(track, 90, seed)
        start = int((track.world_from_camera - path.world_from_camera[0]).abs().amax(dim=(1, 2)).argmin())
        assert torch.equal(path.world_from_camera, track.world_from_camera[start : start + 90])


def test_the_joints_are_the_best_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    ones, others = rng.normal(size=(37, 14)), rng.normal(size=(23, 14))
    cost = np.linalg.norm(ones[:, None] - others, axis=2)
    wanted = np.column_stack(np.unravel_index(np.argsort(cost, axis=None), cost.shape))
    for at_once in (1, 100, 10_000):
        monkeypatch.setattr(motion, "_PAIRS_AT_ONCE", at_once)
        for count in (1, 30, 120, 37 * 23 + 5):
            np.testing.assert_array_equal(motion._closest_pairs(ones, others, count), wanted[:count])


def test_seeking_joints_takes_little_memory() -> None:
    """All pairs of places of a two-minute track with all they are compared by would take 340 MB."""
    track = swaying_track(3000)
    tracemalloc.start()
    endless(track, 3100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


@pytest.mark.parametrize("n_frames", [1, 2, 4, 7])
def test_tiny_tracks_still_give_a_path(n_frames: int) -> None:
    path = endless(swaying_track(n_frames), 100)
    assert len(path) == 100
    assert torch.isfinite(path.world_from_camera).all()


def test_the_same_seed_gives_the_same_path_and_another_another() -> None:
    track = swaying_track(300)
    first, again, other = (endless(track, 4000, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.world_from_camera, again.world_from_camera)
    assert not torch.equal(first.world_from_camera, other.world_from_camera)


def test_dropped_frames_are_interpolated() -> None:
    track = swaying_track(40)
    kept = torch.tensor([i for i in range(40) if i not in (11, 12, 13)])
    dense = dense_track(kept, track.world_from_camera[kept], track.eye[kept])
    assert len(dense) == 40
    assert torch.allclose(dense.world_from_camera, track.world_from_camera, atol=2e-3)


def test_a_long_gap_becomes_a_short_move() -> None:
    """Twenty seconds without a face would be twenty seconds of gliding, eyes half closed."""
    track = swaying_track(40)
    ids = torch.cat([torch.arange(20), torch.arange(520, 540)])
    dense = dense_track(ids, track.world_from_camera, track.eye)
    assert len(dense) == 40 - 1 + BLEND_FRAMES
    assert torch.allclose(dense.world_from_camera[:20], track.world_from_camera[:20], atol=1e-5)
    assert torch.allclose(dense.world_from_camera[-20:], track.world_from_camera[20:], atol=1e-5)


def test_a_cut_becomes_a_short_move() -> None:
    track = swaying_track(40)
    poses = track.world_from_camera.clone()
    turn = torch.from_numpy(Rotation.from_euler("z", 30, degrees=True).as_matrix()).float()
    poses[20:, :3, :3] = turn @ poses[20:, :3, :3]
    dense = dense_track(torch.arange(40), poses, track.eye)
    assert len(dense) == 40 - 1 + BLEND_FRAMES
    assert degrees_per_frame(dense).max() < 3
    assert degrees_per_frame(Motion(poses, track.eye)).max() > 25


@pytest.mark.parametrize("ending", ["csv", "json", "JSON"])
def test_a_motion_file_survives_a_round_trip(tmp_path: Path, ending: str) -> None:
    track = swaying_track(60)
    write_motion(tmp_path / f"m.{ending}", track, 25.0)
    assert (tmp_path / f"m.{ending}").read_text().startswith("time_s" if ending == "csv" else "[")
    back = read_motion(tmp_path / f"m.{ending}", 60, 25.0)
    assert torch.allclose(back.world_from_camera, track.world_from_camera, atol=2e-4)
    assert torch.allclose(back.eye, track.eye, atol=1e-4)


@pytest.mark.parametrize(
    ("delimiter", "comma", "encoding"), [(",", ".", "utf-8-sig"), (";", ",", "utf-8-sig"), ("\t", ",", "utf-16")]
)
def test_a_motion_file_survives_a_spreadsheet(tmp_path: Path, delimiter: str, comma: str, encoding: str) -> None:
    write_motion(tmp_path / "m.csv", swaying_track(60), 25.0)
    saved = (tmp_path / "m.csv").read_text().replace(",", delimiter).replace(".", comma).replace("\n", "\r\n")
    (tmp_path / "saved.csv").write_bytes(saved.encode(encoding))
    wanted, found = (read_motion(tmp_path / name, 60, 25.0) for name in ("m.csv", "saved.csv"))
    assert torch.equal(found.world_from_camera, wanted.world_from_camera)
    assert torch.equal(found.eye, wanted.eye)


def test_angles_mean_what_the_file_says(tmp_path: Path) -> None:
    """A head turned to the picture's right shows its nose right of its centre; nodding up lifts the nose."""
    rows = [dict.fromkeys(COLUMNS, 0.0) | {"distance_cm": 75.0, "yaw_deg": 20.0, "pitch_deg": 10.0}]
    (tmp_path / "m.json").write_text(json.dumps(rows))
    pose = read_motion(tmp_path / "m.json", 1, 25.0).world_from_camera[0]
    nose = torch.tensor([0.0, 0.4, 0.0])
    in_camera = pose[:3, :3].T @ (nose - pose[:3, 3])
    assert in_camera[0] > 0.05  # right
    assert in_camera[1] < -0.02  # up
    assert in_camera[2] == pytest.approx(3.0, abs=0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a motion file"),
        (",".join(COLUMNS) + "\n", "holds no rows"),
        ("time_s,yaw_deg\n0,1\n", "no column pitch_deg"),
        (",".join(COLUMNS) + "\n" + ",".join(["0"] * 6 + ["75", "2", "0"]) + "\n", "blink must lie"),
        (",".join(COLUMNS) + "\n" + ",".join(["0"] * 6 + ["75", "0", "-0.1"]) + "\n", "brows between 0"),
        (",".join(COLUMNS) + "\n" + ",".join(["0"] * 9) + "\n", "distance_cm must be positive"),
        (",".join(COLUMNS) + "\n" + (",".join(["1"] * 9) + "\n") * 2, "time_s must rise"),
        (",".join(COLUMNS) + "\n" + ",".join(["nan"] * 9) + "\n", "not finite"),
    ],
)
def test_bad_motion_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_motion(tmp_path / "m.csv", 10, 25.0)
