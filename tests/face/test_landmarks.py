"""Landmark detection on real clips (skipped without them), on the actor, and on pictures without a face."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from loquent.actor.scene import Actor
from loquent.actor.script import make_script
from loquent.errors import InputError
from loquent.face import indices, landmarks, mesh
from loquent.face.blink import eye_closure
from loquent.face.head_pose import fit_head_pose, prior_focal
from loquent.face.landmarks import LandmarkDetector, detect_all
from loquent.face.lips import lip_opening
from loquent.face.mesh import Face
from loquent.face.quiet import quiet_stderr
from loquent.geometry.cameras import Camera

SHARED = Path(__file__).resolve().parents[3] / "shared"


def pictures(name: str, n_frames: int) -> list[np.ndarray]:
    path = SHARED / "data" / name
    if not path.is_file():
        pytest.skip("needs ../shared/data, which is not beside this checkout")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), n_frames)]


@pytest.fixture(scope="module")
def acted() -> tuple[list[np.ndarray], np.ndarray]:
    """Fifteen pictures of the actor, a second and a half apart in its script, and its true camera poses."""
    actor, script = Actor(256), make_script(24.0)
    frames = range(0, 600, 40)
    drawn = [actor.render(script, i) for i in frames]
    return [one.image for one in drawn], np.stack([one.world_from_camera for one in drawn])


def test_the_actors_face_and_pose_are_found(acted: tuple[list[np.ndarray], np.ndarray]) -> None:
    images, truth = acted
    track = detect_all(images)
    assert track.found.all()
    assert track.n_faces.tolist() == [1] * len(images)
    assert track.blendshapes is None
    poses = fit_head_pose(track.points_px, Camera.centred(256, 256, prior_focal(256, 256)))
    between = poses.world_from_camera[:, :3, :3] @ truth[:, :3, :3].transpose(0, 2, 1)
    left, _, right = np.linalg.svd(between.mean(axis=0))
    cosine = (np.einsum("fij,ij->f", between, left @ right) - 1) / 2
    assert np.median(np.degrees(np.arccos(np.clip(cosine, -1, 1)))) < 2.5


def test_points_have_their_promised_places(acted: tuple[list[np.ndarray], np.ndarray]) -> None:
    points = detect_all(acted[0][:1]).points_px[0]
    right, left = points[468:473].mean(axis=0), points[473:478].mean(axis=0)  # the irises
    assert right[0] < left[0]  # the person's right is on the picture's left
    assert points[indices.FOREHEAD_TOP, 1] < right[1] < points[indices.NOSE_TIP, 1] < points[indices.CHIN, 1]
    assert points[indices.NOSE_TIP, 2] < points[indices.RIGHT_EYE_OUTER, 2]


def test_pictures_without_a_face_are_nan() -> None:
    track = detect_all([np.zeros((48, 64, 3), np.uint8)] * 2)
    assert not track.found.any()
    assert track.n_faces.tolist() == [0, 0]
    assert detect_all([]).points_px.shape == (0, 478, 3)


def test_the_more_persistent_face_is_followed(acted: tuple[list[np.ndarray], np.ndarray]) -> None:
    face = acted[0][0]
    small = cv2.resize(face, (192, 192), interpolation=cv2.INTER_AREA)
    beside = np.full((256, 512, 3), 90, np.uint8)
    beside[:, :256] = face
    both = beside.copy()
    both[32:224, 288:480] = small
    alone = np.full_like(both, 90)
    alone[32:224, 288:480] = small
    track = detect_all([beside, both, both, alone, alone, alone, alone])
    assert track.n_faces.tolist() == [1, 2, 2, 1, 1, 1, 1]
    assert track.found.tolist() == [False, True, True, True, True, True, True]
    assert (track.points_px[1:, indices.NOSE_TIP, 0] > 288).all()


def test_a_long_clip_measures_each_face_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people who stay: the work on a picture must not grow with the pictures before it."""
    n_measured, measure = 0, Face.size_px.fget

    def counted(face: Face) -> float:
        nonlocal n_measured
        n_measured += 1
        return float(measure(face))

    monkeypatch.setattr(Face, "size_px", property(counted))
    points = np.random.default_rng(0).uniform(0, 50, (478, 3)).astype(np.float32)
    chains: list[landmarks._Chain] = []
    after: list[int] = []
    for i in range(120):
        landmarks._link(chains, i, [Face(points), Face(points + np.float32(200))])
        after.append(n_measured)
    assert [len(chain.faces) for chain in chains] == [120, 120]
    assert after[-1] - after[-2] == after[10] - after[9]
    assert chains[0].weight_px == pytest.approx(120 * np.ptp(points[:468, :2], axis=0).max())


def test_a_small_face_in_a_large_picture_is_found(acted: tuple[list[np.ndarray], np.ndarray]) -> None:
    wide = np.full((720, 1280, 3), 90, np.uint8)
    wide[500:596, 1100:1196] = cv2.resize(acted[0][0], (96, 96), interpolation=cv2.INTER_AREA)
    with LandmarkDetector(is_tracking=False) as detector:
        faces = detector.detect(wide)
    assert len(faces) == 1
    assert 1100 < faces[0].points_px[indices.NOSE_TIP, 0] < 1196
    assert 500 < faces[0].points_px[indices.NOSE_TIP, 1] < 596


def test_detection_is_silent_and_repeatable(
    acted: tuple[list[np.ndarray], np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    one, two = detect_all(acted[0][:4]), detect_all(acted[0][:4])
    np.testing.assert_array_equal(one.points_px, two.points_px)
    assert capfd.readouterr().err == ""


def test_a_graph_that_starts_while_its_maker_waits_is_silent(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MediaPipe's threads start the graph, with notices, while other programs may keep ours from going on."""

    @contextmanager
    def then_kept_waiting() -> Iterator[None]:
        with quiet_stderr():
            yield
        time.sleep(0.5)

    monkeypatch.setattr(mesh, "quiet_stderr", then_kept_waiting)
    mesh.WheelGraph(is_tracking=True, max_faces=1).close()
    assert capfd.readouterr().err == ""


def test_a_missing_task_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        LandmarkDetector(task_file=tmp_path / "face_landmarker.task")


@pytest.mark.parametrize("name", ["obama_20s.mp4", "menendez_8s.mp4", "french_50s.mp4"])
def test_real_clips_are_measured_well(name: str) -> None:
    images = pictures(name, 60)
    height, width = images[0].shape[:2]
    track = detect_all(images)
    assert track.found.all()
    assert track.n_faces.max() == 1
    poses = fit_head_pose(track.points_px, Camera.centred(height, width, prior_focal(height, width)))
    assert np.median(poses.error_px) * 450 / width < 1.0
    assert 0 < np.median(lip_opening(track.points_px.astype(np.float64))) < 0.4


def test_blendshapes_agree_with_the_lids() -> None:
    task_file = SHARED / "models" / "face_landmarker.task"
    if not task_file.is_file():
        pytest.skip("needs ../shared/models, which is not beside this checkout")
    track = detect_all(pictures("obama_20s.mp4", 130)[60:], task_file=task_file)
    assert track.blendshapes is not None
    assert track.blendshapes.shape == (70, 52)
    by_lids = eye_closure(track.points_px).mean(axis=1)
    by_shapes = track.blendshapes[:, [9, 10]].mean(axis=1)
    assert np.corrcoef(by_lids, by_shapes)[0, 1] > 0.9


def test_a_box_is_the_square_around_the_skin() -> None:
    points = np.zeros((478, 3), np.float32)
    points[:468, 0], points[:468, 1] = np.linspace(10, 50, 468), np.linspace(100, 120, 468)
    points[468:] = 999  # the irises do not count
    box = Face(points).box
    assert (box.u, box.v, box.side_px) == (30, 110, 40)
