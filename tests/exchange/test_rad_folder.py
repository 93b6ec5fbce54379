"""The data folder of the original programs, read as their loaders read it: worked cases, and their own arrays (golden)."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from original_files import write_data_folder
from torch import Tensor

from loquent.errors import ClipError
from loquent.exchange import conventions
from loquent.exchange.rad_folder import RadFolder, polygon_area, read_landmark_file
from loquent.face.canonical_landmarks import landmark_limits
from loquent.face.indices import MESH_OF_68
from loquent.geometry.cameras import pixel_rays
from loquent.geometry.rotations import euler_xyz
from loquent.media.images import write_image
from loquent.nn.landmarks import landmark_windows

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "golden_data.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    if not GOLDEN.is_file():
        pytest.skip("needs ../shared/golden, which is not beside this checkout")
    with np.load(GOLDEN) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def identity(golden: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> RadFolder:
    """The golden identity written to disk again; its plate as PNG data, since the golden one is decoded already."""
    folder = tmp_path_factory.mktemp("golden_identity")
    n_train = int(golden["in_n_train"])
    focal, cx, cy = golden["in_focal_cx_cy"].tolist()
    matrices = golden["in_transform_matrix"].tolist()
    for name, ids in (("train", range(n_train)), ("val", range(n_train, len(matrices)))):
        frames = [{"img_id": k, "aud_id": k, "transform_matrix": matrices[k]} for k in ids]
        facts = {"focal_len": focal, "cx": cx, "cy": cy, "frames": frames}
        (folder / f"transforms_{name}.json").write_text(json.dumps(facts))
    (folder / "ori_imgs").mkdir()
    for k, points in enumerate(golden["in_lms"]):
        np.savetxt(folder / "ori_imgs" / f"{k}.lms", points, fmt="%f")
        write_image(folder / "torso_imgs" / f"{k}.png", golden["in_torso_rgba"][k])
    write_image(folder / "plate.png", golden["in_bc_rgb"])
    (folder / "plate.png").rename(folder / "bc.jpg")
    rows = "\n".join(f"{k + 1}, {value:.6f}" for k, value in enumerate(golden["in_au45_r"]))
    (folder / "au.csv").write_text(f"frame, AU45_r\n{rows}\n")
    np.save(folder / "aud_ds.npy", golden["in_aud_ds"])
    np.save(folder / "aud_idexp.npy", golden["in_lm3d"])
    return RadFolder.open(folder)


def near(ours: Tensor | np.ndarray, theirs: np.ndarray, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("split", ["train", "val"])
def test_golden_camera_poses_and_eyes(golden: dict[str, np.ndarray], identity: RadFolder, split: str) -> None:
    frames, camera = identity.split(split), identity.camera
    assert [camera.height, camera.width] == golden[f"er_{split}_HW"].tolist()
    near(np.array([camera.fx, camera.fy, camera.cx, camera.cy]), golden[f"er_{split}_intrinsics"])
    poses = identity.world_from_camera[frames]
    near(poses, golden[f"er_{split}_poses"])
    near(conventions.smooth_path(poses), golden[f"er_{split}_poses_smooth"])
    near(identity.eyes_closed()[frames], golden[f"er_{split}_eye"])
    near(conventions.smooth_eyes(identity.eyes_closed()[frames]), golden[f"er_{split}_eye_smooth"])
    near(identity.eye_areas()[frames], golden[f"rad_{split}_eye"])


@pytest.mark.parametrize("split", ["train", "val"])
def test_golden_landmarks_fill_the_originals_rectangle(
    golden: dict[str, np.ndarray], identity: RadFolder, split: str
) -> None:
    for i, rectangle in zip(
        range(identity.n_frames)[identity.split(split)], golden[f"er_{split}_face_rect"], strict=True
    ):
        points = identity.landmarks(i).astype(int)
        around = [f(points[:, axis]) for axis in (1, 0) for f in (np.min, np.max)]  # first and last row, then column
        assert around == rectangle.tolist()


def test_golden_pictures_behind_the_head(golden: dict[str, np.ndarray], identity: RadFolder) -> None:
    for k in (0, 3):
        near(identity.torso_over_background(identity.n_train + k), golden[f"er_val_bg_{k}"])
    near(identity.background / np.float32(255), golden["er_val_bg_torso_0"])


def test_golden_rays(golden: dict[str, np.ndarray], identity: RadFolder) -> None:
    flat = torch.arange(0, identity.camera.height * identity.camera.width, 37)
    for k in (0, 3):
        pose = identity.world_from_camera[identity.n_train + k][None]
        rows, columns = flat // identity.camera.width, flat % identity.camera.width
        near(pixel_rays(pose, identity.camera, rows, columns)[1], golden[f"er_val_rays_d_{k}"])


def test_golden_pose_numbers_of_rad_nerf(golden: dict[str, np.ndarray], identity: RadFolder) -> None:
    def six(poses: Tensor) -> Tensor:
        return torch.cat([euler_xyz(poses[:, :3, :3]), poses[:, :3, 3]], dim=1)

    near(six(torch.from_numpy(golden["ngp_scale4"])), golden["euler_trans"])
    near(six(identity.world_from_camera[identity.split("val")])[0], golden["rad_val_pose_input_0"])


def test_golden_paths_and_areas(golden: dict[str, np.ndarray]) -> None:
    path = torch.from_numpy(golden["path"])
    near(conventions.smooth_path(path), golden["path_smooth7"])
    near(conventions.smooth_path(path, 5), golden["path_smooth5"])
    near(np.array([polygon_area(outline) for outline in golden["poly"]]), golden["poly_area"], atol=1e-9)


def test_golden_landmarks(golden: dict[str, np.ndarray], identity: RadFolder) -> None:
    landmarks = read_landmark_file(identity.folder / "aud_idexp.npy")
    windows = landmark_windows(landmarks[identity.split("val")])
    for i in (0, 2, 3):
        near(windows[i], golden[f"r2_val_auds_{i}"], atol=0)
    sequence = torch.from_numpy(golden["r2_aud_seq"])
    near(landmark_windows(sequence), golden["r2_aud_win5_att2"], atol=0)
    near(identity.eye_areas()[identity.split("val")], golden["r2_val_eye"])
    # R2-Talker holds a new voice's landmarks within some deviations of their own mean (SPEC 7.2).
    drive, limit = golden["in_lm3d_drive"].astype(np.float64), landmark_limits(MESH_OF_68)
    mean, deviation = drive.mean(axis=0), drive.std(axis=0, ddof=1)
    near(np.clip((drive - mean) / deviation, -limit, limit) * deviation + mean, golden["r2_drive_clamped"])


def test_a_folder_is_read(tmp_path: Path) -> None:
    folder = RadFolder.open(write_data_folder(tmp_path / "identity"))
    assert (folder.n_frames, folder.n_train) == (5, 3)
    assert (folder.camera.height, folder.camera.width, folder.camera.fx) == (24, 32, 70)
    # SPEC 1.3's test vector: the identity at distance 0.7 m.
    wanted = [[0.0, -1, 0, 0], [0, 0, -1, 2.8], [1, 0, 0, 0], [0, 0, 0, 1]]
    torch.testing.assert_close(folder.world_from_camera[0], torch.tensor(wanted))
    matte = folder.matte(1)
    assert (matte.sum(axis=2) == 255).all()
    assert matte[0, 0].tolist() == [255, 0, 0]
    assert matte[-1, 0].tolist() == matte[-3, 0].tolist() == [0, 255, 0]
    assert matte[15, 0].tolist() == [0, 0, 255]
    assert abs(folder.frame(2).astype(int) - [80, 100, 50]).max() <= 2
    assert folder.torso(2).shape == (24, 32, 4)


def test_pictures_of_another_size_are_resized(tmp_path: Path) -> None:
    folder = RadFolder.open(write_data_folder(tmp_path / "identity"))
    write_image(folder.folder / "ori_imgs" / "0.jpg", np.full((48, 64, 3), 90, np.uint8))
    assert folder.frame(0).shape == (24, 32, 3)


def test_the_area_of_a_square() -> None:
    assert polygon_area(np.array([[1.0, 1], [4, 1], [4, 3], [1, 3]])) == 6


def swap_splits(folder: Path) -> None:
    train, val = folder / "transforms_train.json", folder / "transforms_val.json"
    contents = train.read_text(), val.read_text()
    val.write_text(contents[0])
    train.write_text(contents[1])


def renumber(folder: Path, img_ids: list[int], aud_ids: list[int] | None = None) -> None:
    """Give the training frames other numbers."""
    path = folder / "transforms_train.json"
    facts = json.loads(path.read_text())
    for frame, img_id, aud_id in zip(facts["frames"], img_ids, aud_ids or img_ids, strict=True):
        frame |= {"img_id": img_id, "aud_id": aud_id}
    path.write_text(json.dumps(facts))


DAMAGES: dict[str, tuple[Callable[[Path], object], Callable[[RadFolder], object], str]] = {
    "no camera": (lambda f: (f / "transforms_val.json").unlink(), lambda _: None, "transforms_val.json cannot be read"),
    "half a camera": (
        lambda f: (f / "transforms_train.json").write_text('{"focal_len"'),
        lambda _: None,
        "transforms_train.json cannot be read",
    ),
    "no frames": (
        lambda f: (f / "transforms_train.json").write_text('{"focal_len": 3}'),
        lambda _: None,
        "lists no frames",
    ),
    "bad pose": (
        lambda f: (f / "transforms_train.json").write_text(
            '{"cx": 4, "cy": 4, "focal_len": 9, "frames": [{"img_id": 0, "aud_id": 0, "transform_matrix": [[1]]}]}'
        ),
        lambda _: None,
        "damaged",
    ),
    "val before train": (swap_splits, lambda _: None, "img_id 0 comes after 4"),
    "not in order": (lambda f: renumber(f, [0, 2, 1]), lambda _: None, "img_id 1 comes after 2"),
    "one frame twice": (lambda f: renumber(f, [0, 1, 1]), lambda _: None, "img_id 1 comes after 1"),
    "before the beginning": (lambda f: renumber(f, [-1, 1, 2]), lambda _: None, "img_id -1 comes"),
    "sound of another moment": (
        lambda f: renumber(f, [0, 1, 2], [0, 3, 2]),
        lambda _: None,
        r"frame with img_id 1 the sound of another moment \(aud_id 3\)",
    ),
    "no plate": (lambda f: (f / "bc.jpg").unlink(), lambda r: r.background, "bc.jpg does not exist"),
    "no blink": (
        lambda f: (f / "au.csv").write_text("frame, AU12_r\n1, 0.3\n"),
        lambda r: r.eyes_closed(),
        "AU45_r",
    ),
    "short blink": (
        lambda f: (f / "au.csv").write_text("frame, AU45_r\n1, 0.3\n"),
        lambda r: r.eyes_closed(),
        "1 rows, but there is a frame 4",
    ),
    "few landmarks": (
        lambda f: (f / "ori_imgs" / "3.lms").write_text("1 2\n3 4\n"),
        lambda r: r.eye_areas(),
        "68 lines",
    ),
    "NaN landmarks": (
        lambda f: np.save(f / "aud_idexp.npy", np.full((4, 68, 3), np.nan)),
        lambda r: read_landmark_file(r.folder / "aud_idexp.npy"),
        "not numbers",
    ),
    "34 landmarks": (
        lambda f: np.save(f / "aud_idexp.npy", np.zeros((4, 34, 3))),
        lambda r: read_landmark_file(r.folder / "aud_idexp.npy"),
        "68 points of three numbers",
    ),
    "flat landmarks": (
        lambda f: np.save(f / "aud_idexp.npy", np.zeros((4, 68, 2))),
        lambda r: read_landmark_file(r.folder / "aud_idexp.npy"),
        "68 points of three numbers",
    ),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_damaged_folders_are_refused(tmp_path: Path, damage: str) -> None:
    spoil, use, words = DAMAGES[damage]
    folder = write_data_folder(tmp_path / "identity")
    spoil(folder)
    with pytest.raises(ClipError, match=words):
        use(RadFolder.open(folder))
