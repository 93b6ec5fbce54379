"""DeepSpeech with small random layers against TensorFlow's definition in loops, from a graph file written for the test."""

from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from loquent.errors import DependencyError, InputError
from loquent.pretrained import CACHE_VARIABLE
from loquent.speech import deepspeech as module
from loquent.speech.deepspeech import MODEL, DeepSpeech, DeepSpeechNetwork, deepspeech_features
from loquent.speech.frozen_graph import read_constants
from loquent.speech.kinds import extract
from loquent.speech.mfcc import mfcc

CELLS = 4


def random_layers(width: int = 29) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    sizes = {1: (494, 7), 2: (7, 6), 3: (6, 5), 5: (2 * CELLS, 6), 6: (6, width)}
    layers = {f"h{k}": random.normal(0, 0.4, size) for k, size in sizes.items()}
    layers |= {f"b{k}": random.normal(0, 0.4, size[1]) for k, size in sizes.items()}
    for way in ("fw", "bw"):
        layers[f"bidirectional_rnn/{way}/basic_lstm_cell/kernel"] = random.normal(0, 0.5, (5 + CELLS, 4 * CELLS))
        layers[f"bidirectional_rnn/{way}/basic_lstm_cell/bias"] = random.normal(0, 0.5, 4 * CELLS)
    return {name: values.astype(np.float32) for name, values in layers.items()}


def slow_logits(layers: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    def sigmoid(v: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-v))

    def dense(k: int, v: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(v @ layers[f"h{k}"] + layers[f"b{k}"], 0), 20)

    def run(way: str, steps: np.ndarray) -> np.ndarray:
        kernel, bias = (layers[f"bidirectional_rnn/{way}/basic_lstm_cell/{part}"] for part in ("kernel", "bias"))
        cell, out, seen = np.zeros(CELLS), np.zeros(CELLS), []
        for step in steps:
            entering, fresh, forget, leaving = np.split(np.concatenate([step, out]) @ kernel + bias, 4)
            cell = cell * sigmoid(forget + 1) + sigmoid(entering) * np.tanh(fresh)
            out = np.tanh(cell) * sigmoid(leaving)
            seen.append(out)
        return np.array(seen)

    before = dense(3, dense(2, dense(1, x)))
    both = np.concatenate([run("fw", before), run("bw", before[::-1])[::-1]], axis=1)
    return dense(5, both) @ layers["h6"] + layers["b6"]


def network_of(layers: dict[str, np.ndarray]) -> DeepSpeechNetwork:
    return DeepSpeechNetwork({name: torch.from_numpy(values) for name, values in layers.items()})


@pytest.mark.parametrize("n_steps", [1, 7, 20, 22])
def test_logits_are_those_of_the_definition_whatever_the_blocks(n_steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layers, x = random_layers(), np.random.default_rng(1).normal(size=(n_steps, 494)).astype(np.float32)
    monkeypatch.setattr(module, "_BLOCK", 7)
    got = network_of(layers).logits(torch.from_numpy(x))
    np.testing.assert_allclose(got.numpy(), slow_logits(layers, x), atol=2e-5)


@pytest.mark.parametrize("n_samples", [16000, 8123])
def test_features_follow_the_originals_from_sound_to_length(n_samples: int) -> None:
    sound = (np.random.default_rng(2).normal(0, 0.1, n_samples)).astype(np.float32)
    layers = random_layers()
    coefficients = mfcc(np.round(sound.astype(np.float64) * 32768), 26)[::2]
    padded = np.concatenate([np.zeros((9, 26)), coefficients, np.zeros((9, 26))])
    inputs = np.stack([padded[k : k + 19].ravel() for k in range(len(coefficients))])
    logits = slow_logits(layers, (inputs - inputs.mean()) / inputs.std())
    n_out = round(50 * n_samples / 16000)
    times = np.arange(n_out) / 50
    wanted = np.stack([np.interp(times, np.arange(len(logits)) / 50, column) for column in logits.T], axis=1)[:-1]
    got = deepspeech_features(network_of(layers), sound).numpy()
    assert len(got) == -(-50 * n_samples // 16000)
    np.testing.assert_allclose(got[: len(wanted)], wanted, atol=1e-3)
    assert (got[len(wanted) :] == 0).all()


def write_graph(path: Path, layers: dict[str, np.ndarray]) -> None:
    """A frozen graph by protobuf's own encoder, with the field numbers of TensorFlow's definition."""
    file = descriptor_pb2.FileDescriptorProto(name="graph.proto", package="t", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    definitions = {
        "Dim": [("size", 1, kinds.TYPE_INT64, "", False)],
        "Shape": [("dim", 2, kinds.TYPE_MESSAGE, "Dim", True)],
        "Tensor": [
            ("dtype", 1, kinds.TYPE_INT32, "", False),
            ("shape", 2, kinds.TYPE_MESSAGE, "Shape", False),
            ("content", 4, kinds.TYPE_BYTES, "", False),
            ("floats", 5, kinds.TYPE_FLOAT, "", True),
        ],
        "Value": [("dtype", 6, kinds.TYPE_INT32, "", False), ("tensor", 8, kinds.TYPE_MESSAGE, "Tensor", False)],
        "Entry": [("key", 1, kinds.TYPE_STRING, "", False), ("value", 2, kinds.TYPE_MESSAGE, "Value", False)],
        "Node": [
            ("name", 1, kinds.TYPE_STRING, "", False),
            ("op", 2, kinds.TYPE_STRING, "", False),
            ("attr", 5, kinds.TYPE_MESSAGE, "Entry", True),
        ],
        "Graph": [("node", 1, kinds.TYPE_MESSAGE, "Node", True)],
    }
    for name, fields in definitions.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of, is_list in fields:
            label = kinds.LABEL_REPEATED if is_list else kinds.LABEL_OPTIONAL
            message.field.add(name=field, number=number, type=kind, label=label, type_name=f".t.{of}" if of else None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    graph = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Graph"))()
    graph.node.add(name="input_node", op="Placeholder").attr.add(key="dtype").value.dtype = 1
    for k, (name, values) in enumerate(layers.items()):
        node = graph.node.add(name=name, op="Const")
        node.attr.add(key="dtype").value.dtype = 1
        tensor = node.attr.add(key="value").value.tensor
        tensor.dtype = 1
        for size in values.shape:
            tensor.shape.dim.add(size=size)
        if k % 2:
            tensor.content = values.tobytes()
        else:
            tensor.floats.extend(values.ravel().tolist())
    path.write_bytes(graph.SerializeToString())


def test_the_kind_is_computed_from_the_graph_in_the_model_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    layers = random_layers()
    write_graph(tmp_path / MODEL.name, layers)
    constants = read_constants(tmp_path / MODEL.name)
    assert {name: values.tolist() for name, values in constants.items()} == {k: v.tolist() for k, v in layers.items()}
    sound = np.random.default_rng(3).normal(0, 0.1, 16000).astype(np.float32)
    torch.testing.assert_close(extract("deepspeech", sound), deepspeech_features(network_of(layers), sound))
    assert DeepSpeech().kind.width == 29


def test_a_missing_or_damaged_graph_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(DependencyError, match=r"deepspeech-0_1_0-b90017e8\.pb .*put it at"):
        extract("deepspeech", np.zeros(1600, np.float32))
    write_graph(tmp_path / MODEL.name, {"h1": np.ones((2, 2), np.float32)})
    with pytest.raises(InputError, match="not DeepSpeech"):
        extract("deepspeech", np.zeros(1600, np.float32))
    whole = (tmp_path / MODEL.name).read_bytes()
    for content in (whole[:-3], b"PK\x03\x04 a zip", b""):
        (tmp_path / MODEL.name).write_bytes(content)
        with pytest.raises(InputError, match="no frozen TensorFlow graph"):
            extract("deepspeech", np.zeros(1600, np.float32))
