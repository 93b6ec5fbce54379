"""Lips at phones, against loops written here, and against lips that the actor's own script moves."""

import numpy as np
import pytest
from scipy.stats import rankdata

from loquent.actor.script import lip_shapes, make_script
from loquent.evaluation.visemes import LipRange, usual_opening, visemes
from loquent.speech.articulation import LIP_SHAPES, classes_of_ipa
from loquent.speech.phones import Segment
from loquent.speech.phonetic_net import CLASSES

FPS = 25.0


def random_segments(generator: np.random.Generator, seconds: float) -> list[Segment]:
    found, now = [], 0.0
    while now < seconds:
        end = now + float(generator.uniform(0.01, 0.2))
        name = str(generator.choice(["bilabial", "bilabial", "a", "i", "u", "e", "s", "silence"]))
        found.append(Segment(now, end, name, name))
        now = end
    return found


def in_frames(item: Segment, tolerance: float, n_frames: int) -> list[int]:
    low, high = item.start_s - tolerance / FPS, item.end_s + tolerance / FPS
    return [k for k in range(n_frames) if low - 1e-9 <= k / FPS <= high + 1e-9]


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_plain_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n_frames = 250
    opening = generator.uniform(0.0, 0.3, n_frames)
    opening[generator.random(n_frames) < 0.2] = np.nan
    segments = random_segments(generator, n_frames / FPS + 0.3)
    person = LipRange(rest=0.02, wide=0.22, lowest=0.0, highest=0.25)
    found = visemes(opening, segments, person, FPS)

    relative = [(value - 0.02) / 0.2 for value in opening]
    seen = sorted(value for value in relative if not np.isnan(value))
    place = 0.25 * (len(seen) - 1)
    quarter = seen[int(place)] + (place % 1) * (seen[int(place) + 1] - seen[int(place)])
    spans = [in_frames(item, 1, n_frames) for item in segments if item.name == "bilabial"]
    spans = [span for span in spans if any(not np.isnan(relative[k]) for k in span)]
    assert found.n_bilabials == len(spans) > 5
    for recall, level in ((found.met, quarter), (found.shut, 0.25)):
        assert recall is not None
        shares = []
        for shift in [0, *range(13, n_frames - 12)]:
            hits = [any(relative[(k + shift) % n_frames] <= level for k in span) for span in spans]
            shares.append(sum(hits) / len(hits))
        assert recall.share == pytest.approx(shares[0])
        assert recall.chance == pytest.approx(np.mean(shares[1:]))
        assert recall.chance_high == pytest.approx(np.quantile(shares[1:], 0.95))

    means: dict[str, list[float]] = {}
    for item in segments:
        inside = in_frames(item, 0, n_frames) or [round((item.start_s + item.end_s) / 2 * FPS)]
        known = [relative[k] for k in inside if k < n_frames and not np.isnan(relative[k])]
        if known:
            means.setdefault(item.name, []).append(sum(known) / len(known))
    opens, closes = means["a"], means["i"] + means["u"]
    assert found.n_open_vowels == len(opens)
    assert found.n_close_vowels == len(closes)
    assert found.open_vowels == pytest.approx(np.mean(opens))
    assert found.close_vowels == pytest.approx(np.mean(closes))
    assert found.open_vowels_shut == pytest.approx(np.mean([value <= 0.25 for value in opens]))
    assert found.vowel_order == pytest.approx(np.mean([(a > b) + (a == b) / 2 for a in opens for b in closes]))
    names = [name for name in CLASSES if len(means.get(name, [])) >= 3]
    assert found.n_classes == len(names)
    ranks = [rankdata([np.mean(means[name]) for name in names]), rankdata([LIP_SHAPES[name][0] for name in names])]
    assert found.viseme_order == pytest.approx(np.corrcoef(ranks)[0, 1])


def actor_lips() -> tuple[np.ndarray, list[Segment]]:
    """How far the actor's script parts the lips in each frame, and its sounds."""
    script = make_script(24.0, seed=3)
    shapes = lip_shapes(script.spoken, np.arange(script.n_frames) / FPS)
    ipa = {"_": "", "@": "ə", "S": "ʃ"}
    return shapes[:, 0] + 0.3 * shapes[:, 1], [
        Segment(item.start_s, item.end_s, name, item.phone)
        for item in script.spoken
        for name in (classes_of_ipa(ipa.get(item.phone, item.phone)) or ["silence"])
    ]


def test_lips_that_follow_the_script_close_and_open_where_it_says() -> None:
    opening, segments = actor_lips()
    person = LipRange.of(opening)
    assert person is not None
    found = visemes(opening, segments, person, FPS)
    assert found.n_bilabials > 15
    assert found.shut is not None
    assert found.shut.share > 0.95
    assert found.shut.chance is not None
    assert found.shut.chance < 0.7
    assert found.met is not None
    assert found.met.share > 0.95
    assert found.open_vowels_shut == 0
    assert found.vowel_order is not None
    assert found.vowel_order > 0.95
    assert found.viseme_order is not None
    assert found.viseme_order > 0.6


def test_lips_of_another_moment_reach_chance_and_no_more() -> None:
    opening, segments = actor_lips()
    person = LipRange.of(opening)
    assert person is not None
    shares, bounds = [], []
    for shift in range(50, 550, 25):
        found = visemes(np.roll(opening, shift), segments, person, FPS)
        assert found.met is not None
        assert found.met.chance is not None
        shares.append(found.met.share)
        bounds.append(found.met.chance)
    assert np.mean(shares) == pytest.approx(np.mean(bounds), abs=0.05)


def test_lips_that_never_move_close_never_or_always() -> None:
    _, segments = actor_lips()
    person = LipRange(0.0, 1.0, 0.0, 1.0)
    for level, share in ((0.125, 1.0), (0.5, 0.0)):
        found = visemes(np.full(600, level), segments, person, FPS)
        assert found.shut is not None
        assert found.shut.share == found.shut.chance == found.shut.chance_high == share
        assert found.vowel_order == 0.5
        assert found.viseme_order is None


def test_too_few_phones_say_nothing() -> None:
    person = LipRange(0.0, 1.0, 0.0, 1.0)
    segments = [Segment(0.1 * k, 0.1 * k + 0.05, name, name) for k, name in enumerate(("bilabial", "a", "i"))]
    found = visemes(np.full(100, 0.4), segments, person, FPS)
    assert found.n_bilabials == found.n_open_vowels == found.n_close_vowels == 1
    assert found.met is found.shut is found.open_vowels is found.close_vowels is found.vowel_order is None
    assert visemes(np.full(100, np.nan), segments, person, FPS).n_bilabials == 0


def test_usual_lips_take_the_course_of_the_table() -> None:
    """A long a between silences: the table's values inside and nothing before the sound; at an edge each has its claim, of
    which silence makes half a vowel's and a bilabial five times as much."""
    found = usual_opening([Segment(1.0, 2.0, "a", "a"), Segment(2.0, 3.0, "bilabial", "p")], 100)
    silence, a, p = (LIP_SHAPES[name][0] for name in ("silence", "a", "bilabial"))
    assert found.shape == (100,)
    np.testing.assert_allclose(found[[0, 20, 90]], silence, atol=1e-3)
    np.testing.assert_allclose(found[[30, 45]], a, atol=1e-3)
    np.testing.assert_allclose(found[[55, 70]], p, atol=1e-3)
    np.testing.assert_allclose(found[[25, 50]], [(0.5 * silence + a) / 1.5, (a + 5 * p) / 6], atol=0.1)


def test_the_range_is_that_of_the_known_frames() -> None:
    opening = np.linspace(0.1, 0.3, 201)
    person = LipRange.of(np.concatenate([opening, [np.nan] * 50]))
    assert person is not None
    np.testing.assert_allclose([person.rest, person.wide, person.lowest, person.highest], [0.11, 0.29, 0.102, 0.298])
    assert person.share_outside(np.array([0.1, 0.2, 0.3, 0.2, np.nan])) == 0.5
    assert person.share_outside(np.array([np.nan])) is None
    np.testing.assert_allclose(person.relative(np.array([0.11, 0.2, 0.29])), [0.0, 0.5, 1.0])
    assert LipRange.of(opening[:24]) is None
    assert LipRange.of(np.full(100, 0.2)) is None
