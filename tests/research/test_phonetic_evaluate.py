"""The judge of encoders, on made-up people whose lips open with the loudness of their voice."""

from pathlib import Path

import numpy as np
import pytest

from research.phonetic import evaluate, lip_tracks
from research.phonetic.lip_tracks import Track

SECONDS = 8.0


def person(seed: int, *, obeys: bool = True) -> Track:
    """Noise that swells and falls, and lips that follow it, or that move as far at other times."""
    generator = np.random.default_rng(seed)
    times = np.arange(0, SECONDS, 0.04)
    swelling = np.interp(np.arange(round(SECONDS * 16000)) / 16000, times, generator.uniform(0.0, 1.0, times.size))
    sound = 0.2 * swelling * generator.standard_normal(swelling.size)
    opening = np.interp(times, np.arange(swelling.size) / 16000, swelling)
    if not obeys:
        opening = generator.permutation(opening)
    return lip_tracks.track(f"made up {seed}", opening, -opening, times, sound.astype(np.float32))


def test_lips_that_follow_the_sound_are_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lip_tracks, "STRENGTHS", (100.0, 1000.0))
    monkeypatch.setattr(lip_tracks, "SHIFTS_S", np.array([0.0, 0.04]))
    rows = evaluate.lips([person(seed) for seed in range(3)])
    for name in ("log-mel", "log-mel + both"):
        assert rows[name]["opening"] > 0.5
        assert rows[name]["width"] > 0.5
        assert rows[name]["closure_recall"] > 0.5
    assert rows.keys() >= {"bottleneck, shut on p b m", "mean of bottleneck and claims", "causal form", "no real data"}
    assert "width" not in rows["no real data"]


def test_lips_that_move_at_other_times_are_not_foretold() -> None:
    tracks = [person(seed, obeys=False) for seed in range(3)]
    features = evaluate._descriptions([item.sound for item in tracks])["log-mel"]
    openings, width = evaluate._foretold(features, tracks, [item.times_s for item in tracks])
    assert abs(evaluate._opening(openings, tracks)["opening"]) < 0.3
    assert abs(width) < 0.3


def test_one_person_alone_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_late(kind: str) -> float:
        pytest.fail(f"measured {kind} first")

    monkeypatch.setattr(evaluate, "clip_track", lambda folder: person(0))
    monkeypatch.setattr(evaluate, "real_time_factor", too_late)
    monkeypatch.setattr("sys.argv", ["evaluate", "--clips", "me"])
    with pytest.raises(SystemExit):
        evaluate.main()
    assert "at least two" in capsys.readouterr().err


def test_people_whose_lips_never_meet_have_no_closures() -> None:
    times = np.arange(0, SECONDS, 0.04)
    rising = lip_tracks.track("rising", times, times, times, np.zeros(1, np.float32))
    assert evaluate._closures([rising.opening], [rising], [np.ones(times.size, bool)]) == {}


def test_clips_are_judged_without_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "clip_track", lambda folder: person(int(folder.name)))
    monkeypatch.setattr(evaluate, "real_time_factor", lambda kind: 1.0)
    monkeypatch.setattr(evaluate, "lips", lambda tracks: {"people": len(tracks)})
    evaluate.judge(None, None, [Path("1"), Path("2")], tmp_path / "figures.json")
    assert '"people": 2' in (tmp_path / "figures.json").read_text()


def test_lips_that_are_shut_meet_where_a_bilabial_is_heard() -> None:
    features = np.zeros((100, 64), np.float32)
    features[40:60, evaluate.index("bilabial")] = 1.0
    times = np.arange(0, 2, 0.04)
    shut = evaluate._shut(np.ones(times.size), features, times)
    assert shut.min() == pytest.approx(evaluate.SHUT_OPENING)
    closed = times[shut < 0]
    assert closed.mean() == pytest.approx(0.98, abs=0.02), "0.04 s before it is heard, on lips' own clock"
    assert shut[times < 0.6].min() == shut[times > 1.4].min() == 1.0
