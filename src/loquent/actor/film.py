"""A film of the actor: an ordinary mp4 with sound, and, when asked for, the truth about every frame."""

from pathlib import Path

import numpy as np

from loquent.actor.scene import Actor
from loquent.actor.script import make_script
from loquent.actor.voice import speak
from loquent.media.audio import write_wav
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.media.writer import VideoWriter
from loquent.storage import atomic_path


def film(path: Path, *, duration_s: float = 16.0, size: int = 320, seed: int = 0, truth: Path | None = None) -> None:
    """Film the actor of `seed` for `duration_s` seconds at 25 frames per second, `size` pixels square.

    Args:
        path: the mp4 to write.
        duration_s: at least 1 second.
        size: even, at least 64 pixels.
        seed: who it is and what is said; see :func:`loquent.actor.script.make_script`.
        truth: an ``.npz`` file to write as well: ``world_from_camera [F,4,4]`` (volume frame), ``focal_px``,
            ``blink [F,2]`` (0 open to 1 closed, image left first), ``lip_opening [F]`` and ``lip_width [F]`` (in distances
            between the outer corners of the eyes), ``phones [P]``, ``phone_start_s [P]``, ``phone_end_s [P]``,
            ``matte [F,h,w,3]`` (head, torso, background).

    Raises:
        OutputError: a file cannot be written.
    """
    actor, script = Actor(size, seed), make_script(duration_s, seed)
    mattes, poses, lips = [], [], []
    with VideoWriter(
        path,
        height=size,
        width=size,
        fps=script.fps,
        sound=speak(script, SAMPLE_RATE_HZ),
        sample_rate_hz=SAMPLE_RATE_HZ,
    ) as video:
        for i in range(script.n_frames):
            frame = actor.render(script, i)
            video.write(frame.image)
            if truth is not None:
                mattes.append(frame.matte)
                poses.append(frame.world_from_camera)
                lips.append(actor.lips(script.expression(i)))
    if truth is None:
        return
    opening, width = np.array(lips).T
    with atomic_path(truth) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            world_from_camera=np.array(poses),
            focal_px=np.array(actor.camera.fx),
            blink=script.blink,
            lip_opening=opening,
            lip_width=width,
            phones=np.array([s.phone for s in script.spoken]),
            phone_start_s=np.array([s.start_s for s in script.spoken]),
            phone_end_s=np.array([s.end_s for s in script.spoken]),
            matte=np.array(mattes),
        )


def film_voice(path: Path, duration_s: float = 8.0, seed: int = 0) -> None:
    """Write only the sound of another performance by the actor of `seed` (a wav file): sentences the film does not have.

    Raises:
        OutputError: the file cannot be written.
    """
    write_wav(path, speak(make_script(duration_s, seed + 1000), SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
