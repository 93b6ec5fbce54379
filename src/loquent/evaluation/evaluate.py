"""Measure a portrait on the frames of a clip that did not train it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.data.clip import Clip
from loquent.data.frame_store import spread_frames
from loquent.devices import device_name
from loquent.errors import InputError
from loquent.evaluation import held_out, lip_sync
from loquent.evaluation.held_out import LipSource, Picture, Setting
from loquent.evaluation.networks import CHEAP, MetricNetworks, open_networks
from loquent.evaluation.scores import Figures, Measured, PictureScores, Row, summarise
from loquent.evaluation.sheet import COLUMNS, SheetRow, draw_sheet
from loquent.face.landmarks import detect_all
from loquent.media.images import write_image
from loquent.portrait import Portrait

TRUTH, RECOMPRESSED, SHUFFLED, TRACKED = "truth", "recompressed", "shuffled", "tracked"
_NO_TIME: tuple[float, ...] = ()


@dataclass(frozen=True)
class Evaluation(Figures[Row]):
    """All figures of one portrait on one clip; rows: the real frames themselves, the same recompressed, then each setting."""

    clip: str
    """Name of the clip."""
    n_held_out: int
    """Frames that were compared."""
    height: int
    """Rows of the pictures."""
    width: int
    """Columns of the pictures."""
    lips_from: LipSource
    """What moved the rendered lips. Where it is not the sound, lip figures say how well the head obeys, not how it speaks."""
    fps: float
    """Frames rendered per second, from the median time of a frame in the last setting."""
    fps_setting: str
    """Which setting `fps` is for."""
    device: str
    """Where it was rendered."""
    n_threads: int
    """Threads PyTorch used."""
    file_mib: float
    """Size of the portrait file."""
    n_head_parameters: int
    """Parameters of the head field, with one appearance code."""
    n_torso_parameters: int
    """Parameters of the torso field, with one appearance code."""


def evaluate(
    portrait: Portrait,
    clip: Clip,
    *,
    settings: tuple[Setting, ...] = ("head", "full"),
    frames_dir: Path | None = None,
    sheet: Path | None = None,
    shuffle_sound: bool = False,
    tracked_lips: bool = False,
    landmarks: Float[Tensor, "moments points 3"] | None = None,
    most_frames: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Render the held-out frames of `clip` from its sound and compare them with the real ones.

    A head that landmarks move, and that has nothing to make them from sound, gets those tracked on these frames: see
    :attr:`Evaluation.lips_from`.

    Args:
        portrait: trained on this clip's other frames, or on another clip of the same person and size.
        clip: holds the frames; pose and blink come from its track.
        settings: what is rendered, see `loquent.evaluation.held_out.Setting`.
        frames_dir: write every real and rendered frame there as ``000454_truth.png``, ``000454_head.png`` ...
        sheet: write a contact sheet there (``.png`` or ``.jpg``).
        shuffle_sound: measure the first setting also with the sound shuffled in time, which should ruin the lips; left out
            where the sound does not move them.
        tracked_lips: measure the first setting also with the lips that were tracked on these frames, but for slow drift: what
            the head could do if the sound told it all that training showed it.
        landmarks: move the lips by these, of every frame of the film's timeline, instead of the sound.
        most_frames: measure no more held-out frames than this, evenly spread, for methods that take minutes a picture. How lips
            move cannot be told from single frames, so such figures are left out.
        progress: called with the number of pictures done, and in all.

    Raises:
        InputError: portrait and clip do not fit together, `sheet` has another ending, `frames_dir` is a file, or
            `most_frames` is not positive; or tracked lips are wanted of a head that hears the sound itself.
        ClipError: a file of the clip is damaged.
        OutputError: a picture cannot be written.
    """
    held_out.check_pair(portrait, clip, settings)
    held_out.check_places(sheet, frames_dir)
    if most_frames is not None and most_frames < 1:
        raise InputError(f"At least one held-out frame must be measured; most_frames is {most_frames}.")
    source = held_out.lip_source(portrait, landmarks)
    shuffle_sound = shuffle_sound and source == "sound"
    frames = clip.held_out_frames if most_frames is None else spread_frames(clip.held_out_frames, most_frames)
    if source == "sound":
        moved_by = held_out.conditions(portrait, clip, frames=frames)
    else:
        moved_by = held_out.landmark_conditions(portrait, clip, landmarks, frames=frames)
    besides = {}
    if shuffle_sound:
        besides[SHUFFLED] = held_out.conditions(portrait, clip, frames=frames, is_shuffled=True)
    if tracked_lips:
        besides[TRACKED] = held_out.tracked_conditions(portrait, clip, frames=frames)
    with open_networks(CHEAP) as networks:
        n_pictures = (2 + len(settings) + len(besides)) * len(frames)
        session = _Session(clip, frames, networks, frames_dir, progress, n_pictures)
        rows = [session.measure(TRUTH, held_out.real_pictures(clip, frames), is_saved=True)]
        rows.append(session.measure(RECOMPRESSED, held_out.recompressed_pictures(clip, frames)))
        for setting in settings:
            seconds: list[float] = []
            pictures = held_out.rendered_pictures(portrait, clip, setting, moved_by, seconds, frames=frames)
            rows.append(session.measure(setting, pictures, seconds, is_saved=True))
        timed = rows[-1]
        for name, other in besides.items():
            pictures = held_out.rendered_pictures(portrait, clip, settings[0], other, seconds := [], frames=frames)
            rows.append(session.measure(f"{settings[0]} {name}", pictures, seconds))
    if sheet is not None:
        write_image(sheet, draw_sheet(session.shown, session.shown_boxes))
    assert timed.ms_per_frame is not None
    return Evaluation(
        clip=clip.info.name,
        n_held_out=len(frames),
        height=clip.info.height,
        width=clip.info.width,
        lips_from=source,
        rows=tuple(rows),
        fps=1000 / timed.ms_per_frame,
        fps_setting=timed.name,
        device=device_name(portrait.device),
        n_threads=torch.get_num_threads(),
        file_mib=_file_mib(portrait),
        n_head_parameters=sum(values.numel() for values in portrait.head.parameters()),
        n_torso_parameters=sum(values.numel() for values in (portrait.torso.parameters() if portrait.torso else ())),
        notes=tuple(_notes(portrait, clip, source, len(frames))),
        missing=networks.missing,
    )


class _Session:
    """One pass after another over the frames; keeps the real landmarks and the pictures of the contact sheet."""

    def __init__(
        self,
        clip: Clip,
        frames: Sequence[int],
        networks: MetricNetworks,
        frames_dir: Path | None,
        progress: Callable[[int, int], None],
        n_pictures: int,
    ) -> None:
        self.clip, self.frames, self.networks, self.frames_dir = clip, frames, networks, frames_dir
        self.boxes, self.timeline = held_out.mouth_boxes(clip, frames), held_out.timeline(clip, frames)
        self.shown: list[SheetRow] = []
        self._progress, self._done, self._total = progress, 0, n_pictures
        self._real: Measured | None = None
        self._columns = spread_frames(range(len(frames)), COLUMNS)

    @property
    def shown_boxes(self) -> Int[np.ndarray, "columns 4"]:
        """Mouth rectangles (top, bottom, left, right) of the frames on the contact sheet."""
        return np.asarray(self.boxes[list(self._columns)])

    def measure(
        self, name: str, pictures: Iterable[Picture], seconds: Iterable[float] = _NO_TIME, *, is_saved: bool = False
    ) -> Row:
        """Take the figures of one set of pictures, each picture being held only while it is measured.

        Pictures that are saved are also written to the frames folder and shown on the contact sheet.
        """
        scores = PictureScores(self.networks)
        measured = Measured(scores, detect_all(self._watched(name, pictures, scores, is_saved)))
        self._real = self._real or measured
        row = summarise(name, measured, self._real, self.timeline, list(seconds))
        # Lips are compared as curves over time: frames picked out of a film are none.
        is_whole = len(self.frames) == len(self.clip.held_out_frames)
        return row if is_whole else replace(row, lips=None, width_correlation=None)

    def _watched(
        self, name: str, pictures: Iterable[Picture], scores: PictureScores, is_saved: bool
    ) -> Iterator[Picture]:
        """Pass the pictures on, measuring each against the real one."""
        shown = SheetRow(name, [], [], [])
        for k, picture in enumerate(pictures):
            i = self.frames[k]
            truth = held_out.true_frame(self.clip, i, self.boxes[k])
            scores.add(picture, truth)
            frame_id = truth.frame_id
            if is_saved and self.frames_dir is not None:
                write_image(self.frames_dir / f"{frame_id:06d}_{name}.png", picture)
            if is_saved and k in self._columns:
                shown.pictures.append(picture)
                shown.frame_ids.append(frame_id)
                shown.psnr_db.append(scores.figures["psnr_db"][-1])
            self._done += 1
            self._progress(self._done, self._total)
            yield picture
        if is_saved:
            self.shown.append(shown)


def _notes(portrait: Portrait, clip: Clip, source: LipSource, n_frames: int) -> Iterator[str]:
    """What speaks against taking the figures at face value."""
    if n_frames < len(clip.held_out_frames):
        yield (
            f"Only {n_frames} of {len(clip.held_out_frames)} held-out frames were measured, evenly spread: how lips move over "
            "time was not."
        )
    elif n_frames < lip_sync.LEAST_FRAMES:
        least = lip_sync.LEAST_FRAMES
        yield f"Fewer than {least} frames ({n_frames}) cannot show whether lips move along: such lines are left out."
    if source == "tracked landmarks":
        yield (
            "The lips were moved by landmarks tracked on the very frames they are compared with, not by sound: the lip "
            "figures, and PSNR of the mouth, cannot be held against those of portraits that listen."
        )
    elif source == "landmark file":
        yield "The lips were moved by the landmarks of a file, not by sound."
    record = portrait.record
    if record.get("clip") is None:
        yield "The portrait does not say which clip trained it; these frames may have."
    elif (note := held_out.other_clip_note(portrait, clip)) is not None:
        yield note
    elif record.get("train_frames", 0) > clip.info.n_train:
        yield (
            f"The portrait was trained on the first {record['train_frames']} frames, so it has seen some of these, "
            f"which begin at frame {clip.info.n_train}."
        )


def _file_mib(portrait: Portrait) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "size.portrait"
        portrait.save(path)
        return path.stat().st_size / 2**20
