"""Features of wav2vec 2.0, HuBERT and their like, by the package transformers; models only from this machine, never fetched.

A model with a classifier of characters (CTC) gives its logits, any other its last hidden state. Both are computed piece by
piece as the original programs do (SPEC 1.6), so memory does not grow with the sound.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from loquent.errors import DependencyError, InputError, need
from loquent.media.audio import resample
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.pretrained import cache_folder
from loquent.speech.kinds import TRANSFORMERS, SpeechKind, speech_kind

HOP: Final = 320
"""Samples per step of every model that can be used: 50 Hz."""
WINDOW: Final = 400
"""Samples that the first layers need for one step."""
BEFORE, MIDDLE, AFTER = 10, 50, 10
"""Steps of one piece of a CTC model: only the middle is kept."""
PIECE: Final = 1000
"""Steps of one piece of a model without classifier."""
_SMALLEST_VARIANCE: Final = 1e-7


@dataclass(frozen=True)
class LocalModel:
    """A model's folder on this machine."""

    folder: Path
    has_classifier: bool
    """It gives logits of characters."""
    width: int
    """Numbers per step."""
    is_normalised: bool
    """It wants sound of mean 0 and variance 1."""


class TransformerFeatures:
    """Computes one kind; `model_id` is written ``owner/name``."""

    def __init__(self, kind_name: str, model_id: str) -> None:
        """Load the model.

        Raises:
            DependencyError: transformers or the model is not there.
            InputError: the model's width is not the kind's.
        """
        local = find_model(model_id)
        self.kind: SpeechKind = speech_kind(kind_name)
        if local.width != self.kind.width:
            raise InputError(
                f"The model in {local.folder} gives {local.width} values a step, but features of the kind {kind_name!r} have "
                f"{self.kind.width}. Put {model_id} there."
            )
        transformers = need("transformers", extra="speech")
        family = transformers.AutoModelForCTC if local.has_classifier else transformers.AutoModel
        self._local = local
        self._model = family.from_pretrained(local.folder, local_files_only=True).eval()

    def extract(self, waveform: Float[np.ndarray, "samples"], sample_rate_hz: int) -> Float[Tensor, "steps width"]:
        """Features of a whole sound in [-1, 1]; ceil(seconds * 50) steps."""
        if sample_rate_hz != SAMPLE_RATE_HZ:
            waveform = resample(waveform.astype(np.float32), sample_rate_hz, SAMPLE_RATE_HZ)
        sound = torch.from_numpy(np.ascontiguousarray(waveform, np.float32))
        n_steps = -(-len(sound) // HOP)
        with torch.no_grad():
            if self._local.has_classifier:
                return _to_length(torch.cat([torch.zeros(0, self.kind.width), *self._logits(sound)]), n_steps)
            states = torch.cat([torch.zeros(0, self.kind.width), *self._hidden_states(self._normalised(sound))])
        return _pairs_to_length(states[: max(0, len(sound) - (WINDOW - HOP)) // HOP], n_steps)

    def _logits(self, sound: Float[Tensor, "samples"]) -> Iterator[Float[Tensor, "steps width"]]:
        """Middles of overlapping pieces of 1.4 s, each normalised by itself; the last piece to its end (SPEC 1.6)."""
        n_chunks = len(sound) // HOP
        padded = functional.pad(sound[: n_chunks * HOP], (BEFORE * HOP, 0))
        start = 0
        while True:
            end = start + BEFORE + MIDDLE + AFTER
            is_last = end > BEFORE + n_chunks
            piece = padded[start * HOP :] if is_last else padded[start * HOP : end * HOP]
            logits = self._model(self._normalised(piece)[None]).logits[0]
            yield logits[BEFORE:] if is_last else logits[BEFORE : BEFORE + MIDDLE]
            if is_last:
                return
            start += MIDDLE

    def _hidden_states(self, sound: Float[Tensor, "samples"]) -> Iterator[Float[Tensor, "steps width"]]:
        """Pieces of 20 s with the samples that their last step needs beyond; the rest if it is long enough for a step."""
        for start in range(0, len(sound), PIECE * HOP):
            piece = sound[start : start + PIECE * HOP + WINDOW - HOP]
            if len(piece) >= WINDOW:
                yield self._model(piece[None]).last_hidden_state[0]

    def _normalised(self, sound: Float[Tensor, "samples"]) -> Float[Tensor, "samples"]:
        if not self._local.is_normalised or len(sound) == 0:
            return sound
        return (sound - sound.mean()) / (sound.var(correction=0) + _SMALLEST_VARIANCE).sqrt()


def esperanto() -> TransformerFeatures:
    """Character logits of wav2vec 2.0 fine-tuned on Esperanto: RAD-NeRF's features."""
    return TransformerFeatures("wav2vec2_esperanto", "cpierse/wav2vec2-large-xlsr-53-esperanto")


def base() -> TransformerFeatures:
    """Character logits of wav2vec 2.0 base."""
    return TransformerFeatures("wav2vec2", "facebook/wav2vec2-base-960h")


def hubert_large() -> TransformerFeatures:
    """Hidden states of HuBERT large: GeneFace's features."""
    return TransformerFeatures("hubert_large", "facebook/hubert-large-ls960-ft")


def any_model(kind_name: str) -> TransformerFeatures:
    """The features of any model; `kind_name` is ``transformers:owner--name``."""
    return TransformerFeatures(kind_name, model_id_of(kind_name))


def any_kind(kind_name: str) -> SpeechKind:
    """The facts of a kind ``transformers:owner--name``, from the model's own description; transformers is not needed.

    Raises:
        InputError: the name is not of that form, or the model has another rate than 50 Hz.
        DependencyError: the model is not on this machine.
    """
    local = find_model(model_id_of(kind_name))
    look_ahead_s = AFTER * HOP / SAMPLE_RATE_HZ if local.has_classifier else PIECE * HOP / SAMPLE_RATE_HZ
    return SpeechKind(kind_name, SAMPLE_RATE_HZ // HOP, local.width, look_ahead_s)


def model_id_of(kind_name: str) -> str:
    """``owner/name`` of ``transformers:owner--name``; a kind's name is also a file's, so it holds no slash.

    Raises:
        InputError: the name is not of that form.
    """
    owner, dashes, name = kind_name.removeprefix(TRANSFORMERS).partition("--")
    if not dashes or not owner or not name or "/" in kind_name:
        raise InputError(
            f"A model of the transformers hub is named {TRANSFORMERS}OWNER--NAME, for instance "
            f"{TRANSFORMERS}facebook--wav2vec2-base-960h, but {kind_name!r} was asked for."
        )
    return f"{owner}/{name}"


def find_model(model_id: str) -> LocalModel:
    """The model's folder in Loquent's model cache or in the hub's own.

    Raises:
        DependencyError: it is in neither; the message says what to fetch and where to put it.
        InputError: its description is damaged, or it is no model of sound at 50 Hz.
    """
    ours = cache_folder() / model_id.replace("/", "--")
    candidates = [ours, *_in_hub_cache(model_id)]
    folder = next((candidate for candidate in candidates if (candidate / "config.json").is_file()), None)
    if folder is None:
        raise DependencyError(
            f"The speech model {model_id} is not on this machine. Fetch config.json, preprocessor_config.json and "
            f"model.safetensors (or pytorch_model.bin) of https://huggingface.co/{model_id} on a connected machine and put "
            f"them into {ours}, or fetch the model into the hub's own cache."
        )
    facts, sound_facts = _read_json(folder / "config.json"), _read_json(folder / "preprocessor_config.json")
    strides = facts.get("conv_stride")
    if not isinstance(strides, list) or int(np.prod(strides)) != HOP:
        raise InputError(
            f"The model in {folder} does not turn sound at 16 kHz into 50 steps a second, as wav2vec 2.0 and HuBERT do, so its "
            "features cannot be used. Choose another."
        )
    has_classifier = any(str(name).endswith("ForCTC") for name in facts.get("architectures") or [])
    if model_id == "facebook/hubert-large-ls960-ft":
        has_classifier = False  # it has one, but the originals take the hidden state
    width = facts.get("vocab_size" if has_classifier else "hidden_size")
    if not isinstance(width, int):
        raise InputError(f"{folder / 'config.json'} does not state the model's width. Fetch it again.")
    return LocalModel(folder, has_classifier, width, bool(sound_facts.get("do_normalize", True)))


def _in_hub_cache(model_id: str) -> Iterator[Path]:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    repository = Path(os.environ.get("HF_HUB_CACHE", home / "hub")) / f"models--{model_id.replace('/', '--')}"
    branch = repository / "refs" / "main"
    if branch.is_file():
        yield repository / "snapshots" / branch.read_text().strip()


def _read_json(path: Path) -> dict[str, Any]:
    """The file's facts; none when there is no such file."""
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as cause:
        raise InputError(f"{path} cannot be read ({cause}). Fetch it again.") from cause
    if not isinstance(facts, dict):
        raise InputError(f"{path} is no description of a model. Fetch it again.")
    return facts


def _to_length(features: Float[Tensor, "steps width"], n_steps: int) -> Float[Tensor, "wanted width"]:
    """Zeros behind: what windows hold beyond the end."""
    return functional.pad(features, (0, 0, 0, n_steps - len(features)))


def _pairs_to_length(features: Float[Tensor, "steps width"], n_steps: int) -> Float[Tensor, "wanted width"]:
    """An even number of steps, then the last pair again: frames beyond the last have the last one's features."""
    even = features[: len(features) // 2 * 2]
    if len(even) == 0:
        return _to_length(even, n_steps)
    n_pairs = max(0, -(-(n_steps - len(even)) // 2))
    return torch.cat([even, even[-2:].repeat(n_pairs, 1)])[:n_steps]
