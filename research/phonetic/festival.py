"""Speech from festival's voices and from flite, with the time of every phone."""

import subprocess
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from research.phonetic import text
from research.phonetic.classes import SIGN_CLASSES
from research.phonetic.speech import SAMPLE_RATE_HZ, Utterance, utterance

VOICES = {
    "kal_diphone": ("radio", "en", "ascii"),
    "ked_diphone": ("radio", "en", "ascii"),
    "cmu_us_slt_arctic_hts": ("radio", "en", "ascii"),
    "czech_ph": ("czech", "cs", "iso8859-2"),
    "czech_dita": ("czech", "cs", "iso8859-2"),
    "czech_krb": ("czech", "cs", "iso8859-2"),
    "czech_machac": ("czech", "cs", "iso8859-2"),
    "hy_fi_mv_diphone": ("finnish", "fi", "latin1"),
    "suo_fi_lj_diphone": ("finnish", "fi", "latin1"),
    "hindi_NSK_diphone": ("indic", "hi", "utf8"),
    "marathi_NSK_diphone": ("indic", "hi", "utf8"),
    "telugu_NSK_diphone": ("indic", "te", "utf8"),
    "lp_diphone": ("italian", "it", "latin1"),
    "pc_diphone": ("italian", "it", "latin1"),
    "msu_ru_nsh_clunits": ("russian", "ru", "utf8"),
    "upc_ca_ona_hts": ("catalan", "ca", "latin1"),
}
"""festival's voices: their phone set, the language of their text and how it must be encoded."""
FLITE_VOICES = ("awb", "rms", "slt", "kal16")
_PAUSES = ("pau", "#", "##", "_", "h#", "brth", "@pau")
_BATCH_TIMEOUT_S = 240


def batch(voice: str, n_utterances: int, rng: np.random.Generator, folder: Path) -> list[Utterance]:
    """Random sentences in one voice of festival, one process for all of them; those that fail are left out."""
    kind, language, encoding = VOICES[voice]
    lines = [f"(voice_{voice})"]
    for number in range(n_utterances):
        sentence = (
            text.sentence(language, rng).encode(encoding, "ignore").decode("latin1").replace('"', "").replace("\\", "")
        )
        lines.append(f"(Parameter.set 'Duration_Stretch {rng.uniform(0.75, 1.35):.2f})")
        lines.append(
            f"(unwind-protect (let ((u (utt.synth (eval (list 'Utterance 'Text \"{sentence}\")))))"
            f' (utt.save.wave u "{folder}/{number}.wav" \'riff) (utt.save.segs u "{folder}/{number}.lab")) nil)'
        )
    script = folder / "say.scm"
    script.write_bytes("\n".join(lines).encode("latin1"))
    subprocess.run(["festival", "-b", script], capture_output=True, timeout=_BATCH_TIMEOUT_S, check=False)
    spoken = []
    for number in range(n_utterances):
        sound, labels = folder / f"{number}.wav", folder / f"{number}.lab"
        if sound.exists() and labels.exists():
            rows = [line.split() for line in labels.read_text(errors="ignore").splitlines() if len(line.split()) == 3]
            spoken.append(_utterance(sound, [(float(row[0]), row[2]) for row in rows], kind))
            sound.unlink(), labels.unlink()
    return spoken


def flite(voice: str, sentence: str, folder: Path) -> Utterance:
    """One sentence of flite, the synthesiser that training never hears."""
    sound = folder / "flite.wav"
    command = ["flite", "-voice", voice, "-psdur", "-t", sentence, "-o", str(sound)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    ends = [(float(end), name) for name, _, end in (item.partition(":") for item in answer)]
    return _utterance(sound, ends, "radio")


def _utterance(sound: Path, ends: list[tuple[float, str]], kind: str) -> Utterance:
    rate_hz, samples = wavfile.read(sound)
    waveform = samples.astype(np.float64) / 32768
    if rate_hz != SAMPLE_RATE_HZ:
        waveform = resample_poly(waveform, SAMPLE_RATE_HZ, rate_hz)
    segments, start = [], 0.0
    for end, name in ends:
        names = ["silence"] if name in _PAUSES else SIGN_CLASSES[kind].get(name, [])
        segments.append((start, end, names))
        start = end
    return utterance(waveform.astype(np.float32), segments)
