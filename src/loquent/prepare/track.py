"""The step that turns landmarks into what a field is conditioned on: head pose, blink, brows, mouth shape (SPEC 1.5, 1.10)."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from loquent.data.clip import default_train_count
from loquent.face.blink import eye_closure
from loquent.face.brows import brow_height
from loquent.face.expression import ExpressionBasis
from loquent.face.flow_refine import refine_with_flow
from loquent.face.head_pose import HeadPoses, fit_head_pose, prior_focal
from loquent.face.landmarks import LandmarkTrack
from loquent.geometry.cameras import Camera
from loquent.geometry.rotations import head_angles_deg
from loquent.media.images import read_image
from loquent.prepare.ingest import refuse
from loquent.prepare.judge import mouth_range, usable_frames_finding
from loquent.prepare.landmarks import LANDMARKS, read_frame_ids, read_landmarks, usable_frames
from loquent.prepare.pipeline import SOURCE, Step, Workplace
from loquent.prepare.sound import RECORDED, read_recorded
from loquent.storage import write_bytes, write_json

TRACK = "measured/track.safetensors"
TRACK_FIGURES = "measured/track_figures.json"


def track_step(size: int, focal_px: float | None) -> Step:
    """Head pose, blink, brows and mouth shape of every usable frame: it shows the whole face, and its sound was recorded."""
    parameters = {"size": size, "focal_px": focal_px or prior_focal(size, size)}
    inputs, outputs = (SOURCE, "frames", LANDMARKS, RECORDED), (TRACK, TRACK_FIGURES)
    return Step("track", "Measuring head pose, eyes, mouth", _measure, inputs, outputs, 4, parameters, 25.0)


def _measure(work: Workplace) -> None:
    landmarks = read_landmarks(work.input(LANDMARKS))
    size, focal_px = work.parameters["size"], work.parameters["focal_px"]
    ids, recorded = np.array(read_frame_ids(work.input("frames")), np.int64), read_recorded(work.input(RECORDED))
    is_heard = (ids >= recorded.start) & (ids < recorded.stop)
    usable = usable_frames(landmarks, size) & is_heard
    refuse([usable_frames_finding(int(usable.sum()), len(usable), int((~is_heard).sum()))], work.input(SOURCE))
    frame_ids = ids[usable]
    points = landmarks.points_px[usable]
    refuse([mouth_range(points)], work.input(SOURCE))
    blendshapes = None if landmarks.blendshapes is None else landmarks.blendshapes[usable]
    camera = Camera.centred(size, size, focal_px)
    folder = work.input("frames")
    poses = refine_with_flow(
        lambda i: read_image(folder / f"{frame_ids[i]:06d}.jpg"), points, fit_head_pose(points, camera), camera
    )
    n_train = default_train_count(len(points))
    basis = ExpressionBasis.fit(points, n_train)
    tensors = {
        "frame_ids": frame_ids,
        "world_from_camera": poses.world_from_camera.astype(np.float32),
        "landmarks_px": points,
        "blink": eye_closure(points, blendshapes).astype(np.float32),
        "brows": brow_height(points, n_train).astype(np.float32),
        "expression": basis.coefficients(points).astype(np.float32),
    }
    write_bytes(work.output(TRACK), save({name: np.ascontiguousarray(values) for name, values in tensors.items()}))
    write_json(work.output(TRACK_FIGURES), {"focal_px": focal_px, **_figures(landmarks, poses)})


def _figures(landmarks: LandmarkTrack, poses: HeadPoses) -> dict[str, float]:
    """Measured quality of the track."""
    angles = head_angles_deg(poses.world_from_camera)
    jitter = np.linalg.norm(np.diff(poses.world_from_camera[:, :3, 3], n=2, axis=0), axis=1)
    return {
        "usable_share": len(poses.error_px) / len(landmarks.n_faces),
        "reprojection_error_px": float(np.median(poses.error_px)),
        "reprojection_error_p95_px": float(np.percentile(poses.error_px, 95)),
        "yaw_range_deg": float(np.ptp(angles[:, 0])),
        "pitch_range_deg": float(np.ptp(angles[:, 1])),
        "camera_jitter": float(np.median(jitter)),
    }


def read_track_tensors(path: Path) -> dict[str, np.ndarray]:
    """The track as the step stored it: the fields of :class:`loquent.data.clip.ClipTrack` as arrays."""
    tensors: dict[str, np.ndarray] = load_file(path)
    return tensors
