"""Lip tracks of real people, and how well lips follow from speech features of people never seen: ridge, person left out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import solve

from loquent.face.lips import high_pass

FPS = 25.0
REACH_S = 0.24
STEP_S = 0.02
STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 30000.0)
SHIFTS_S = np.arange(-0.3, 0.301, 0.02)
CLOSED_SHARE = 0.25


@dataclass(frozen=True)
class Track:
    """One person's lips at 25 frames a second and the sound."""

    name: str
    opening: np.ndarray
    """Between the lips over the eyes' distance, drift removed, unit variance."""
    raw_opening: np.ndarray
    width: np.ndarray
    """Between the corners, likewise drift removed and scaled."""
    times_s: np.ndarray
    """Of the frames, on the sound's own clock."""
    sound: np.ndarray


def read_tracks(folder: Path) -> list[Track]:
    """Every track of the folder."""
    return [_read(path) for path in sorted(folder.glob("*.npz"))]


def track(name: str, opening: np.ndarray, width: np.ndarray, times_s: np.ndarray, sound: np.ndarray) -> Track:
    """A track from raw measurements at 25 frames a second."""
    return Track(name, _steady(opening), opening, _steady(width), times_s, sound)


def _read(path: Path) -> Track:
    with np.load(path) as data:
        times, start = data["picture_s"].astype(float), float(data["sound_start_s"])
        grid = np.arange(times[0], times[-1] + 1e-6, 1 / FPS)
        opening, width = (np.interp(grid, times, data[name].astype(float)) for name in ("opening", "width"))
        sound = data["sound"].astype(np.float32) / 32768
    return track(path.stem, opening, width, grid - start, sound)


def _steady(values: np.ndarray) -> np.ndarray:
    result = high_passed(values)
    return result / (result.std() + 1e-9)


def high_passed(values: np.ndarray) -> np.ndarray:
    """Without slow drift, which no sound explains."""
    return high_pass(values, FPS)


def windows(features: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Features within +-REACH_S of each time, [times, steps * width], between steps linearly."""
    places = (times_s[:, None] + np.arange(-REACH_S, REACH_S - 1e-6, STEP_S)) / STEP_S
    low = np.floor(places).astype(int)
    share = (places - low)[..., None]
    inside = lambda at: features[at.clip(0, len(features) - 1)]  # noqa: E731
    return (inside(low) * (1 - share) + inside(low + 1) * share).reshape(len(times_s), -1)


def left_out(inputs: list[np.ndarray], wanted: list[np.ndarray]) -> np.ndarray:
    """Predictions [frames, targets] at [strength, person] for each person by a ridge fitted to the others.

    `inputs` are [frames, width] and `wanted` [frames, targets] for each person.
    """
    width = inputs[0].shape[1]
    products, answers = [x.T @ x for x in inputs], [x.T @ y for x, y in zip(inputs, wanted, strict=True)]
    sums, counts = [x.sum(axis=0) for x in inputs], [len(x) for x in inputs]
    result = np.empty((len(STRENGTHS), len(inputs)), object)
    for person in range(len(inputs)):
        others = [i for i in range(len(inputs)) if i != person]
        mean = sum(sums[i] for i in others) / sum(counts[i] for i in others)
        product = sum(products[i] for i in others) - sum(counts[i] for i in others) * np.outer(mean, mean)
        answer = sum(answers[i] for i in others)
        for place, strength in enumerate(STRENGTHS):
            weights = solve(product + strength * np.eye(width), answer, assume_a="pos")
            result[place, person] = (inputs[person] - mean) @ weights
    return result


def scores(predictions: np.ndarray, wanted: list[np.ndarray], target: int) -> np.ndarray:
    """Correlation [strengths, persons] of one high-passed target."""
    return np.array(
        [
            [correlation(high_passed(p[:, target]), y[:, target]) for p, y in zip(row, wanted, strict=True)]
            for row in predictions
        ]
    )


def fair_choice(table: np.ndarray) -> np.ndarray:
    """Each person's strength: the one that is best on average for the others."""
    others = (table.sum(axis=1, keepdims=True) - table) / (table.shape[1] - 1)
    return others.argmax(axis=0)


def find_offsets(tracks: list[Track], features: list[np.ndarray], rounds: int = 4) -> np.ndarray:
    """How much later than its picture each sound is, by the shift that suits a regressor trained on the other people.

    Clips of the GRID corpus share one offset. Only differences between people mean anything.
    """
    offsets = np.zeros(len(tracks))
    groups = ["grid" if item.name.startswith("grid") else item.name for item in tracks]
    wanted = [item.opening for item in tracks]
    for _ in range(rounds):
        inputs = [windows(f, t.times_s + o) for f, t, o in zip(features, tracks, offsets, strict=True)]
        product, answer = sum(x.T @ x for x in inputs), sum(x.T @ y for x, y in zip(inputs, wanted, strict=True))
        table = np.zeros((len(tracks), len(SHIFTS_S)))
        for group in sorted(set(groups)):
            members = [i for i, name in enumerate(groups) if name == group]
            held = sum(inputs[i].T @ inputs[i] for i in members)
            rest = answer - sum(inputs[i].T @ wanted[i] for i in members)
            weights = solve(product - held + 1000 * np.eye(len(answer)), rest, assume_a="pos")
            for i in members:
                for place, shift in enumerate(SHIFTS_S):
                    predicted = windows(features[i], tracks[i].times_s + shift) @ weights
                    table[i, place] = correlation(high_passed(predicted), wanted[i])
            offsets[members] = SHIFTS_S[table[members].mean(axis=0).argmax()]
        offsets -= np.median(offsets)
    return offsets


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's."""
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))


def closure_hits(
    predicted: Float[np.ndarray, "frames"], item: Track
) -> tuple[Int[np.ndarray, "closures"], Bool[np.ndarray, "closures"]]:
    """The frames in which the lips meet (deep local minima of the opening), and which of them the prediction puts among its
    lowest quarter; by chance a quarter of them."""
    seen = item.raw_opening
    low = np.quantile(seen, 0.15)
    minima = [
        i for i in range(2, len(seen) - 2)
        if seen[i] <= low and seen[i] == seen[i - 2 : i + 3].min() and item.opening[i] < -0.7
    ]  # fmt: skip
    moments = np.array(minima, dtype=int)
    return moments, predicted[moments] <= np.quantile(predicted, CLOSED_SHARE)
