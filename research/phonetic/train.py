"""Trains the encoder on the corpus; continues where it was stopped, and writes the weights that the package ships."""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from loquent.speech.log_mel import MEAN, POWER_FLOOR, SCALE, mel_bands
from loquent.speech.phonetic import INPUT_WIDTH, SPECTRUM_HOP, WINDOW
from loquent.speech.phonetic_net import CHANNELS, FURTHER, TRUNK, PhoneticNet, steps_ahead
from research.phonetic import shards
from research.phonetic.augment import N_STEPS, crop, varied
from research.phonetic.classes import IGNORED
from research.phonetic.lips import trajectories

SEED = 4
STEPS = 9000
BATCH = 16
PEAK_RATE = 2e-3
WARM_UP = 150
SAVE_EVERY = 100
LIPS_WEIGHT = 1.0
FESTIVAL_SHARE = 0.6
"""festival's voices are recordings of people cut up: worth more than espeak's though there are fewer."""
AVERAGE = 0.998


class Crops(Dataset):
    """Crop number i is always the same sound: its random numbers start from the seed and i."""

    def __init__(self, folder: Path, n_steps: int):
        self.files = sorted(path for path in folder.glob("*.npz") if path.name.startswith(("espeak", "festival")))
        self.n_crops = n_steps * BATCH
        self.pools: dict[bool, list] = {}

    def __len__(self) -> int:
        return self.n_crops

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        if not self.pools:
            for is_festival in (False, True):
                files = [path for path in self.files if path.name.startswith("festival") == is_festival]
                self.pools[is_festival] = [item for path in files for item in shards.read(path)]
        rng = np.random.default_rng([SEED, place])
        pool = self.pools[rng.random() < FESTIVAL_SHARE]
        # Easy crops first, then hard ones, and milder ones again at the end.
        progress = place / self.n_crops
        strength = min(1.0, 0.4 + 2 * progress) if progress < 0.75 else 0.7
        sound, labels = crop(pool, rng)
        sound = varied(sound, pool, rng, strength)
        inputs = heard(torch.from_numpy(sound), float(np.exp(rng.uniform(-0.17, 0.17))))
        return mask(smeared(inputs, rng), rng), torch.from_numpy(labels)


def heard(sound: Tensor, warp: float) -> Tensor:
    """The network's inputs [steps, inputs] with all frequencies multiplied by `warp`: a longer or shorter vocal tract."""
    padded = nn.functional.pad(sound, ((WINDOW + SPECTRUM_HOP) // 2, WINDOW))
    windows = padded.unfold(0, WINDOW, SPECTRUM_HOP)[: 2 * N_STEPS]
    window = torch.hann_window(WINDOW)
    power = torch.fft.rfft(windows * window, 512).abs().square() * (2 / (512 * window.square().sum()))
    bands = mel_bands(512)
    places = torch.arange(len(bands)) * warp
    low = places.long().clamp(max=len(bands) - 2)
    share = (places - low).clamp(max=1)[:, None]
    bands = bands[low] * (1 - share) + bands[low + 1] * share
    return ((torch.log(power @ bands + POWER_FLOOR) - MEAN) / SCALE).reshape(N_STEPS, INPUT_WIDTH)


def smeared(inputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Some sounds with energies averaged over moments, as statistical synthesisers and thrifty codecs leave them."""
    if rng.random() >= 0.25:
        return inputs
    width = rng.uniform(0.5, 2.0)
    weights = torch.exp(-0.5 * (torch.arange(-5, 6) / width).square())
    energies = inputs.reshape(2 * N_STEPS, 1, INPUT_WIDTH // 2).permute(2, 1, 0)
    energies = nn.functional.conv1d(
        nn.functional.pad(energies, (5, 5), "replicate"), (weights / weights.sum())[None, None]
    )
    return energies.permute(2, 1, 0).reshape(N_STEPS, INPUT_WIDTH)


def mask(inputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Some bands or moments levelled to the mean."""
    energies = inputs.reshape(N_STEPS, 2, INPUT_WIDTH // 2)
    if rng.random() < 0.3:
        low, width = rng.integers(0, 38), rng.integers(1, 7)
        energies[:, :, low : low + width] = inputs.mean()
    if rng.random() < 0.2:
        low, width = rng.integers(0, N_STEPS - 5), rng.integers(1, 5)
        energies[low : low + width] = inputs.mean()
    return energies.reshape(N_STEPS, INPUT_WIDTH)


class Trainer(nn.Module):
    """The network and what only training needs: a linear map from each bottleneck to the lips' usual shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = PhoneticNet(channels)
        self.lips = nn.ModuleList(nn.Conv1d(self.net.neck.out_channels, 2, 1) for _ in range(2))

    def loss(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        """The loss of a batch, and the accuracy of the form with more look-ahead."""
        labels = labels.long()
        wanted = trajectories(labels)
        with torch.autocast("cpu", torch.bfloat16):  # half the time on processors that know it
            heard = self.net.both(inputs.transpose(1, 2))
        causal_neck, causal_scores, neck, scores = (part.float() for part in heard)
        total, accuracy = torch.zeros(()), 0.0
        forms = ((causal_neck, causal_scores, TRUNK, self.lips[0]), (neck, scores, TRUNK + FURTHER, self.lips[1]))
        for its_neck, its_scores, blocks, lips in forms:
            late = steps_ahead(blocks)
            target = labels[:, : N_STEPS - late]
            total = total + nn.functional.cross_entropy(
                its_scores[:, :, late:], target, ignore_index=IGNORED, label_smoothing=0.05
            )
            total = total + LIPS_WEIGHT * nn.functional.mse_loss(
                lips(its_neck)[:, :, late:], wanted[:, :, : N_STEPS - late]
            )
            # Keeps the bottleneck at about unit variance, so that it can be used as it is.
            total = total + 0.003 * its_neck.square().mean()
            accuracy = float((its_scores[:, :, late:].argmax(1) == target)[target != IGNORED].float().mean())
        return total, accuracy


def standardised(net: PhoneticNet, inputs: Tensor) -> dict[str, Tensor]:
    """The weights, with each number of the bottlenecks shifted and scaled to mean 0 and variance 1 on `inputs`."""
    with torch.no_grad():
        necks = net.both(inputs.transpose(1, 2))[::2]
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for neck, (name, after) in zip(necks, (("causal_neck", "causal_classes"), ("neck", "classes")), strict=True):
        mean, scale = neck.mean(dim=(0, 2)), neck.std(dim=(0, 2)) + 1e-3
        onward = weights[f"{after}.weight"]
        weights[f"{after}.bias"] += onward[:, :, 0] @ mean
        weights[f"{after}.weight"] = onward * scale[:, None]
        weights[f"{name}.weight"] /= scale[:, None, None]
        weights[f"{name}.bias"] = (weights[f"{name}.bias"] - mean) / scale
    return {name: tensor.contiguous() for name, tensor in weights.items()}


def train(
    folder: Path, weights: Path, n_steps: int, *, until: int | None = None, channels: int = CHANNELS, n_workers: int = 1
) -> float:
    """Train for `n_steps` in all, going on from the checkpoint beside `weights` if there is one; returns the last accuracy.

    `until` stops earlier, as if interrupted: the schedule stays that of `n_steps`.
    """
    torch.manual_seed(SEED)
    trainer = Trainer(channels)
    average = AveragedModel(trainer, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
    optimiser = torch.optim.AdamW(trainer.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    parts = {"trainer": trainer, "average": average, "optimiser": optimiser}
    checkpoint, first = weights.with_suffix(".training.pt"), 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        first = state["step"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
    order = range(first * BATCH, (until or n_steps) * BATCH)
    batches = DataLoader(
        Crops(folder, n_steps), BATCH, sampler=order, num_workers=n_workers, prefetch_factor=4 if n_workers else None
    )
    begin, seen, mean_accuracy = time.time(), [], 0.0
    for step, (inputs, labels) in enumerate(batches, start=first):
        rate = PEAK_RATE * min(1, (step + 1) / WARM_UP) * (0.51 + 0.5 * math.cos(math.pi * step / n_steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss, accuracy = trainer.loss(inputs, labels)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(trainer)
        seen.append((float(loss.detach()), accuracy))
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == (until or n_steps):
            mean_loss, mean_accuracy = np.mean(seen, axis=0)
            print(
                f"step {step + 1}: loss {mean_loss:.3f}, accuracy {mean_accuracy:.3f}, {time.time() - begin:.0f} s",
                flush=True,
            )
            seen = []
            partial = checkpoint.with_suffix(".part")
            torch.save({"step": step + 1, **{name: part.state_dict() for name, part in parts.items()}}, partial)
            partial.rename(checkpoint)
            halved = {name: tensor.half() for name, tensor in standardised(average.module.net, inputs).items()}
            save_file(halved, weights)
    return float(mean_accuracy)


def main() -> None:
    """Train and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the corpus")
    parser.add_argument("weights", type=Path, help="the file to write, safetensors")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    train(arguments.folder, arguments.weights, arguments.steps)


if __name__ == "__main__":
    main()
