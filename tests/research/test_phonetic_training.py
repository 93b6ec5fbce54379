"""The encoder's training from beginning to end on three sounds that a child could tell apart; no synthesiser, no network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from loquent.speech.articulation import classes_of_ipa
from loquent.speech.phonetic_net import CLASSES, PhoneticNet
from research.phonetic import known_phones, shards
from research.phonetic.classes import IGNORED, SIGN_CLASSES, index
from research.phonetic.lip_tracks import closure_hits, find_offsets, left_out, scores, track, windows
from research.phonetic.lips import trajectories
from research.phonetic.speech import Utterance, utterance, with_closures
from research.phonetic.train import train

RATE_HZ = 16000


def toy(rng: np.random.Generator) -> Utterance:
    """A vowel-like buzz, a hiss and pauses in random order."""
    pieces, segments, time = [], [], 0.0
    for _ in range(8):
        length = rng.uniform(0.1, 0.4)
        n = round(length * RATE_HZ)
        name = rng.choice(["a", "s", "silence"])
        buzz = sum(np.sin(2 * np.pi * 120 * k * np.arange(n) / RATE_HZ) / k for k in range(1, 9))
        sounds = {"a": 0.1 * buzz, "s": np.diff(0.1 * rng.standard_normal(n + 1)), "silence": np.zeros(n)}
        pieces.append(sounds[name])
        segments.append((time, time + n / RATE_HZ, [name]))
        time += n / RATE_HZ
    return utterance(np.concatenate(pieces), segments)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    for name in ("espeak-000", "festival-toy-000"):
        shards.write(folder / f"{name}.npz", [toy(rng) for _ in range(6)])
    return folder


def test_shards_are_read_as_written(corpus: Path) -> None:
    rng = np.random.default_rng(0)
    written = [toy(rng) for _ in range(6)]
    for before, after in zip(written, shards.read(corpus / "espeak-000.npz"), strict=True):
        np.testing.assert_allclose(after.waveform, before.waveform, atol=1e-4)
        np.testing.assert_allclose(after.starts_s, before.starts_s, atol=1e-5)
        assert (after.labels == before.labels).all()


def test_training_learns_and_goes_on_where_it_was_stopped(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("research.phonetic.train.BATCH", 4)
    monkeypatch.setattr("research.phonetic.train.WARM_UP", 5)
    monkeypatch.setattr("research.phonetic.train.SAVE_EVERY", 12)
    whole, halves = tmp_path / "whole.safetensors", tmp_path / "halves.safetensors"
    assert train(corpus, whole, 36, channels=16, n_workers=0) > 0.6
    train(corpus, halves, 36, channels=16, n_workers=0, until=12)
    train(corpus, halves, 36, channels=16, n_workers=0)
    first, second = load_file(whole), load_file(halves)
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-3, atol=1e-4)
    PhoneticNet(channels=16).load_state_dict(first)


def test_the_silence_before_a_stop_belongs_to_the_stop() -> None:
    buzz = 0.3 * np.sin(np.arange(3200) * 0.05)
    sound = np.concatenate([buzz, np.zeros(1600), 0.2 * np.ones(800), buzz])
    found = utterance(sound, [(0.0, 0.3, ["a"]), (0.3, 0.35, ["bilabial"]), (0.35, 0.55, ["e", "i"])])
    names = [CLASSES[label] for label in found.labels]
    assert names == ["silence", "a", "bilabial", "bilabial", "e", "i", "silence"]
    assert found.starts_s[2] == pytest.approx(0.2, abs=0.011)
    kept = utterance(sound, [(0.0, 0.3, ["a"]), (0.3, 0.35, ["s"]), (0.35, 0.55, [])])
    assert [CLASSES[i] if i != IGNORED else "?" for i in kept.labels] == ["silence", "a", "s", "?", "silence"]


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("p", ["bilabial"]),
        ("aɪ", ["a", "i"]),
        ("tʃ", ["sh"]),
        ("ɔː", ["o"]),
        ("ʲ", ["j"]),
        ("bʲ", ["bilabial"]),
        ("!", []),
    ],
)
def test_phones_written_in_ipa(name: str, classes: list[str]) -> None:
    assert classes_of_ipa(name) == classes


def test_every_phone_in_the_tables_has_classes_that_exist() -> None:
    for table in SIGN_CLASSES.values():
        for classes in table.values():
            assert set(classes) <= set(CLASSES)
    assert index("silence") == 0


def test_lips_close_around_a_bilabial_and_open_for_a() -> None:
    labels = torch.full((1, 60), index("a"))
    labels[:, 30:36] = index("bilabial")
    opening = trajectories(labels)[0, 0]
    assert opening[10] == pytest.approx(0.9, abs=1e-3)
    assert opening[33] < 0.1
    assert opening[28] < opening[20]  # closing begins before the closure


def test_offsets_and_left_out_lips_of_made_up_people() -> None:
    rng = np.random.default_rng(0)
    features, people, true_offsets = [], [], [0.0, 0.1, -0.08, 0.0]
    for number, offset in enumerate(true_offsets):
        sound = rng.standard_normal((600, 3))
        smooth = np.stack([np.convolve(column, np.ones(5) / 5, mode="same") for column in sound.T], axis=1)
        times = np.arange(0.4, 11.4, 0.04)
        opening = np.interp(times + offset, np.arange(600) / 50, smooth @ [1.0, -0.5, 0.2])
        features.append(smooth)
        people.append(track(f"person{number}", opening, opening, times, np.zeros(1)))
    offsets = find_offsets(people, features)
    np.testing.assert_allclose(offsets - offsets[0], true_offsets, atol=0.021)
    inputs = [windows(f, p.times_s + o) for f, p, o in zip(features, people, offsets, strict=True)]
    wanted = [np.stack([p.opening, p.width], axis=1) for p in people]
    assert scores(left_out(inputs, wanted), wanted, 0)[0].min() > 0.8


def test_a_stop_gets_its_silent_closure_as_one_phone() -> None:
    """A vowel that ends in 0.1 s of silence before a p."""
    loud = 0.5 * np.sin(np.arange(round(0.3 * RATE_HZ)) / 8)
    waveform = np.concatenate([loud, np.zeros(round(0.1 * RATE_HZ)), loud])
    phones = [(0.0, 0.4, "a"), (0.4, 0.5, "p"), (0.5, 0.7, "")]
    cut = with_closures(waveform, [(a, b, known_phones.espeak.classes(name)) for a, b, name in phones])
    assert [(names, place) for *_, names, place in cut] == [
        (["a"], 0),
        (["bilabial"], 1),
        (["bilabial"], 1),
        (["silence"], 2),
    ]
    rows = known_phones.named_phones(waveform, phones)
    assert [name for *_, name in rows] == ["a", "p", ""]
    np.testing.assert_allclose([row[:2] for row in rows], [(0, 0.3), (0.3, 0.5), (0.5, 0.7)], atol=0.006)


def test_closures_are_found_in_the_lowest_quarter_of_a_prediction() -> None:
    """Lips that meet three times; the prediction closes at two of them, and elsewhere."""
    opening = np.full(200, 0.3) + 0.02 * np.sin(np.arange(200))
    opening[[40, 100, 160]] = 0.0
    person = track("x", opening, opening, np.arange(200) / 25, np.zeros(16000, np.float32))
    predicted = np.linspace(0.5, 0.6, 200)
    predicted[[40, 160, 180]] = 0.0
    moments, is_hit = closure_hits(predicted, person)
    assert moments.tolist() == [40, 100, 160]
    assert is_hit.tolist() == [True, False, True]
