"""The whole road: corpus, training, the weights put into the package, figures. Stopped at any point, it goes on from there."""

import argparse
import shutil
from pathlib import Path

from loquent.speech import phonetic
from research.phonetic import corpus, evaluate, train


def main() -> None:
    """Build the encoder from nothing."""
    parser = argparse.ArgumentParser(prog="python -m research.phonetic", description=__doc__)
    parser.add_argument("workplace", type=Path, help="folder for the corpus (2 GB), checkpoints and figures")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full corpus")
    parser.add_argument("--steps", type=int, default=train.STEPS, help="training steps")
    parser.add_argument("--tracks", type=Path, help="folder of lip tracks (npz) to judge the encoder on")
    arguments = parser.parse_args()
    place: Path = arguments.workplace
    corpus.build_all(place / "corpus", arguments.scale)
    train.train(place / "corpus", place / phonetic.WEIGHTS, arguments.steps)
    shutil.copyfile(place / phonetic.WEIGHTS, Path(phonetic.__file__).with_name(phonetic.WEIGHTS))
    evaluate.judge(place / "corpus", arguments.tracks, [], place / "figures.json")


if __name__ == "__main__":
    main()
