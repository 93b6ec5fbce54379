"""How surely `prepare` finds the offset between sound and lips: pieces of lip tracks, their sound delayed by known times, and
other people's sound, which must not be trusted.

The offset that a track has by itself is taken from regressors taught the lips of the other people
(`research.phonetic.lip_tracks.find_offsets`).
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from loquent.prepare.sound_offset import APPLY_FROM, SoundOffset, measure_sound_offset
from loquent.speech.kinds import extract
from loquent.speech.phonetic_net import CLASSES
from research.phonetic.evaluate import clip_track
from research.phonetic.lip_tracks import FPS, Track, find_offsets, read_tracks

RATE_HZ = 16000
LENGTHS = (75, 125, 200, 400)
"""Frames of the pieces."""
LARGEST_DELAY_S = 0.35
DELAYS_A_PIECE = 3
TOLERANCE_S = 0.06


def measure(item: Track, frames: slice, sound_from_s: float, sound: np.ndarray) -> SoundOffset:
    """The offset of some frames of a track with the sound from `sound_from_s` on; silence where there is none."""
    n_frames = frames.stop - frames.start
    moments = np.arange(round(n_frames * RATE_HZ / FPS)) + round(sound_from_s * RATE_HZ)
    is_there = (moments >= 0) & (moments < len(sound))
    heard = np.where(is_there, sound[moments.clip(0, len(sound) - 1)], 0).astype(np.float32)
    return measure_sound_offset(item.raw_opening[frames], item.width[frames], np.arange(n_frames), heard, FPS)


def pieces(item: Track, length: int) -> list[slice]:
    """Pieces of `length` frames side by side."""
    starts = range(0, len(item.opening) + 1, length)
    return [slice(start, end) for start, end in pairwise(starts)]


def judge(tracks: list[Track]) -> dict[str, dict[str, float]]:
    """Figures for each length in seconds; offsets of whole tracks under their names."""
    neck = [extract("phonetic", item.sound).numpy()[:, len(CLASSES) :] for item in tracks]
    taught = dict(zip([item.name for item in tracks], find_offsets(tracks, neck), strict=True))
    whole = {item.name: measure(item, slice(0, len(item.opening)), item.times_s[0], item.sound) for item in tracks}
    result = {
        name: {"offset": found.measured_s, "confidence": found.confidence, "taught": round(float(taught[name]), 2)}
        for name, found in whole.items()
    }
    # Both ways leave a common constant open: when lips that are in sync are seen to move.
    constant = float(np.median([whole[name].measured_s - taught[name] for name in whole]))
    rng = np.random.default_rng(0)
    for length in LENGTHS:
        errors, sure, trusted = [], [], []
        for item in tracks:
            for piece in pieces(item, length):
                for delay_s in rng.uniform(-LARGEST_DELAY_S, LARGEST_DELAY_S, DELAYS_A_PIECE):
                    found = measure(item, piece, item.times_s[piece.start] - delay_s, item.sound)
                    errors.append(abs(found.measured_s - delay_s - taught[item.name] - constant))
                    sure.append(found.confidence >= APPLY_FROM)
            for other in tracks:
                if other is not item and other.name[:4] != item.name[:4] and len(other.sound) >= length / FPS * RATE_HZ:
                    trusted += [measure(item, piece, 0.0, other.sound) for piece in pieces(item, length)[:1]]
        right = np.array(errors) <= TOLERANCE_S
        result[f"{length / FPS:g} s"] = {
            "pieces": len(errors),
            "right": round(float(right.mean()), 3),
            "sure": round(float(np.mean(sure)), 3),
            "right_if_sure": round(float(right[sure].mean()), 3),
            "others": len(trusted),
            "others_moved": round(float(np.mean([abs(found.applied_s) > TOLERANCE_S for found in trusted])), 3),
            "others_confidence": round(float(np.mean([found.confidence for found in trusted])), 3),
        }
    return result


def main() -> None:
    """Judge the way in which `prepare` finds offsets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=Path, required=True, help="folder of lip tracks (npz)")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="prepared clips to add to the tracks")
    arguments = parser.parse_args()
    tracks = read_tracks(arguments.tracks) + [clip_track(folder) for folder in arguments.clips]
    print(json.dumps(judge(tracks), indent=1))


if __name__ == "__main__":
    main()
