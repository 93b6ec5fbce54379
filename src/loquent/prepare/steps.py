"""All steps of `loquent prepare` in order, and the function that runs them."""

from pathlib import Path

from loquent.config import PrepareConfig
from loquent.data.clip import Clip
from loquent.prepare.assemble import assemble_step
from loquent.prepare.ingest import frames_step, survey_step
from loquent.prepare.landmarks import landmarks_step
from loquent.prepare.picture_steps import background_step, mattes_step, picture_quality_step, torso_step
from loquent.prepare.pipeline import Observer, Step, run_pipeline
from loquent.prepare.preview import preview_step
from loquent.prepare.sound import sound_step, speech_step
from loquent.prepare.track import track_step


def prepare_steps(config: PrepareConfig) -> list[Step]:
    """The steps that turn a video into a clip folder."""
    return [
        survey_step(config.start_s, config.end_s),
        frames_step(config.size, config.start_s, config.end_s),
        landmarks_step(),
        sound_step(config.size, config.start_s, config.sound_offset_s),
        speech_step(config.speech_kind),
        track_step(config.size, config.focal_px),
        picture_quality_step(),
        background_step(),
        mattes_step(),
        torso_step(),
        preview_step(),
        assemble_step(config.size, config.start_s, config.end_s, config.speech_kind),
    ]


def prepare_clip(
    video: Path, folder: Path, config: PrepareConfig | None = None, observer: Observer | None = None
) -> Clip:
    """Turn a video into a clip folder, or finish one that was begun; finished steps are not repeated.

    Args:
        video: any file PyAV opens, showing one person who faces a still camera and speaks.
        folder: where the clip is made; it must be new, empty, or begun from the same video.
        config: sizes and times.
        observer: is told how it goes.

    Raises:
        InputError: the video cannot be used, or the folder holds something else.
        PreparationError: a step failed; the message names step, frame, cause and cure.
        OutputError: the disk is full or cannot be written.
    """
    run_pipeline(prepare_steps(config or PrepareConfig()), video, folder, observer)
    return Clip.open(folder)
