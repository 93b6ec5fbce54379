"""wav2vec 2.0 and HuBERT on tiny random models made here: pieces and padding against the originals' procedure in loops."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from loquent.errors import DependencyError, InputError
from loquent.pretrained import CACHE_VARIABLE
from loquent.speech import transformer as module
from loquent.speech.kinds import extract, speech_kind

SMALL = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "conv_dim": (4,) * 7,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}
OWN = "transformers:someone--tiny"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path / "cache"


def save_ctc(folder: Path, width: int) -> transformers.Wav2Vec2ForCTC:
    torch.manual_seed(0)
    model = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(vocab_size=width, hidden_size=8, **SMALL)).eval()
    model.save_pretrained(folder)
    return model


def sound_of(n_samples: int) -> np.ndarray:
    return np.random.default_rng(n_samples).normal(0, 0.1, n_samples).astype(np.float32)


def normalised(sound: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7))[None]


def streamed_logits(model: transformers.Wav2Vec2ForCTC, sound: np.ndarray) -> np.ndarray:
    """The originals' loop: 20 ms chunks into a list that begins with ten silent ones, run whenever it holds 70."""
    held, logits = [np.zeros(320, np.float32)] * 10, []
    for k in range(len(sound) // 320):
        held.append(sound[320 * k : 320 * k + 320])
        if len(held) == 70:
            with torch.no_grad():
                seen = model(normalised(np.concatenate(held))).logits[0].numpy()
            logits.append(seen[10 : len(seen) - 10 + 1])
            held = held[-20:]
    with torch.no_grad():
        logits.append(model(normalised(np.concatenate(held))).logits[0].numpy()[10:])
    return np.concatenate(logits)


@pytest.mark.parametrize("seconds", [0.5, 1.2, 1.4, 3.3])
def test_logits_are_those_of_the_originals_stream(cache: Path, seconds: float) -> None:
    model = save_ctc(cache / "cpierse--wav2vec2-large-xlsr-53-esperanto", 44)
    sound = sound_of(round(16000 * seconds))
    wanted = streamed_logits(model, sound)
    got = extract("wav2vec2_esperanto", sound).numpy()
    assert len(wanted) == len(sound) // 320 - 1
    np.testing.assert_allclose(got[: len(wanted)], wanted, atol=1e-5)
    assert len(got) == -(-len(sound) // 320)
    assert (got[len(wanted) :] == 0).all()


@pytest.mark.parametrize("n_samples", [320 * 40, 320 * 61 + 90, 320 * 60 + 100])
def test_hidden_states_come_in_pieces_and_pairs(cache: Path, monkeypatch: pytest.MonkeyPatch, n_samples: int) -> None:
    torch.manual_seed(0)
    model = transformers.HubertModel(transformers.HubertConfig(hidden_size=1024, **SMALL)).eval()
    model.save_pretrained(cache / "facebook--hubert-large-ls960-ft")
    monkeypatch.setattr(module, "PIECE", 20)
    sound = sound_of(n_samples)
    whole, states = normalised(sound), []
    for start in range(0, n_samples, 20 * 320):
        piece = whole[:, start : start + 20 * 320 + 80]
        if piece.shape[1] >= 400:
            with torch.no_grad():
                states.append(model(piece).last_hidden_state[0].numpy())
    wanted = np.concatenate(states)[: (n_samples - 80) // 320]
    windows = wanted[: len(wanted) // 2 * 2].reshape(-1, 2, 1024)
    got = extract("hubert_large", sound).numpy()
    for frame in range(-(-n_samples // 640)):  # the originals show the last window beyond their end
        own = got[2 * frame : 2 * frame + 2]
        np.testing.assert_allclose(own, windows[min(frame, len(windows) - 1)][: len(own)], atol=1e-4)


def test_any_model_of_the_hub_is_a_kind(cache: Path, tmp_path: Path) -> None:
    model = save_ctc(cache / "someone--tiny", 11)
    kind = speech_kind(OWN)
    assert (kind.name, kind.rate_hz, kind.width) == (OWN, 50, 11)
    sound = sound_of(16000)
    np.testing.assert_allclose(extract(OWN, sound)[:49], streamed_logits(model, sound), atol=1e-5)
    in_hub = tmp_path / "hub" / "hub" / "models--other--tiny"
    save_ctc(in_hub / "snapshots" / "abc", 7)
    (in_hub / "refs").mkdir()
    (in_hub / "refs" / "main").write_text("abc\n")
    assert extract("transformers:other--tiny", sound).shape == (50, 7)


def test_short_and_resampled_sounds_have_their_steps(cache: Path) -> None:
    save_ctc(cache / "someone--tiny", 11)
    assert extract(OWN, np.zeros(0, np.float32)).shape == (0, 11)
    assert extract(OWN, np.zeros(100, np.float32)).shape == (1, 11)
    assert extract(OWN, sound_of(48000), 48000).shape == (50, 11)


def test_what_is_missing_or_does_not_fit_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.zeros(1600, np.float32)
    with pytest.raises(
        DependencyError, match=r"facebook/hubert-large-ls960-ft is not on this machine.*model.safetensors"
    ):
        extract("hubert_large", sound)
    with pytest.raises(InputError, match="OWNER--NAME"):
        speech_kind("transformers:someone/tiny")
    save_ctc(cache / "facebook--wav2vec2-base-960h", 31)
    with pytest.raises(InputError, match=r"gives 31 values a step, but .* have 32"):
        extract("wav2vec2", sound)
    folder = cache / "someone--tiny"
    save_ctc(folder, 11)
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "transformers", None)
        with pytest.raises(DependencyError, match=r"loquent\[speech\]"):
            extract(OWN, sound)
    facts = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**facts, "conv_stride": [5, 2]}))
    with pytest.raises(InputError, match="50 steps a second"):
        speech_kind(OWN)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        speech_kind(OWN)
