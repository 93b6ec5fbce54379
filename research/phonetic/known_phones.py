"""A test utterance of no one's voice with the time of every phone: a WAV file and beside it the table that
`loquent evaluate --drive --phones` reads.

    python -m research.phonetic.known_phones hello.wav --voice de --seconds 15
"""

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from loquent.media.audio import write_wav
from loquent.speech.phones import write_phones
from research.phonetic import espeak, text
from research.phonetic.speech import SAMPLE_RATE_HZ, with_closures

PAUSE_S = 0.5
"""Silence before each sentence, and after the last."""


def named_phones(waveform: np.ndarray, phones: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """The phones with the silent closures of stops given back to them, each one row."""
    rows: dict[int, tuple[float, float, str]] = {}
    for start, end, _, place in with_closures(waveform, [(a, b, espeak.classes(name)) for a, b, name in phones]):
        begun = rows[place][0] if place in rows else start
        rows[place] = (begun, end, phones[place][2])
    return [rows[place] for place in sorted(rows)]


def speak(
    voice: str, sentences: Iterable[str], least_s: float
) -> tuple[np.ndarray, list[tuple[float, float, str]]] | None:
    """Sentences one after another at 16 kHz, with pauses, until the sound lasts `least_s` or they end, and all their phones.

    None where the voice does not exist or says nothing of a sentence.
    """
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    sound, rows = [pause], [(0.0, PAUSE_S, "")]
    for sentence in sentences:
        spoken = espeak.engine().speak(voice, sentence)
        if spoken is None:
            return None
        waveform, phones = spoken
        begin_s = sum(len(piece) for piece in sound) / SAMPLE_RATE_HZ
        rows += [(begin_s + start, begin_s + end, name) for start, end, name in named_phones(waveform, phones)]
        end_s = begin_s + len(waveform) / SAMPLE_RATE_HZ
        rows.append((end_s, end_s + PAUSE_S, ""))
        sound += [waveform, pause]
        if rows[-1][1] >= least_s:
            break
    return np.concatenate(sound), rows


def main() -> None:
    """Write the sound and its phones."""
    parser = argparse.ArgumentParser(prog="python -m research.phonetic.known_phones", description=__doc__)
    parser.add_argument("wav", type=Path, help="the sound to write; the phones go into a .csv of the same name")
    parser.add_argument("--voice", default="en-us", help="one of espeak-ng's, as in its --voices")
    parser.add_argument("--text", help="what to say; nothing = random sentences")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the random sentences together, about")
    parser.add_argument("--seed", type=int, default=0, help="of the random sentences")
    arguments = parser.parse_args()
    languages = espeak.LANGUAGES | espeak.UNSEEN_LANGUAGES
    if arguments.text is None and arguments.voice not in languages:
        sys.exit(
            f"There are words for {', '.join(languages)}, not for {arguments.voice}. Say what to speak with --text."
        )
    rng = np.random.default_rng(arguments.seed)
    at_random = (text.sentence(languages[arguments.voice], rng) for _ in itertools.count())
    try:
        spoken = speak(arguments.voice, at_random if arguments.text is None else [arguments.text], arguments.seconds)
    except OSError as cause:
        sys.exit(
            f"espeak-ng's library cannot be loaded ({cause}). On Debian: sudo apt-get install libespeak-ng1 espeak-ng-data"
        )
    if spoken is None:
        sys.exit(f"espeak-ng's voice {arguments.voice} says nothing of that. Its voices: espeak-ng --voices")
    waveform, rows = spoken
    write_wav(arguments.wav, waveform, SAMPLE_RATE_HZ)
    write_phones(arguments.wav.with_suffix(".csv"), rows)
    print(f"Wrote {arguments.wav} ({rows[-1][1]:.1f} s) and {arguments.wav.with_suffix('.csv')}.")


if __name__ == "__main__":
    main()
