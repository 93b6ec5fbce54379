"""Builds the corpus: shards of synthetic speech with phone timings. Shards that exist are kept, so it resumes."""

import argparse
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from research.phonetic import espeak, festival, shards, text
from research.phonetic.speech import SAMPLE_RATE_HZ, Utterance

SEED = 4


@dataclass(frozen=True)
class Shard:
    """One file of the corpus: `seconds` of one source, its own random seed."""

    source: str
    """espeak, unseen (espeak in the languages kept out), flite/VOICE or festival/VOICE."""
    number: int
    seconds: float

    @property
    def name(self) -> str:
        """File name without its ending."""
        return f"{self.source.replace('/', '-')}-{self.number:03d}"


def plan(scale: float) -> list[Shard]:
    """All shards, test ones first, training ones mixed; `scale` 1 is the shipped encoder's corpus."""
    planned = [Shard(f"flite/{voice}", 0, 150 * scale) for voice in festival.FLITE_VOICES]
    planned += [Shard("unseen", number, 240 * scale) for number in range(3)]
    for number in range(4):
        planned += [Shard("espeak", 6 * number + part, 600 * scale) for part in range(6)]
        planned += [Shard(f"festival/{voice}", number, 300 * scale) for voice in festival.VOICES]
    return planned


def build(shard: Shard, folder: Path) -> None:
    """Synthesise one shard unless it is there."""
    target = folder / f"{shard.name}.npz"
    if target.exists():
        return
    rng = np.random.default_rng([SEED, shard.number, *shard.source.encode()])
    spoken: list[Utterance] = []
    length_s = 0.0
    for item in _endless(shard.source, rng):
        spoken.append(item)
        length_s += len(item.waveform) / SAMPLE_RATE_HZ
        if length_s >= shard.seconds:
            break
    shards.write(target, spoken)


def _endless(source: str, rng: np.random.Generator) -> Iterable[Utterance]:
    kind, _, voice = source.partition("/")
    if kind in ("espeak", "unseen"):
        languages = espeak.LANGUAGES if kind == "espeak" else espeak.UNSEEN_LANGUAGES
        while True:
            item = espeak.random_utterance(languages, rng)
            if item is not None:
                yield item
    with tempfile.TemporaryDirectory() as folder:
        while True:
            if kind == "flite":
                yield festival.flite(voice, text.sentence("en", rng), Path(folder))
            else:
                yield from festival.batch(voice, 24, rng, Path(folder))


def build_all(folder: Path, scale: float, n_processes: int = 2) -> None:
    """Build every shard that is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    planned = plan(scale)
    with ProcessPoolExecutor(n_processes) as pool:
        for shard, _ in zip(planned, pool.map(build, planned, [folder] * len(planned)), strict=True):
            print(shard.name, flush=True)


def main() -> None:
    """Build the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full corpus")
    arguments = parser.parse_args()
    build_all(arguments.folder, arguments.scale)


if __name__ == "__main__":
    main()
