"""The frames that are compared: held-out frames of a clip, real and rendered from the sound, all as 8-bit pictures.

Pose, blink and brows come from the clip's track, as in the papers; the lips come from the sound and from nothing else. The one
exception is a head that landmarks move and that nothing makes from sound: it gets the landmarks that were tracked on the very
frames it is compared with, and whoever reports its figures must say so (:func:`lip_source`).
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor

from loquent.data.clip import Clip
from loquent.data.sampling import rectangles
from loquent.errors import InputError
from loquent.evaluation.scores import MOUTH_MARGIN, Timeline, TrueFrame
from loquent.evaluation.silence import silent_frames
from loquent.face.expression import detrend_shape
from loquent.face.indices import OUTER_LIPS
from loquent.face.surface import points_in_camera
from loquent.geometry.cameras import Camera
from loquent.media.audio import read_waveform
from loquent.media.images import to_bytes
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.nn.landmarks import track_windows
from loquent.portrait import Portrait
from loquent.speech.kinds import speech_kind
from loquent.storage import check_file_place, check_folder_place

Setting = Literal["head", "full"]
"""``head``: the rendered head over the real torso and background, as the papers measure it. ``full``: all rendered."""
LipSource = Literal["sound", "tracked landmarks", "landmark file"]
"""What moves the lips: the clip's sound, landmarks tracked on the very frames that are compared, or landmarks of a file."""
Picture = UInt8[np.ndarray, "height width 3"]
JPEG_QUALITY = 75
SHUFFLE_SEED = 0
_BLOCK_S = (0.5, 1.0)
_TRIES = 64


def check_pair(portrait: Portrait, clip: Clip, settings: tuple[str, ...]) -> None:
    """Check that `portrait` can be measured on `clip`.

    Raises:
        InputError: they differ in picture size or speech features, the clip has no held-out frame, or a setting is unknown.
    """
    check_pictures(portrait, clip, settings)
    if portrait.speech_kind != clip.info.speech_kind:
        raise InputError(
            f"The portrait listens to {portrait.speech_kind!r} features, but the clip {clip.folder} holds "
            f"{clip.info.speech_kind!r}. Prepare the clip with the portrait's kind of features."
        )
    if not clip.held_out_frames:
        raise InputError(
            f"The clip {clip.folder} holds no frame back for evaluation: all {clip.n_frames} train. "
            "Prepare a longer video, or lower n_train in clip.json and train again."
        )


def check_pictures(portrait: Portrait, clip: Clip, settings: tuple[str, ...]) -> None:
    """Check that `portrait` can be rendered in `settings` at the poses of `clip`.

    Raises:
        InputError: they differ in picture size, or a setting is unknown.
    """
    ours, theirs = portrait.camera, clip.camera
    if (ours.height, ours.width) != (theirs.height, theirs.width):
        raise InputError(
            f"The portrait's pictures are {ours.width}x{ours.height}, those of the clip {clip.folder} are "
            f"{theirs.width}x{theirs.height}. Evaluate it on the clip it was trained on, or one prepared with the same --size."
        )
    unknown = sorted(set(settings) - set(get_args(Setting)))
    if unknown or not settings or len(set(settings)) < len(settings):
        raise InputError(
            f"Settings to evaluate are {' and '.join(get_args(Setting))}, each at most once; "
            f"got {', '.join(settings) or 'none'}."
        )


def check_places(sheet: Path | None, frames_dir: Path | None) -> None:
    """Check that a contact sheet and frames can be written there, before hours are spent.

    Raises:
        InputError: `sheet` is no PNG or JPEG, or one of the places is taken by something else.
    """
    if sheet is not None and sheet.suffix.lower() not in (".png", ".jpg"):
        raise InputError(f"The contact sheet is written as .png or .jpg, not as {sheet.name!r}.")
    if sheet is not None:
        check_file_place(sheet)
    if frames_dir is not None:
        check_folder_place(frames_dir)


def other_clip_note(portrait: Portrait, clip: Clip) -> str | None:
    """What a reader must know where the portrait says that another clip trained it; None where it does not."""
    trained_on = portrait.record.get("clip")
    if trained_on in (None, clip.info.name):
        return None
    return f"The portrait was trained on the clip {trained_on!r}, not on {clip.info.name!r}."


def lip_source(portrait: Portrait, measured: Float[Tensor, "moments points 3"] | None = None) -> LipSource:
    """What moves the lips of the pictures that are compared."""
    if measured is not None:
        return "landmark file"
    return "tracked landmarks" if portrait.head.inputs == "landmarks" and portrait.landmarks is None else "sound"


def landmark_conditions(
    portrait: Portrait,
    clip: Clip,
    measured: Float[Tensor, "moments points 3"] | None = None,
    *,
    frames: Sequence[int] | None = None,
) -> Float[Tensor, "frames width"]:
    """What moves the lips of the held-out or other `frames` where landmarks do: the clip's own, or `measured` by another
    program at every moment of the film's timeline.

    Raises:
        InputError: something else moves this head, or such landmarks do not fit it.
    """
    basis = portrait.landmark_basis
    if measured is not None:
        landmarks = clip.at_frames(measured, "landmarks")
        landmarks = torch.from_numpy(basis.of_measured(landmarks.numpy())) if basis is not None else landmarks
    elif basis is not None:
        track = clip.track
        faces = points_in_camera(track.landmarks_px.numpy(), track.world_from_camera.numpy(), clip.camera)
        landmarks = torch.from_numpy(basis.of_faces(faces))
    else:
        raise InputError(
            f"This portrait ({portrait.head.kind}) was trained elsewhere, on landmarks that Loquent does not measure. Give it "
            "their file with --landmarks."
        )
    windows = track_windows(landmarks, clip.track.frame_ids)
    return portrait.landmark_conditions(windows[list(clip.held_out_frames if frames is None else frames)])


def conditions(
    portrait: Portrait, clip: Clip, *, frames: Sequence[int] | None = None, is_shuffled: bool = False
) -> Float[Tensor, "frames width"]:
    """What moves the lips of the held-out or other `frames`, from the clip's sound, or from the same sound shuffled in time.

    Raises:
        ClipError: the clip's features are damaged, or those of an earlier Loquent.
    """
    features = clip.speech_features()
    if is_shuffled:
        rate_hz = speech_kind(clip.info.speech_kind).rate_hz
        features = shuffle_in_time(features, rate_hz, shift_s=len(clip.held_out_frames) / clip.info.fps / 2)
    chosen = list(clip.held_out_frames if frames is None else frames)
    return portrait.conditions(features, clip.track.frame_ids[chosen])


def tracked_conditions(
    portrait: Portrait, clip: Clip, *, frames: Sequence[int] | None = None
) -> Float[Tensor, "frames width"]:
    """What moves the lips of the held-out or other `frames` as they were tracked on these very frames, less the drift that
    heads are not trained on (`loquent.face.expression.detrend_shape`).

    Raises:
        InputError: the head hears the sound itself, or was trained on landmarks that Loquent does not measure.
    """
    if portrait.head.inputs == "landmarks":
        return landmark_conditions(portrait, clip, frames=frames)
    expression = detrend_shape(clip.track.expression.numpy(), clip.track.frame_ids.numpy(), clip.info.fps)
    chosen = list(clip.held_out_frames if frames is None else frames)
    return portrait.expression_conditions(torch.from_numpy(expression).float()[chosen])


def shuffle_in_time(
    features: Float[Tensor, "steps width"], rate_hz: int, *, shift_s: float
) -> Float[Tensor, "steps width"]:
    """The same steps in another order: blocks of 0.5 to 1 s permuted, then all rolled by `shift_s`. Always the same order.

    Of several permutations the one is taken whose least moved step moves farthest, so that no block stays near its place.
    """
    random = np.random.default_rng(SHUFFLE_SEED)
    n_steps = len(features)
    low, high = (max(1, round(seconds * rate_hz)) for seconds in _BLOCK_S)
    cuts = np.cumsum(random.integers(low, high + 1, n_steps // low + 1))
    blocks = np.split(np.arange(n_steps), cuts[cuts < n_steps])
    shift = round(shift_s * rate_hz)
    candidates = [
        np.roll(np.concatenate([blocks[b] for b in random.permutation(len(blocks))]), shift) for _ in range(_TRIES)
    ]
    order = max(candidates, key=lambda order: int(np.abs(order - np.arange(n_steps)).min()))
    return features[torch.from_numpy(order)]


def mouth_boxes(clip: Clip, frames: Sequence[int] | None = None) -> Int[np.ndarray, "frames 4"]:
    """The mouth's rectangle (top, bottom, left, right) in the held-out or other `frames`, from the clip's track."""
    chosen = list(clip.held_out_frames if frames is None else frames)
    points = clip.track.landmarks_px[chosen, :, :2].numpy()
    return rectangles(points[:, list(OUTER_LIPS)], MOUTH_MARGIN, clip.info.height, clip.info.width)


def timeline(clip: Clip, frames: Sequence[int] | None = None) -> Timeline:
    """When the held-out or other `frames` are, and which of them the clip's sound leaves silent."""
    frame_ids = clip.track.frame_ids[list(clip.held_out_frames if frames is None else frames)].numpy()
    waveform = read_waveform(clip.folder / "sound.wav", sample_rate_hz=SAMPLE_RATE_HZ)
    is_silent = silent_frames(waveform, SAMPLE_RATE_HZ, frame_ids, clip.info.fps)
    return Timeline(frame_ids, clip.info.fps, is_silent)


def true_frame(clip: Clip, i: int, mouth: Int[np.ndarray, "4"]) -> TrueFrame:
    """Frame `i` as training would see it, with its mattes."""
    mattes = clip.matte(i)[..., :2].astype(np.float32) / 255
    return TrueFrame(to_bytes(clip.target(i)), mattes[..., 0], mattes[..., 1], mouth, int(clip.track.frame_ids[i]))


def real_pictures(clip: Clip, frames: Iterable[int] | None = None) -> Iterator[Picture]:
    """The held-out or other `frames` as training would see them: background from the plate."""
    for i in clip.held_out_frames if frames is None else frames:
        yield to_bytes(clip.target(i))


def recompressed_pictures(clip: Clip, frames: Iterable[int] | None = None) -> Iterator[Picture]:
    """The real pictures after JPEG: what the landmark detector alone makes of pictures that show the same."""
    for picture in real_pictures(clip, frames):
        blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        yield cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def rendered_pictures(
    portrait: Portrait,
    clip: Clip,
    setting: Setting,
    conditions: Iterable[Float[Tensor, "width"]],
    seconds: list[float],
    *,
    frames: Iterable[int] | None = None,
    camera: Camera | None = None,
) -> Iterator[Picture]:
    """The held-out frames as the portrait shows them; the time each one took is appended to `seconds`.

    Args:
        portrait, clip, setting: who is rendered, at whose poses, before what.
        conditions: what moves the lips of each picture.
        seconds: gets the time each picture took.
        frames: the clip's frames whose poses and blinks are shown, if not the held-out ones.
        camera: of another size than the clip's, if wanted.
    """
    camera = camera or clip.camera
    for i, condition in zip(clip.held_out_frames if frames is None else frames, conditions, strict=True):
        behind = torch.from_numpy(resized(clip.torso_over_background(i), camera)) if setting == "head" else None
        started = time.perf_counter()
        picture = portrait.render(
            clip.track.world_from_camera[i],
            condition,
            portrait.eye_condition(clip.eye[i]),
            camera=camera,
            behind=behind,
        )
        seconds.append(time.perf_counter() - started)
        yield to_bytes(picture.numpy())


def resized(picture: Shaped[np.ndarray, "height width 3"], camera: Camera) -> Shaped[np.ndarray, "rows columns 3"]:
    """A picture of the clip at the camera's size."""
    if picture.shape[:2] == (camera.height, camera.width):
        return picture
    return np.asarray(cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_AREA))
