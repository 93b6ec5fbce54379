"""DeepSpeech 0.1.0, whose character logits AD-NeRF and ER-NeRF listen to (SPEC 1.6), in PyTorch from the published graph.

Three layers, an LSTM in both directions over the whole sound, two layers. Exact for any length in constant memory: what the
backward LSTM knows at the borders of blocks is found first, from the end; then blocks are computed from the start.
"""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from loquent.errors import InputError
from loquent.media.audio import resample
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.pretrained import ModelFile, need_model
from loquent.speech.frozen_graph import read_constants
from loquent.speech.kinds import SpeechKind, speech_kind
from loquent.speech.mfcc import mfcc

MODEL: Final = ModelFile(
    name="deepspeech-0_1_0-b90017e8.pb",
    url="https://github.com/osmr/deepspeech_features/releases/download/v0.0.1/deepspeech-0_1_0-b90017e8.pb.zip",
    sha256="",
    licence="MPL-2.0 (Mozilla)",
    meaning="DeepSpeech 0.1.0; unzip it; its sha1 is b90017e816572ddce84f5843f1fa21e6a377975e",
)
N_COEFFICIENTS: Final = 26
CONTEXT: Final = 9
"""Steps before and after each that the network sees with it."""
_CLIP: Final = 20.0
"""Upper bound of every ReLU."""
_BLOCK: Final = 500
"""Steps computed at a time."""

State = tuple[Tensor, Tensor]


class DeepSpeech:
    """Computes the kind ``"deepspeech"``."""

    def __init__(self) -> None:
        """Load the network.

        Raises:
            DependencyError: it is not in the model cache.
            InputError: the file holds something else.
        """
        self._network = DeepSpeechNetwork(
            {name: torch.from_numpy(values) for name, values in read_constants(need_model(MODEL)).items()}
        )

    @property
    def kind(self) -> SpeechKind:
        """Which kind it computes."""
        return speech_kind("deepspeech")

    def extract(self, waveform: Float[np.ndarray, "samples"], sample_rate_hz: int) -> Float[Tensor, "steps width"]:
        """Logits of a whole sound in [-1, 1] as the originals window them; ceil(seconds * 50) steps, zero past their end."""
        if sample_rate_hz != SAMPLE_RATE_HZ:
            waveform = resample(waveform.astype(np.float32), sample_rate_hz, SAMPLE_RATE_HZ)
        return deepspeech_features(self._network, waveform)


class DeepSpeechNetwork:
    """The layers by their names in the published graph: h1 b1 h2 b2 h3 b3, both LSTM cells, h5 b5 h6 b6."""

    def __init__(self, constants: dict[str, Tensor]) -> None:
        """Keep the layers.

        Raises:
            InputError: one is missing.
        """
        try:
            self._dense = {k: (constants[f"h{k}"], constants[f"b{k}"]) for k in (1, 2, 3, 5, 6)}
            cells = [
                [constants[f"bidirectional_rnn/{way}/basic_lstm_cell/{part}"] for part in ("kernel", "bias")]
                for way in ("fw", "bw")
            ]
        except KeyError as missing:
            raise InputError(f"The graph {MODEL.name} lacks {missing}, so it is not DeepSpeech 0.1.0.") from missing
        self._forward, self._backward = (_lstm(kernel, bias) for kernel, bias in cells)

    @torch.no_grad()
    def logits(self, inputs: Float[Tensor, "steps 494"]) -> Float[Tensor, "steps width"]:
        """Character logits of each step of a whole sound."""
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(inputs), _BLOCK)]
        later: list[State | None] = [None]
        for block in blocks[:0:-1]:
            _, state = self._backward(self._before(inputs[block]).flip(0), later[-1])
            later.append(state)
        parts, earlier = [], None
        for block, after in zip(blocks, later[::-1], strict=True):
            x = self._before(inputs[block])
            ahead, earlier = self._forward(x, earlier)
            behind = self._backward(x.flip(0), after)[0].flip(0)
            parts.append(self._layer(6, self._clipped(5, torch.cat([ahead, behind], 1))))
        return torch.cat(parts)

    def _before(self, x: Float[Tensor, "steps 494"]) -> Float[Tensor, "steps cells"]:
        return self._clipped(3, self._clipped(2, self._clipped(1, x)))

    def _clipped(self, k: int, x: Tensor) -> Tensor:
        return self._layer(k, x).clamp(0, _CLIP)

    def _layer(self, k: int, x: Tensor) -> Tensor:
        weight, bias = self._dense[k]
        return x @ weight + bias


def deepspeech_features(
    network: DeepSpeechNetwork, waveform: Float[np.ndarray, "samples"]
) -> Float[Tensor, "steps width"]:
    """Logits of a sound at 16 kHz in [-1, 1] at 50 Hz, brought to its length as the originals do (SPEC 1.6)."""
    samples = np.clip(np.round(waveform.astype(np.float64) * 32768), -32768, 32767)
    coefficients = torch.from_numpy(mfcc(samples, N_COEFFICIENTS)[::2])
    n_steps, n_wanted = round(50 * samples.size / SAMPLE_RATE_HZ), -(-50 * samples.size // SAMPLE_RATE_HZ)
    logits = network.logits(_with_context(coefficients))
    logits = torch.cat([logits, logits[-1:].expand(max(0, n_steps - len(logits)), -1)])
    kept = logits[: max(0, n_steps - 1)]  # the originals lose the last step
    return functional.pad(kept, (0, 0, 0, n_wanted - len(kept)))


def _with_context(coefficients: Float[Tensor, "steps 26"]) -> Float[Tensor, "steps 494"]:
    """Each step with its neighbours, zero outside, shifted and scaled by one mean and deviation of all numbers."""
    padded = functional.pad(coefficients, (0, 0, CONTEXT, CONTEXT))
    # How often each step is seen: by every neighbour that exists.
    seen_by = functional.pad(torch.ones(len(coefficients)), (CONTEXT, CONTEXT)).unfold(0, 2 * CONTEXT + 1, 1).sum(1)
    n_numbers = len(coefficients) * (2 * CONTEXT + 1) * N_COEFFICIENTS
    mean = (coefficients * seen_by[:, None]).sum() / n_numbers
    spread = ((coefficients.square() * seen_by[:, None]).sum() / n_numbers - mean**2).sqrt()
    normalised = ((padded - mean) / spread).float()
    return normalised.unfold(0, 2 * CONTEXT + 1, 1).transpose(1, 2).flatten(1)


def _lstm(kernel: Float[Tensor, "inputs gates"], bias: Float[Tensor, "gates"]) -> nn.LSTM:
    """TensorFlow's BasicLSTMCell as PyTorch's: gates in another order, the forget gate's bias raised by 1."""
    n_cells = bias.numel() // 4
    n_inputs = kernel.shape[0] - n_cells
    lstm = nn.LSTM(n_inputs, n_cells).requires_grad_(False)
    order = torch.arange(4 * n_cells).reshape(4, n_cells)[[0, 2, 1, 3]].flatten()
    raised = bias.clone()
    raised[2 * n_cells : 3 * n_cells] += 1
    weights = {"weight_ih_l0": kernel[:n_inputs].T[order], "weight_hh_l0": kernel[n_inputs:].T[order]}
    lstm.load_state_dict({**weights, "bias_ih_l0": raised[order], "bias_hh_l0": torch.zeros(4 * n_cells)})
    return lstm
