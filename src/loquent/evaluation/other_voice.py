"""How a portrait's lips follow another voice than its clip's: the papers' lip synchronisation setting (ER-NeRF, Table 2).

The portrait is rendered at the clip's own poses and blinks, played forwards and backwards, with the lips that the other
sound asks for. What the lips then do is measured on the pictures, against the person's own range of openings: at the phones
of the sound (`visemes`), in its silence, and by SyncNet. Where the sound comes with a film of its speaker, the lips are
compared with the speaker's too.
"""

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from loquent.data.clip import Clip
from loquent.devices import device_name
from loquent.errors import InputError
from loquent.evaluation import held_out
from loquent.evaluation.driven_lips import DrivenRow, driven_row, with_speaker
from loquent.evaluation.held_out import Picture, Setting
from loquent.evaluation.lip_sync import LEAST_FRAMES
from loquent.evaluation.networks import SYNC, MetricNetworks, open_networks
from loquent.evaluation.phone_sheet import Moment, Shown, choose_moments, draw_moments
from loquent.evaluation.scores import Figures, ms_per_frame
from loquent.evaluation.silence import silent_frames
from loquent.evaluation.syncnet import sync_score
from loquent.evaluation.visemes import LEAST_PHONES, LipRange
from loquent.face.landmarks import LandmarkTrack, detect_all
from loquent.face.lips import lip_opening
from loquent.geometry.cameras import Camera
from loquent.media.audio import read_waveform
from loquent.media.images import read_image, write_image
from loquent.media.probe import probe
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.media.video import read_frames
from loquent.portrait import Portrait
from loquent.speech.articulation import CLOSE_VOWELS, OPEN_VOWELS
from loquent.speech.kinds import extract, speech_kind
from loquent.speech.phones import Phones, hear_phones, read_phones
from loquent.speech.posteriors import PHONETIC_KINDS

PERSON, SPEAKER, SHUFFLED = "person", "speaker", "shuffled"
MOST_REAL_FRAMES = 1500
"""The person's range comes from at most the clip's first minute."""
LATE_PHONES_S = 0.5
"""Phone times that go on for longer than this after the sound belong to another sound."""


@dataclass(frozen=True)
class OtherVoice(Figures[DrivenRow]):
    """All figures of one portrait under one sound; rows: the person, the speaker if there is a film of them, the portrait."""

    clip: str
    """Name of the clip."""
    sound: str
    """File name of the sound."""
    phones: str
    """File name of the phone times, or ``heard``."""
    seconds: float
    """Length of the sound."""
    height: int
    """Rows of the pictures."""
    width: int
    """Columns of the pictures."""
    person: LipRange
    """How far the person's real lips open."""
    device: str
    """Where it was rendered."""
    n_threads: int
    """Threads PyTorch used."""


def read_speech(sound: Path, phones: Path | None) -> tuple[Float[np.ndarray, "samples"], Phones]:
    """The waveform of `sound`, and when which phone is spoken in it: as `phones` says, or as the phonetic encoder hears it.

    Raises:
        InputError: a file is missing or cannot be read, or the phones belong to another sound.
    """
    waveform = read_waveform(sound)
    spoken = hear_phones(waveform) if phones is None else read_phones(phones)
    _check_length(waveform.size / SAMPLE_RATE_HZ, spoken, sound)
    return waveform, spoken


def measure_other_voice(
    portrait: Portrait,
    clip: Clip,
    sound: Path,
    phones: Path | None = None,
    *,
    settings: tuple[Setting, ...] = ("head",),
    size: int | None = None,
    frames_dir: Path | None = None,
    sheet: Path | None = None,
    shuffle_sound: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> OtherVoice:
    """Render the portrait driven by `sound` and measure what its lips do.

    Args:
        portrait: who speaks.
        clip: of the same person and size; gives poses, blinks, the real torso and the person's range of openings.
        sound: any sound file, or a film of somebody speaking.
        phones: when which phone is spoken in it (`loquent.speech.phones`); nothing = as the phonetic encoder hears it.
        settings: what is rendered, see `loquent.evaluation.held_out.Setting`.
        size: rows of the pictures; nothing = the clip's.
        frames_dir: write every rendered frame there as ``000012_head.png``.
        sheet: write a contact sheet there (``.png`` or ``.jpg``): closures, open and close vowels, silence.
        shuffle_sound: measure the first setting also with the sound shuffled in time, which should ruin the lips.
        progress: called with the number of pictures done, and in all.

    Raises:
        InputError: the inputs do not fit together, or one cannot be used.
        ClipError: a file of the clip is damaged.
        OutputError: a picture cannot be written.
    """
    held_out.check_pictures(portrait, clip, settings)
    held_out.check_places(sheet, frames_dir)
    waveform, spoken = read_speech(sound, phones)
    seconds = waveform.size / SAMPLE_RATE_HZ
    features = extract(portrait.speech_kind, waveform, SAMPLE_RATE_HZ)
    n_frames = math.ceil(seconds * FPS)
    is_silent = silent_frames(waveform, SAMPLE_RATE_HZ, np.arange(n_frames), FPS)
    portrait.conditions(features, torch.zeros(1).long())  # a head that cannot listen is refused before it is rendered
    camera = clip.camera if size is None else clip.camera.with_rows(size)
    n_films = len(settings) + shuffle_sound + probe(sound).has_video
    n_pictures = min(clip.n_frames, MOST_REAL_FRAMES) + n_films * n_frames
    with open_networks((SYNC,)) as networks, contextlib.ExitStack() as held:
        # SyncNet looks at the pictures again, once the faces are known.
        if SYNC in networks.loaded and frames_dir is None:
            frames_dir = Path(held.enter_context(tempfile.TemporaryDirectory()))
        session = _Session(clip, camera, networks, frames_dir, _Counter(progress, n_pictures))
        rows = [session.person_row()]
        if probe(sound).has_video:
            rows += session.speaker_rows(sound, waveform, spoken, is_silent)
        moments = choose_moments(spoken, is_silent, FPS) if sheet is not None else ()
        driven = _Driven(waveform, spoken, is_silent, moments)
        for setting in settings:
            rows.append(session.portrait_row(setting, setting, portrait, features, driven))
            driven = replace(driven, moments=())  # the sheet shows the first setting
        if shuffle_sound:
            mixed = held_out.shuffle_in_time(features, speech_kind(portrait.speech_kind).rate_hz, shift_s=seconds / 2)
            name = f"{settings[0]} {SHUFFLED}"
            rows.append(session.portrait_row(name, settings[0], portrait, mixed, driven))
    if sheet is not None:
        shown = sorted(session.shown, key=lambda item: moments.index(item.moment))
        write_image(sheet, draw_moments(shown, session.curve, spoken.segments, FPS))
    return OtherVoice(
        clip=clip.info.name,
        sound=sound.name,
        phones=spoken.source,
        seconds=seconds,
        height=camera.height,
        width=camera.width,
        person=session.person,
        rows=tuple(rows),
        device=device_name(portrait.device),
        n_threads=torch.get_num_threads(),
        notes=(*_notes(portrait, clip, spoken), *session.notes),
        missing=networks.missing,
    )


@dataclass(frozen=True)
class _Driven:
    """What drives the portrait, and which moments the contact sheet shows."""

    waveform: Float[np.ndarray, "samples"]
    spoken: Phones
    is_silent: Bool[np.ndarray, "frames"]
    moments: tuple[Moment, ...]


class _Counter:
    """Passes pictures on and counts them."""

    def __init__(self, progress: Callable[[int, int], None], total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def __call__(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        for picture in pictures:
            yield picture
            self._done += 1
            self._progress(self._done, self._total)


class _Session:
    """One film after another; keeps the person's range and the speaker's face, and the pictures of the contact sheet."""

    def __init__(
        self, clip: Clip, camera: Camera, networks: MetricNetworks, frames_dir: Path | None, counted: _Counter
    ) -> None:
        self._clip, self._camera, self._networks = clip, camera, networks
        self._frames_dir, self._counted = frames_dir, counted
        self._speaker: Float[np.ndarray, "frames 478 3"] | None = None
        self.shown: list[Shown] = []
        self.curve: Float[np.ndarray, "frames"] = np.zeros(0)
        self.notes: list[str] = []
        self.person: LipRange

    def person_row(self) -> DrivenRow:
        """The real frames and their own sound, as heard: how far the lips open, and what the figures are at best."""
        frames = range(min(self._clip.n_frames, MOST_REAL_FRAMES))
        ids = self._clip.track.frame_ids[: len(frames)].numpy()
        faces = detect_all(self._counted(self._real(frames)))
        person = LipRange.of(lip_opening(faces.points_px).astype(np.float64))
        if person is None:
            raise InputError(
                f"In the clip {self._clip.folder} only {int(faces.found.sum())} of {len(frames)} real frames show a face at "
                f"{self._camera.height} rows, too few to say how far their lips open. Use a longer clip or a larger --size."
            )
        self.person = person
        waveform = read_waveform(self._clip.folder / "sound.wav")[: math.ceil((ids[-1] + 1) / FPS * SAMPLE_RATE_HZ)]
        whole = np.full((int(ids[-1]) + 1, *faces.points_px.shape[1:]), np.nan, np.float32)
        whole[ids] = faces.points_px
        is_silent = silent_frames(waveform, SAMPLE_RATE_HZ, np.arange(len(whole)), FPS)
        row = driven_row(PERSON, whole, hear_phones(waveform), is_silent, person)
        row = replace(row, n_frames=len(frames), n_faces_missed=int((~faces.found).sum()))
        if len(whole) - int(ids[0]) > len(ids):  # frames were dropped: no film to look at
            return row
        sound = waveform[round(int(ids[0]) / FPS * SAMPLE_RATE_HZ) :]
        return self._with_sync(row, self._real(frames), faces, sound)

    def speaker_rows(
        self, film: Path, waveform: Float[np.ndarray, "samples"], spoken: Phones, is_silent: Bool[np.ndarray, "frames"]
    ) -> Iterator[DrivenRow]:
        """The film that came with the sound, against its own speaker's range; no row where it hardly shows a face."""
        faces = detect_all(self._counted(_film(film, len(is_silent))))
        points = _lengthened(faces.points_px, len(is_silent))
        own = LipRange.of(lip_opening(points).astype(np.float64))
        if own is None or faces.found.mean() < 0.5:
            self.notes.append(f"{film.name} shows no face for most of the time, so lips are compared with nobody's.")
            return
        self._speaker = points
        yield self._with_sync(
            driven_row(SPEAKER, points, spoken, is_silent, own), _film(film, len(is_silent)), faces, waveform
        )

    def portrait_row(
        self, name: str, setting: Setting, portrait: Portrait, features: Float[Tensor, "steps width"], driven: _Driven
    ) -> DrivenRow:
        """The portrait under a sound."""
        seconds: list[float] = []
        n_frames = len(driven.is_silent)
        poses = _to_and_fro(self._clip.n_frames, n_frames)
        conditions = portrait.each_condition(features, range(n_frames))
        pictures = held_out.rendered_pictures(
            portrait, self._clip, setting, conditions, seconds, frames=poses, camera=self._camera
        )
        faces = detect_all(self._counted(self._kept(name, pictures, poses, driven.moments)))
        points = faces.points_px
        row = driven_row(name, points, driven.spoken, driven.is_silent, self.person)
        if not self.curve.size:
            self.curve = self.person.relative(lip_opening(points).astype(np.float64))
        row = replace(row, ms_per_frame=ms_per_frame(seconds))
        if self._speaker is not None:
            row = with_speaker(row, points, self._speaker)
        return self._with_sync(row, self._saved(name, n_frames), faces, driven.waveform)

    def _with_sync(
        self,
        row: DrivenRow,
        pictures: Iterable[Picture],
        faces: LandmarkTrack,
        waveform: Float[np.ndarray, "samples"],
    ) -> DrivenRow:
        if SYNC not in self._networks.loaded:
            return row
        found = sync_score(self._networks.loaded[SYNC], pictures, faces.points_px, waveform)
        return row if found is None else replace(row, sync_confidence=found.confidence, sync_distance=found.distance)

    def _real(self, frames: Iterable[int]) -> Iterator[Picture]:
        return (held_out.resized(picture, self._camera) for picture in held_out.real_pictures(self._clip, frames))

    def _kept(
        self, name: str, pictures: Iterable[Picture], poses: Sequence[int], moments: Sequence[Moment]
    ) -> Iterator[Picture]:
        """Pass the pictures on; write those that are wanted as files, and hold those of the contact sheet."""
        scale = self._camera.height / self._clip.info.height
        wanted: dict[int, list[Moment]] = {}
        for moment in moments:
            wanted.setdefault(moment.frame, []).append(moment)
        for k, picture in enumerate(pictures):
            if self._frames_dir is not None:
                write_image(self._place(name, k), picture, durable=False)
            for moment in wanted.get(k, ()):
                box = np.round(held_out.mouth_boxes(self._clip, [poses[k]])[0] * scale).astype(int)
                self.shown.append(Shown(moment, picture, box))
            yield picture

    def _saved(self, name: str, n_frames: int) -> Iterator[Picture]:
        """The pictures written by :meth:`_kept`, and none that a longer sound left in the folder before."""
        return (read_image(self._place(name, k)) for k in range(n_frames))

    def _place(self, name: str, k: int) -> Path:
        assert self._frames_dir is not None
        return self._frames_dir / f"{k:06d}_{name.replace(' ', '_')}.png"


def _to_and_fro(n_poses: int, n_frames: int) -> list[int]:
    """The clip's frames forwards and backwards, as the papers' programs do: so each picture has its real torso."""
    period = max(1, 2 * (n_poses - 1))
    return [min(k % period, period - k % period) for k in range(n_frames)]


def _film(path: Path, n_frames: int) -> Iterator[Picture]:
    return (frame.image for frame in islice(read_frames(path, fps=FPS), n_frames))


def _lengthened(points: Float[np.ndarray, "frames 478 axes"], n_frames: int) -> Float[np.ndarray, "all 478 axes"]:
    """NaN where the film ends before its sound."""
    whole = np.full((n_frames, *points.shape[1:]), np.nan, points.dtype)
    whole[: len(points)] = points
    return whole


def _check_length(seconds: float, spoken: Phones, sound: Path) -> None:
    if seconds * FPS < LEAST_FRAMES:
        raise InputError(
            f"{sound} lasts {seconds:.2f} s; lips can be judged from {LEAST_FRAMES / FPS:g} s of speech on."
        )
    end_s = max((item.end_s for item in spoken.segments), default=0.0)
    if end_s > seconds + LATE_PHONES_S:
        raise InputError(
            f"The phones of {spoken.source} end at {end_s:.2f} s, but {sound} lasts {seconds:.2f} s: "
            "they belong to another sound, or are not in seconds."
        )


def _notes(portrait: Portrait, clip: Clip, spoken: Phones) -> Iterator[str]:
    if (note := held_out.other_clip_note(portrait, clip)) is not None:
        yield note
    if spoken.source == "heard":
        yield (
            "No phone times were given (--phones), so phones are those that the phonetic encoder hears; it misses and mistakes "
            "some (docs/phonetic-encoder.md)."
        )
        if portrait.speech_kind in PHONETIC_KINDS:
            yield "This portrait listens to the same encoder, so what the encoder mistakes does not count against it."
    else:
        yield f"The phones of the row {PERSON!r} are those that the phonetic encoder hears in the clip's own sound."
    judged = {"bilabials": {"bilabial"}, "open vowels": OPEN_VOWELS, "close vowels": CLOSE_VOWELS}
    counts = {name: sum(item.name in kind for item in spoken.segments) for name, kind in judged.items()}
    if few := [f"{name}: {count}" for name, count in counts.items() if count < LEAST_PHONES]:
        yield f"Too few in this sound to be judged, which takes {LEAST_PHONES} of each ({', '.join(few)})."
    if spoken.unknown:
        yield f"Phones of {spoken.source} that are neither IPA nor ARPAbet were left out: {', '.join(spoken.unknown)}."
