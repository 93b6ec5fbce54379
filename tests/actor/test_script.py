"""The performance: gapless, repeatable, smooth, and lips that obey the sounds."""

import numpy as np
import pytest

from loquent.actor.phones import LABIALS, PHONES
from loquent.actor.script import lip_shapes, make_script


@pytest.fixture(scope="module")
def script():
    return make_script(20.0, seed=3)


def test_the_same_seed_gives_the_same_performance_and_another_seed_another(script):
    again, other = make_script(20.0, seed=3), make_script(20.0, seed=4)
    assert again.spoken == script.spoken
    assert np.array_equal(again.head, script.head)
    assert np.array_equal(again.shapes, script.shapes)
    assert other.spoken != script.spoken
    assert not np.allclose(other.head, script.head)


def test_a_longer_script_begins_like_a_shorter_one(script):
    short = make_script(9.0, seed=3)
    assert short.spoken[:-2] == script.spoken[: len(short.spoken) - 2]
    before_the_end = short.n_frames - 25  # a nod of a word cut off at the end may reach back a little
    assert np.allclose(short.head[:before_the_end], script.head[:before_the_end], atol=1e-6)


@pytest.mark.parametrize(("duration_s", "fps"), [(1.0, 25.0), (7.31, 25.0), (4.0, 30.0)])
def test_the_timeline_has_no_gaps_and_fills_the_duration(duration_s, fps):
    script = make_script(duration_s, seed=1, fps=fps)
    assert script.n_frames == round(duration_s * fps)
    assert script.spoken[0].start_s == 0.0
    assert script.spoken[-1].end_s == pytest.approx(duration_s)
    assert script.spoken[-1].phone == "_"
    for before, after in zip(script.spoken, script.spoken[1:], strict=False):
        assert before.end_s == after.start_s
        assert before.end_s > before.start_s
    for s in script.spoken:
        assert s.phone in PHONES


def test_lips_are_closed_in_the_middle_of_p_b_m_and_at_rest_in_pauses(script):
    labials = [s for s in script.spoken if s.phone in LABIALS]
    pauses = [s for s in script.spoken if s.phone == "_"]
    assert len(labials) > 5
    assert len(pauses) > 3
    for group in (labials, pauses):
        shapes = lip_shapes(script.spoken, np.array([(s.start_s + s.end_s) / 2 for s in group]))
        assert shapes[:, :2].max() < 0.04
    open_vowels = [s for s in script.spoken if s.phone == "a" and s.stress == 1.0]
    shapes = lip_shapes(script.spoken, np.array([(s.start_s + s.end_s) / 2 for s in open_vowels]))
    assert shapes[:, 0].min() > 0.35


def test_rounded_vowels_narrow_the_lips_and_e_widens_them(script):
    def spread(phone):
        return np.mean(
            [
                lip_shapes(script.spoken, np.array([(s.start_s + s.end_s) / 2]))[0, 2]
                for s in script.spoken
                if s.phone == phone
            ]
        )

    assert spread("u") < -0.4 < 0.1 < spread("i")


def test_blinks_come_every_few_seconds_and_last_a_fraction_of_one():
    blink = make_script(60.0, seed=0, fps=50.0).blink[:, 0]
    closed = np.flatnonzero(np.diff((blink > 0.5).astype(int)) == 1)
    opened = np.flatnonzero(np.diff((blink > 0.5).astype(int)) == -1)
    assert 0 <= blink.min() < blink.max() <= 1
    assert 12 <= len(closed) <= 32
    assert np.diff(closed).min() >= 90
    lengths = (opened - closed[: len(opened)]) / 50.0
    assert 0.08 <= lengths.min() <= lengths.max() < 0.30


def test_the_head_turns_but_never_jumps(script):
    degrees = np.degrees(script.head[:, :3])
    assert np.ptp(degrees[:, 0]) > 8
    assert np.abs(degrees).max() < 15
    assert np.abs(np.diff(degrees, axis=0)).max() < 2.5
    assert np.abs(script.head[:, 3:]).max() < 0.12
