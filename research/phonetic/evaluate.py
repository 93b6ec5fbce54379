"""Judges an encoder: accuracy on speech it never heard, real people's lips from frozen features, and speed."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from loquent.data.clip import Clip
from loquent.errors import InputError, LoquentError
from loquent.face.lips import lip_opening, lip_width
from loquent.media.audio import read_waveform
from loquent.prepare.sound_offset import LIPS_LEAD_S
from loquent.speech.closures import meeting
from loquent.speech.kinds import extract
from loquent.speech.phonetic_net import CLASSES
from loquent.speech.usual_lips import lip_claims, usual_lips
from loquent.storage import write_json
from research.phonetic import lip_tracks, shards
from research.phonetic.classes import IGNORED, index
from research.phonetic.lip_tracks import Track

N_CLASSES = len(CLASSES)
LONG_FRAMES = 150
SHUT_OPENING = -1.5
"""Opening of lips that meet, in standard deviations of a person's openings, drift removed."""
KINDS = {"causal": "phonetic_causal", "offline": "phonetic"}


def accuracy(folder: Path, kind: str) -> dict[str, dict[str, float]]:
    """Share of steps whose class is right, and of the bilabial ones, for each test source of the corpus."""
    result = {}
    sources = sorted({path.name.rsplit("-", 1)[0] for path in folder.glob("*.npz")} - {"espeak"})
    for source in [name for name in sources if name.startswith(("flite", "unseen"))]:
        right = count = closed = closures = 0
        for path in sorted(folder.glob(f"{source}-*.npz")):
            for item in shards.read(path):
                found = extract(kind, item.waveform)[:, :N_CLASSES].argmax(1).numpy()
                times = np.arange(len(found)) / 50
                labels = item.labels[np.searchsorted(item.starts_s, times, side="right").clip(1) - 1]
                known, bilabial = labels != IGNORED, labels == index("bilabial")
                right, count = right + (found == labels)[known].sum(), count + known.sum()
                closed, closures = closed + (found == labels)[bilabial].sum(), closures + bilabial.sum()
        result[source] = {"accuracy": round(float(right / count), 4), "bilabial": round(float(closed / closures), 4)}
    return result


def clip_track(folder: Path) -> Track:
    """A prepared clip's training frames as a track."""
    clip = Clip.open(folder)
    ids = clip.track.frame_ids[: clip.info.n_train].numpy()
    landmarks = clip.track.landmarks_px[: clip.info.n_train].numpy()
    grid = np.arange(ids[0], ids[-1] + 1)
    opening, width = (np.interp(grid, ids, f(landmarks)) for f in (lip_opening, lip_width))
    return lip_tracks.track(folder.name, opening, width, grid / 25.0, read_waveform(folder / "sound.wav"))


def lips(tracks: list[Track]) -> dict[str, dict[str, float]]:
    """Correlation with each left-out person's lips, mean over at least two people, for several features; the offsets are
    common to all."""
    described = _descriptions([item.sound for item in tracks])
    offsets = lip_tracks.find_offsets(tracks, described["log-mel + both"])
    times = [item.times_s + offset for item, offset in zip(tracks, offsets, strict=True)]
    phonetic = described["posteriors + bottleneck"]
    untaught, common_s = _untaught(tracks, phonetic, times)
    spoken = [_at(f[:, index("silence")], t + common_s) < 0.5 for f, t in zip(phonetic, times, strict=True)]
    openings, result = {}, {}
    for name, features in described.items():
        openings[name], width = _foretold(features, tracks, times)
        result[name] = _judged(openings[name], tracks, spoken) | {"width": round(width, 3)}
    # As portraits do, but without log-mel and kernels: a regression for each description, and their mean.
    mean = "mean of bottleneck and claims"
    openings[mean] = [(a + b) / 2 for a, b in zip(openings["bottleneck"], openings["claims"], strict=True)]
    result[mean] = _judged(openings[mean], tracks, spoken)
    for name in ("bottleneck", mean):
        met = [_shut(o, f, t + common_s) for o, f, t in zip(openings[name], phonetic, times, strict=True)]
        result[f"{name}, shut on p b m"] = _judged(met, tracks, spoken)
    result["no real data"] = {**_judged(untaught, tracks, spoken), "sound_shifted_s": round(common_s, 3)}
    return result


def _descriptions(sounds: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Features [steps, width] of each sound, by the names of the table's rows."""
    mel, phonetic, causal = (
        [extract(kind, sound).numpy() for sound in sounds] for kind in ("log_mel", "phonetic", "phonetic_causal")
    )
    heard = [features[:, :N_CLASSES] for features in phonetic]
    return {
        "log-mel": mel,
        "posteriors": heard,
        "bottleneck": [features[:, N_CLASSES:] for features in phonetic],
        "claims": [lip_claims(torch.from_numpy(features)).numpy() for features in heard],
        "posteriors + bottleneck": phonetic,
        "causal form": causal,
        "log-mel + both": [np.concatenate(pair, axis=1) for pair in zip(mel, phonetic, strict=True)],
    }


def _foretold(
    features: list[np.ndarray], tracks: list[Track], times: list[np.ndarray]
) -> tuple[list[Float[np.ndarray, "frames"]], float]:
    """Each person's opening as a ridge on the others foretells it, and the mean correlation of the width, likewise."""
    inputs = [lip_tracks.windows(f, t) for f, t in zip(features, times, strict=True)]
    wanted = [np.stack([item.opening, item.width], axis=1) for item in tracks]
    predictions = lip_tracks.left_out(inputs, wanted)
    opening, width = (lip_tracks.scores(predictions, wanted, target) for target in range(2))
    people = np.arange(len(tracks))
    openings = [predictions[c, p][:, 0] for p, c in zip(people, lip_tracks.fair_choice(opening), strict=True)]
    return openings, float(width[lip_tracks.fair_choice(width), people].mean())


def _shut(
    opening: Float[np.ndarray, "frames"], features: Float[np.ndarray, "steps 64"], times_s: Float[np.ndarray, "frames"]
) -> Float[np.ndarray, "frames"]:
    """A predicted opening, of unit variance in people, brought to `SHUT_OPENING` where a p, b or m is heard, by the
    rule that brings portraits' lips to rest there.

    Usual lips agree best with the sound of `times_s`; `loquent prepare` lays it where they do `LIPS_LEAD_S` later.
    """
    steps = torch.arange(len(features))
    share = _at(meeting("phonetic", torch.from_numpy(features), steps).numpy(), times_s - LIPS_LEAD_S)
    return np.asarray((1 - share) * opening + share * SHUT_OPENING)


def _judged(openings: list[np.ndarray], tracks: list[Track], spoken: list[np.ndarray]) -> dict[str, float]:
    """Every figure that openings have."""
    return _rounded(_opening(openings, tracks) | _closures(openings, tracks, spoken))


def _opening(openings: list[np.ndarray], tracks: list[Track]) -> dict[str, float]:
    found = [
        lip_tracks.correlation(lip_tracks.high_passed(o), item.opening)
        for o, item in zip(openings, tracks, strict=True)
    ]
    long = [r for r, item in zip(found, tracks, strict=True) if len(item.opening) > LONG_FRAMES]
    row = {"opening": float(np.mean(found))}
    return row | ({"opening_long_clips": float(np.mean(long))} if long else {})


def _closures(openings: list[np.ndarray], tracks: list[Track], spoken: list[np.ndarray]) -> dict[str, float]:
    """Closure recall over all moments when lips meet, and over those of them in which the encoder hears speech; no row where
    there are none."""
    hits = [lip_tracks.closure_hits(o, item) for o, item in zip(openings, tracks, strict=True)]
    in_speech = [is_hit[heard[moments]] for (moments, is_hit), heard in zip(hits, spoken, strict=True)]
    rows = {
        "closure_recall": np.concatenate([is_hit for _, is_hit in hits]),
        "closure_recall_in_speech": np.concatenate(in_speech),
    }
    return {name: float(found.mean()) for name, found in rows.items() if found.size}


def _rounded(row: dict[str, float]) -> dict[str, float]:
    return {key: round(float(value), 3) for key, value in row.items()}


def _untaught(
    tracks: list[Track], features: list[np.ndarray], times: list[np.ndarray]
) -> tuple[list[np.ndarray], float]:
    """The usual openings under each sound, and by how many seconds all sounds are shifted for them: the estimated offsets
    leave a common constant open, and this one suits the people best who are judged."""
    openings = [usual_lips(torch.from_numpy(f[None, :, :N_CLASSES]))[0, 0].numpy() for f in features]
    shifted = {
        float(shift): [_at(o, t + shift) for o, t in zip(openings, times, strict=True)]
        for shift in np.arange(-0.1, 0.101, 0.02)
    }
    best = max(shifted, key=lambda shift: _opening(shifted[shift], tracks)["opening"])
    return shifted[best], best


def _at(values: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    return np.interp(times_s, np.arange(len(values)) / 50, values)


def real_time_factor(kind: str) -> float:
    """Seconds of sound per second of computing, on one core, for a minute of noise."""
    torch.set_num_threads(1)
    sound = 0.05 * np.random.default_rng(0).standard_normal(16000 * 60).astype(np.float32)
    extract(kind, sound[:16000])
    begin = time.process_time()
    extract(kind, sound)
    return round(60 / (time.process_time() - begin), 1)


def judge(corpus: Path | None, tracks_folder: Path | None, clips: list[Path], target: Path | None) -> None:
    """Print every figure there is data for, and write them as JSON if `target` is given.

    Raises:
        InputError: tracks and clips hold one person alone.
    """
    tracks = lip_tracks.read_tracks(tracks_folder) if tracks_folder else []
    tracks += [clip_track(folder) for folder in clips]
    if len(tracks) == 1:
        raise InputError("Lips are foretold from other people's: at least two tracks or clips are wanted, not one.")
    figures: dict[str, object] = {"real_time_factor": {form: real_time_factor(kind) for form, kind in KINDS.items()}}
    if corpus:
        figures["accuracy"] = {form: accuracy(corpus, kind) for form, kind in KINDS.items()}
    if tracks:
        figures["lips"] = lips(tracks)
    print(json.dumps(figures, indent=1))
    if target:
        write_json(target, figures)


def main() -> None:
    """Judge the shipped encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="folder with the test shards")
    parser.add_argument("--tracks", type=Path, help="folder of lip tracks (npz)")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="prepared clips, judged with the tracks")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    try:
        judge(arguments.corpus, arguments.tracks, arguments.clips, arguments.json)
    except LoquentError as cause:
        parser.error(str(cause))


if __name__ == "__main__":
    main()
