"""Files of synthetic speech with its labels."""

from pathlib import Path

import numpy as np

from research.phonetic.speech import Utterance


def write(path: Path, spoken: list[Utterance]) -> None:
    """Store utterances in one file, which is whole or not there."""
    temporary = path.with_suffix(".part.npz")
    np.savez(
        temporary,
        sound=np.concatenate([np.round(item.waveform.clip(-1, 1) * 32767).astype(np.int16) for item in spoken]),
        sound_ends=np.cumsum([len(item.waveform) for item in spoken]),
        starts_s=np.concatenate([item.starts_s for item in spoken]).astype(np.float32),
        labels=np.concatenate([item.labels for item in spoken]),
        label_ends=np.cumsum([len(item.labels) for item in spoken]),
    )
    temporary.rename(path)


def read(path: Path) -> list[Utterance]:
    """The utterances of a shard."""
    with np.load(path) as data:
        sounds = np.split(data["sound"], data["sound_ends"][:-1])
        starts = np.split(data["starts_s"], data["label_ends"][:-1])
        labels = np.split(data["labels"], data["label_ends"][:-1])
    return [Utterance(a.astype(np.float32) / 32767, b, c) for a, b, c in zip(sounds, starts, labels, strict=True)]
