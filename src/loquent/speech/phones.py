"""When which phone is spoken: read from a file of known times, or heard in a sound by the phonetic encoder.

A phone file is one of

* a table (``.csv``, ``.tsv``) with the columns ``start_s``, ``end_s`` and ``phone``,
* a TextGrid of Praat in its text form, as forced aligners write it: the tier whose name speaks of phones or segments,
* a label file (``.lab``) of lines ``start end phone``, in seconds, or in HTK's integers of 100 ns.

Phones are named in IPA, or all of them in ARPAbet (capital or small, digits of stress allowed); an empty name, ``sil``,
``sp`` and the like are silence. Which of the two it is follows from the names: ARPAbet has no vowel of one letter.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from loquent.errors import InputError
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.speech.articulation import ARPABET_CLASSES, classes_of_ipa
from loquent.speech.kinds import extract, speech_kind
from loquent.speech.phonetic_net import CLASSES
from loquent.storage import write_bytes
from loquent.tables import number, read_text, table_rows

COLUMNS = ("start_s", "end_s", "phone")
SILENCES = frozenset(("", "_", "#", "h#", "sil", "sp", "pau", "epi", "<p:>", "<sil>", "<eps>"))
NOISES = frozenset(("spn", "nsn", "noi", "<unk>", "<nib>", "<usb>"))
"""What aligners write where they understood nothing."""
LEAST_STEPS = 2
"""A class that the encoder hears for less (40 ms) is flicker."""
_HTK_PER_SECOND = 1e7
_ADVICE = (
    f"Wanted is a table with the columns {', '.join(COLUMNS)}, a TextGrid of Praat, or lines 'start end phone' (.lab)."
)


@dataclass(frozen=True)
class Segment:
    """One phone, or half a diphthong: an articulatory class from its beginning to its end."""

    start_s: float
    end_s: float
    name: str
    """A name in `loquent.speech.phonetic_net.CLASSES`."""
    phone: str
    """As the file names it; the class's own name where it was heard."""


@dataclass(frozen=True)
class Phones:
    """What is spoken when."""

    source: str
    """``heard``, or the file's name."""
    segments: tuple[Segment, ...]
    """In order; a diphthong is two of them."""
    unknown: tuple[str, ...] = ()
    """Names in the file that belong to no class, and were left out."""


def read_phones(path: Path) -> Phones:
    """Read a file of known phone times.

    Raises:
        InputError: it cannot be read, is in none of the forms, its times are not in order, or it names no known phone.
    """
    text = read_text(path)
    try:
        if "ooTextFile" in text[:200] or path.suffix.lower() == ".textgrid":
            rows = _from_text_grid(text)
        elif path.suffix.lower() == ".lab":
            rows = _from_labels(text)
        else:
            rows = _from_table(text)
        times = np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as cause:
        raise InputError(f"{path} is no file of phone times ({cause}). {_ADVICE}") from cause
    if not np.isfinite(times).all() or (times[:, 1] < times[:, 0]).any() or (np.diff(times[:, 0]) < 0).any():
        raise InputError(f"{path}: every phone must end after it starts, and starts must not go back in time.")
    segments, unknown = _classified(rows)
    if not any(item.name != "silence" for item in segments):
        raise InputError(
            f"{path} names no phone that is known as IPA or ARPAbet; it has {', '.join(unknown[:8]) or 'only silence'}."
        )
    return Phones(path.name, segments, unknown)


def write_phones(path: Path, phones: Sequence[tuple[float, float, str]]) -> None:
    """Write (start in seconds, end in seconds, phone) as a table that :func:`read_phones` reads: CSV, or TSV by its ending."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    writer.writerow(COLUMNS)
    writer.writerows((f"{start:.4f}", f"{end:.4f}", phone) for start, end, phone in phones)
    write_bytes(path, text.getvalue().encode())


def hear_phones(waveform: Float[np.ndarray, "samples"]) -> Phones:
    """What the phonetic encoder hears in a sound at 16 kHz: at every moment the likeliest class, flicker left out.

    It errs (docs/phonetic-encoder.md), so figures made from it say how the lips follow the sound as it was heard.
    """
    rate_hz = speech_kind("phonetic").rate_hz
    likeliest = extract("phonetic", waveform, SAMPLE_RATE_HZ)[:, : len(CLASSES)].argmax(dim=1).numpy()
    starts = np.flatnonzero(np.diff(likeliest, prepend=-1))
    ends = np.append(starts[1:], len(likeliest))
    names = [CLASSES[likeliest[start]] for start in starts]
    return Phones(
        "heard",
        tuple(
            Segment(max(0.0, (start - 0.5) / rate_hz), (end - 0.5) / rate_hz, name, name)
            for start, end, name in zip(starts.tolist(), ends.tolist(), names, strict=True)
            if end - start >= LEAST_STEPS
        ),
    )


Row = tuple[float, float, str]


def _classified(rows: Sequence[Row]) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    spoken = [name for *_, name in rows if name.lower() not in SILENCES | NOISES]
    is_arpabet = all(_arpabet(name) in ARPABET_CLASSES for name in spoken)
    segments, unknown = [], []
    for start, end, name in rows:
        if name.lower() in SILENCES:
            classes: Sequence[str] = ("silence",)
        elif name.lower() in NOISES:
            classes = ()
        else:
            classes = ARPABET_CLASSES[_arpabet(name)] if is_arpabet else classes_of_ipa(name)
        if not classes and name not in unknown:
            unknown.append(name)
        for part, item in enumerate(classes):
            length = (end - start) / len(classes)
            segments.append(Segment(start + part * length, start + (part + 1) * length, item, name))
    return tuple(segments), tuple(unknown)


def _arpabet(name: str) -> str:
    return name.lower().rstrip("012")


def _from_table(text: str) -> list[Row]:
    rows = table_rows(text, COLUMNS).values()
    return [(number(row["start_s"]), number(row["end_s"]), row["phone"]) for row in rows]


def _from_labels(text: str) -> list[Row]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    is_htk = (
        all(start.isdigit() and end.isdigit() for start, end, *_ in lines) and int(lines[-1][1]) > _HTK_PER_SECOND / 100
    )
    unit = _HTK_PER_SECOND if is_htk else 1.0
    return [(float(start) / unit, float(end) / unit, name[0] if name else "") for start, end, *name in lines]


def _from_text_grid(text: str) -> list[Row]:
    """Both text forms hold the same strings and numbers in the same order; the long one only writes words around them."""
    bare = re.sub(r"\[\d*\]", "", text)
    found = iter(re.findall(r'"(?:[^"]|"")*"|(?<![\w.])[-+]?\d[\d.]*(?:[eE][-+]?\d+)?', bare))
    for _ in range(4):  # the file's type and class, its beginning and end
        next(found, None)
    tiers = dict(_tiers(found))
    chosen = [name for name in tiers if re.search(r"phon|seg|mau", name, re.IGNORECASE)] or [*tiers]
    if len(chosen) != 1:
        raise ValueError(f"its interval tiers are {', '.join(tiers) or 'none'}; one must be called phones")
    return tiers[chosen[0]]


def _tiers(found: Iterator[str]) -> Iterator[tuple[str, list[Row]]]:
    """Interval tiers by name; tiers of points are passed over."""
    for _ in range(int(next(found, "0"))):
        kind, name, _, _, count = (next(found, "") for _ in range(5))
        size = 3 if kind == '"IntervalTier"' else 2
        rows = [[next(found, "") for _ in range(size)] for _ in range(int(count))]
        if size == 3:
            yield name.strip('"'), [(float(low), float(high), mark.strip('"').strip()) for low, high, mark in rows]
