from importlib.resources import files

import numpy as np
import pytest
import torch

from loquent.actor.phones import LABIALS
from loquent.actor.script import make_script
from loquent.actor.voice import speak
from loquent.media.audio import resample
from loquent.speech.kinds import extract, speech_kind
from loquent.speech.log_mel import speech_gain
from loquent.speech.phonetic import CLASSES, PhoneticStream, network_inputs
from loquent.speech.phonetic_net import FURTHER, TRUNK, Block, PhoneticNet, steps_ahead

KINDS = ("phonetic", "phonetic_causal")
SILENCE, BILABIAL = CLASSES.index("silence"), CLASSES.index("bilabial")


def spoken(seconds: float = 4.0) -> np.ndarray:
    """The actor speaks: a synthesiser that the encoder was not trained on."""
    return speak(make_script(seconds, seed=1))


def stream(waveform: np.ndarray, chunk: int, *, causal: bool) -> torch.Tensor:
    pushed = PhoneticStream(gain=speech_gain(waveform), causal=causal)
    pieces = [pushed.push(waveform[i : i + chunk]) for i in range(0, waveform.size, chunk)]
    return torch.cat([*pieces, pushed.finish()])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [1, 100, 320, 333, 16000])
def test_a_stream_gives_the_same_as_the_whole(kind: str, chunk: int) -> None:
    waveform = spoken()[: 4000 if chunk == 1 else 50001]
    in_pieces = stream(waveform, chunk, causal=kind == "phonetic_causal")
    torch.testing.assert_close(in_pieces, extract(kind, waveform), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_samples", [0, 1, 319, 320, 321, 12345])
def test_there_are_as_many_steps_as_the_sound_is_long(kind: str, n_samples: int) -> None:
    features = extract(kind, spoken(1.0)[:n_samples])
    assert features.shape == (-(-n_samples // 320), speech_kind(kind).width)


@pytest.mark.parametrize("kind", KINDS)
def test_the_look_ahead_is_what_the_kind_says(kind: str) -> None:
    waveform, step = spoken(2.0), 30
    end = round((step / 50 + speech_kind(kind).look_ahead_s) * 16000)
    causal = kind == "phonetic_causal"
    assert speech_kind(kind).look_ahead_s <= (0.08 if causal else 0.2)
    ready = PhoneticStream(causal=causal).push(waveform[:end])
    assert len(ready) == step + 1  # nothing later is waited for
    changed = waveform.copy()
    changed[end - 300 :] += 0.3
    difference = (PhoneticStream(causal=causal).push(changed[:end]) - ready).abs().amax(dim=1)
    assert difference[:step].max() == 0
    assert difference[step] > 0


def test_network_inputs_lie_around_their_step() -> None:
    click = np.zeros(16000, np.float32)
    click[8000] = 0.5
    padded = torch.cat([torch.zeros(280), torch.from_numpy(click)])
    energy = network_inputs(padded).reshape(-1, 2, 40).sum(dim=2)
    assert int(energy.sum(dim=1).argmax()) == 25
    assert energy[25, 0] == pytest.approx(float(energy[25, 1]), abs=1e-2)  # 5 ms before and after it


@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_a_block_is_late_by_what_it_looks_ahead(dilation: int, ahead: int) -> None:
    if ahead > 2 * dilation:
        pytest.skip("a block cannot look further ahead than it reaches")
    torch.manual_seed(0)
    block = Block(4, dilation, ahead)
    x = torch.randn(1, 4, 30)
    untrained, memory = block(x, block.memory(1))
    torch.testing.assert_close(untrained[:, :, ahead:], x[:, :, : 30 - ahead])
    torch.testing.assert_close(memory, x[:, :, 30 - 2 * dilation :])
    torch.nn.init.normal_(block.mix.weight)
    whole = block(x, block.memory(1))[0]
    spread, mix = block.spread, block.mix
    step = 17  # the definition, written out for one step
    taps = [torch.nn.functional.silu(x[0, :, step + ahead - 2 * dilation + k * dilation]) for k in range(3)]
    inner = sum(spread.weight[:, :, k] @ taps[k] for k in range(3)) + spread.bias
    wanted = x[0, :, step] + mix.weight[:, :, 0] @ torch.nn.functional.silu(inner) + mix.bias
    torch.testing.assert_close(whole[0, :, step + ahead], wanted, rtol=1e-4, atol=1e-4)


def test_both_forms_in_training_are_the_forms_in_use() -> None:
    net = PhoneticNet(channels=8)
    x = torch.randn(2, 80, 40)
    causal_neck, causal_scores, neck, scores = net.both(x)
    for causal, expected in ((True, (causal_neck, causal_scores)), (False, (neck, scores))):
        found = net(x, net.memories(2, causal=causal), causal=causal)[:2]
        torch.testing.assert_close(found, expected)
    assert steps_ahead(TRUNK) == 3
    assert steps_ahead(TRUNK + FURTHER) == 9


@pytest.mark.parametrize("kind", KINDS)
def test_silence_is_silence(kind: str) -> None:
    room = 1e-3 * np.random.default_rng(0).standard_normal(32000)
    for sound in (np.zeros(32000), room):
        posteriors = extract(kind, sound.astype(np.float32))[:, : len(CLASSES)]
        assert posteriors[10:-10, SILENCE].min() > 0.5
        assert posteriors[10:-10, SILENCE].mean() > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_posteriors_are_probabilities_and_the_bottleneck_is_scaled(kind: str) -> None:
    features = extract(kind, spoken())
    posteriors, neck = features[:, : len(CLASSES)], features[:, len(CLASSES) :]
    torch.testing.assert_close(posteriors.sum(dim=1), torch.ones(len(features)))
    assert posteriors.min() >= 0
    assert 0.3 < neck.std() < 3


@pytest.mark.parametrize("kind", KINDS)
def test_loudness_does_not_matter(kind: str) -> None:
    waveform = spoken()
    for factor in (0.1, 2.5):
        louder = extract(kind, (waveform * factor).astype(np.float32))
        assert (louder - extract(kind, waveform)).abs().max() < 0.02


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000])
def test_other_sample_rates_give_nearly_the_same(rate_hz: int) -> None:
    waveform = spoken()
    same = extract("phonetic", waveform)
    other = extract("phonetic", resample(waveform, 16000, rate_hz), rate_hz)[: len(same)]
    assert (other - same)[:, : len(CLASSES)].abs().mean() < 0.01


def test_a_voice_never_heard_closes_its_lips_where_it_says_so() -> None:
    script = make_script(20.0, seed=2)
    posteriors = extract("phonetic", speak(script))[:, : len(CLASSES)]
    middles = {
        phones: [round(25 * (s.start_s + s.end_s)) for s in script.spoken if s.phone in phones]
        for phones in (LABIALS, ("t", "d", "k", "g", "s", "z"))
    }
    labial, other = (posteriors[steps, BILABIAL].mean() for steps in middles.values())
    assert labial > 0.3
    assert labial > 4 * other


def test_the_weights_are_small() -> None:
    weights = files("loquent.speech") / "phonetic.safetensors"
    assert len(weights.read_bytes()) <= 4_000_000
