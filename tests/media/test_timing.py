import numpy as np
import pytest

from loquent.media.timing import find_duplicates


def converted(
    true_fps: float, stored_fps: float, seconds: float, rng: np.random.Generator, phase: float = 0.0
) -> np.ndarray:
    """Which true frame each stored frame shows, when a film is converted to a higher rate by repeating frames."""
    return np.floor(np.arange(round(seconds * stored_fps)) * true_fps / stored_fps + 0.5 + phase).astype(int)


def changes_of(shown: np.ndarray, rng: np.random.Generator, noise: float = 0.02) -> np.ndarray:
    """Differences between successive frames: lively and uneven when the frame is new, coding noise when it repeats."""
    lively = np.exp(rng.normal(0.3, 0.7, len(shown)))
    changes = np.where(np.diff(shown, prepend=-1) > 0, lively, noise * rng.random(len(shown)))
    changes[0] = np.inf
    return changes


@pytest.mark.parametrize(
    ("true_fps", "stored_fps"),
    [
        (25, 30),
        (25, 30000 / 1001),
        (24, 30),
        (24000 / 1001, 30000 / 1001),
        (25, 60),
        (30, 60),
        (25, 50),
        (15, 30),
        (12.5, 30),
        (50, 60),
    ],
)
@pytest.mark.parametrize("phase", [0.0, 0.31, -0.4])
def test_a_conversion_by_repeating_is_undone(true_fps: float, stored_fps: float, phase: float) -> None:
    rng = np.random.default_rng(int(true_fps * 7 + stored_fps))
    shown = converted(true_fps, stored_fps, 20.0, rng, phase)
    stored_s = np.arange(len(shown)) / stored_fps
    is_new, filmed_s, found_fps = find_duplicates(stored_s, changes_of(shown, rng))
    assert found_fps == pytest.approx(true_fps, rel=1e-9)
    wanted = np.diff(shown, prepend=-99) > 0
    assert np.mean(is_new == wanted) > 0.995
    assert is_new.sum() == pytest.approx(wanted.sum(), abs=1)
    assert np.mean(np.abs(np.diff(filmed_s[is_new]) - 1 / true_fps) < 1e-9) > 0.99
    late = (stored_s - filmed_s)[is_new][1:]  # the very first frame may be the end of a longer showing
    assert np.abs(late).max() <= 1 / stored_fps
    assert abs(np.mean(late)) < 1e-3


@pytest.mark.parametrize("stored_fps", [25.0, 30.0, 60.0])
def test_a_film_without_repeats_is_left_alone(stored_fps: float) -> None:
    rng = np.random.default_rng(1)
    shown = np.arange(400)
    changes = changes_of(shown, rng)
    still = rng.choice(np.arange(1, 400), 30, replace=False)  # moments without motion, in no rhythm
    changes[still] = 0.01
    is_new, filmed_s, found_fps = find_duplicates(shown / stored_fps, changes)
    assert found_fps is None
    assert is_new.all()
    np.testing.assert_array_equal(filmed_s, shown / stored_fps)


def test_still_moments_inside_a_converted_film_are_kept() -> None:
    rng = np.random.default_rng(2)
    shown = converted(25, 30, 30.0, rng)
    changes = changes_of(shown, rng)
    wanted = np.diff(shown, prepend=-1) > 0
    quiet = rng.choice(np.flatnonzero(wanted)[1:], 25, replace=False)
    changes[quiet] = 0.01
    is_new, _, found_fps = find_duplicates(np.arange(len(shown)) / 30, changes)
    assert found_fps == 25
    np.testing.assert_array_equal(is_new, wanted)


@pytest.mark.parametrize(("true_fps", "stored_fps"), [(25, 30), (24, 30), (25, 60)])
def test_coding_noise_does_not_hide_the_rhythm(true_fps: float, stored_fps: float) -> None:
    rng = np.random.default_rng(8)
    shown = converted(true_fps, stored_fps, 20.0, rng)
    wanted = np.diff(shown, prepend=-1) > 0
    changes = np.exp(np.where(wanted, rng.normal(0.3, 0.6, len(shown)), rng.normal(-0.9, 0.5, len(shown))))
    changes[0] = np.inf
    is_new, _, found_fps = find_duplicates(np.arange(len(shown)) / stored_fps, changes)
    assert found_fps == true_fps
    np.testing.assert_array_equal(is_new, wanted)


def test_a_rhythm_of_the_encoder_is_no_repeat() -> None:
    rng = np.random.default_rng(9)
    for every in (2, 3, 12):  # frames of one type change somewhat less than the others
        changes = np.exp(rng.normal(0, 0.6, 600) - 0.4 * (np.arange(600) % every > 0))
        changes[0] = np.inf
        assert find_duplicates(np.arange(600) / 30, changes)[2] is None


def test_a_frozen_picture_gives_no_rhythm() -> None:
    changes = np.full(300, 0.001)
    changes[0] = np.inf
    assert find_duplicates(np.arange(300) / 30, changes)[2] is None


def test_a_freeze_in_the_middle_does_not_hide_the_rhythm() -> None:
    rng = np.random.default_rng(5)
    shown = converted(25, 30, 40.0, rng)
    changes = changes_of(shown, rng)
    changes[400:520] = 0.002
    is_new, _, found_fps = find_duplicates(np.arange(len(shown)) / 30, changes)
    assert found_fps == 25
    np.testing.assert_array_equal(is_new, np.diff(shown, prepend=-1) > 0)


def test_a_rhythm_that_jumps_at_a_splice_is_followed() -> None:
    rng = np.random.default_rng(6)
    first, second = converted(25, 30, 14.0, rng), converted(25, 30, 17.0, rng)
    shown = np.concatenate([first[2:], second[3:] + first[-1] + 1])
    is_new, filmed_s, found_fps = find_duplicates(np.arange(len(shown)) / 30, changes_of(shown, rng))
    assert found_fps == 25
    assert np.mean(is_new == (np.diff(shown, prepend=-1) > 0)) > 0.98
    assert (np.diff(filmed_s[is_new]) > 0).all()


def test_short_films_are_left_alone() -> None:
    for n in (1, 2, 3, 10):
        changes = np.full(n, 0.001)
        is_new, _, found_fps = find_duplicates(np.arange(n) / 30, changes)
        assert is_new.all()
        assert found_fps is None
