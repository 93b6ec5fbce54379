"""What the phonetic features are worth to a portrait's lips on its own clip: the same head, moved by what small convolutional
networks foretell from log-mel alone.

    python -m research.phonetic.rival_lips p.portrait clip

The networks learn from the frames that trained the portrait, and the held-out ones judge them, as they judge the portrait. They
learn with noise over the sound and stop when they foretell the opening best out of fold; with wider windows than the portrait's
they foretold less. Log-mel does not know when nobody speaks, nor which sounds are p, b or m, so they are also measured with
their lips shut by the rules of portraits, which take that from the phonetic encoder.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from loquent.data.clip import Clip
from loquent.errors import InputError, LoquentError
from loquent.evaluation import held_out
from loquent.evaluation.lip_sync import lip_sync
from loquent.face.expression import detrend
from loquent.face.landmarks import detect_all
from loquent.face.lips import correlation, lip_opening, lip_width
from loquent.nn.lip_predictor import WINDOW_STEPS, heard_windows
from loquent.portrait import Portrait
from loquent.progress import Progress
from loquent.speech.kinds import PARTS
from loquent.storage import write_json
from loquent.training.lips import LARGEST_GAIN, folds, opening_in_full

KIND = "mel_phonetic"
"""Portraits that listen to it are judged; log-mel is the first of its parts."""
N_NETWORKS = 5
CHANNELS = 64
NOISE = 1.0
"""Standard deviation of the noise over the sound while a network learns, in those of each mel band."""
CHECKPOINTS = tuple(range(20, 161, 20))
"""Steps of training after which a network may stop."""


class Rival(nn.Sequential):
    """Expression coefficients from the log-mel around a frame."""

    def __init__(self, width: int, n_coefficients: int) -> None:
        """For `width` mel bands."""
        super().__init__(
            nn.Conv1d(width, CHANNELS, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(CHANNELS, CHANNELS, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(CHANNELS * (WINDOW_STEPS // 2), n_coefficients),
        )


def learn(
    windows: Float[Tensor, "frames bands window"],
    wanted: Float[Tensor, "frames coefficients"],
    asked: Float[Tensor, "asked bands window"],
    seed: int,
) -> Float[np.ndarray, "checkpoints asked coefficients"]:
    """What a network says of `asked` after each number of steps in `CHECKPOINTS`."""
    torch.manual_seed(seed)
    mean, spread = windows.mean(dim=(0, 2), keepdim=True), windows.std(dim=(0, 2), keepdim=True) + 1e-6
    windows, asked = (windows - mean) / spread, (asked - mean) / spread
    network, said = Rival(windows.shape[1], wanted.shape[1]), []
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.1)
    for step in range(1, CHECKPOINTS[-1] + 1):
        noisy = windows + NOISE * torch.randn(windows.shape)
        optimiser.zero_grad()
        functional.mse_loss(network(noisy), wanted).backward()
        optimiser.step()
        if step in CHECKPOINTS:
            with torch.no_grad():
                said.append(network.eval()(asked).numpy())
            network.train()
    return np.stack(said)


def foretell(
    windows: Float[Tensor, "frames bands window"],
    wanted: Float[np.ndarray, "frames coefficients"],
    asked: Float[Tensor, "asked bands window"],
    advance: Callable[[], None] = lambda: None,
) -> Float[Tensor, "asked coefficients"]:
    """The mean of networks that learned `wanted`, its opening enlarged as portraits enlarge theirs.

    `advance` is called after each network.
    """
    targets = torch.from_numpy(wanted).float()
    out_of_fold = np.zeros((len(CHECKPOINTS), *wanted.shape))
    for fold, kept in folds(len(wanted)):
        out_of_fold[:, fold] = learn(windows[kept], targets[kept], windows[fold], seed=0)
        advance()
    best = int(np.square(out_of_fold - wanted).mean(axis=1)[:, 0].argmin())
    said = []
    for seed in range(N_NETWORKS):
        said.append(learn(windows, targets, asked, seed)[best])
        advance()
    share = out_of_fold[best].std(axis=0) / np.maximum(wanted.std(axis=0), 1e-12)
    known = np.array([correlation(a, b) for a, b in zip(out_of_fold[best].T, wanted.T, strict=True)])
    gain = opening_in_full(share.clip(1e-6), known).clip(1, LARGEST_GAIN)
    return torch.from_numpy(np.mean(said, axis=0) * gain).float()


def movers(
    portrait: Portrait, clip: Clip, advance: Callable[[], None] = lambda: None
) -> dict[str, Float[Tensor, "frames condition_width"]]:
    """What moves the lips of the held-out frames, by name: ours and the rivals', shut by our rules and not.

    Raises:
        InputError: the portrait does not foretell coefficients from `KIND`, or does not fit the clip.
    """
    held_out.check_pair(portrait, clip, ("head",))
    if portrait.speech_kind != KIND or portrait.lips is None or portrait.rest is None:
        raise InputError(
            f"Only portraits whose lips are foretold from {KIND!r} can be judged; train with --preset quick."
        )
    frames, n_train = list(clip.held_out_frames), clip.info.n_train
    ids, features = clip.track.frame_ids, clip.speech_features()
    log_mel = features[:, : PARTS[KIND][0]]
    wanted = detrend(clip.track.expression[:n_train].double().numpy(), ids[:n_train].numpy(), clip.info.fps)
    theirs = foretell(heard_windows(log_mel, ids[:n_train]), wanted, heard_windows(log_mel, ids[frames]), advance)
    bounded = theirs.clone()
    bounded[:, 0].clamp_(min=float(portrait.rest[0]))
    return {
        "ours, shut": held_out.conditions(portrait, clip),
        "log-mel, shut by our rules": portrait.expression_conditions(portrait.closed(bounded, features, ids[frames])),
        "ours, not shut": held_out.conditions(replace(portrait, rest=None), clip),
        "log-mel, not shut": portrait.expression_conditions(theirs),
    }


def judge(portrait: Portrait, clip: Clip) -> dict[str, dict[str, float | None]]:
    """Correlation of rendered opening and width with the real ones above 0.5 Hz, and the lag in frames, for each of `movers`;
    None where too few frames are held out."""
    with Progress("Learning", len(list(folds(clip.info.n_train))) + N_NETWORKS, unit="network") as bar:
        conditions = movers(portrait, clip, bar.advance)
    timeline = held_out.timeline(clip)
    real = detect_all(held_out.real_pictures(clip)).points_px
    rows = {}
    with Progress("Rendering", len(conditions), unit="film") as bar:
        for name, moved_by in conditions.items():
            pictures = held_out.rendered_pictures(portrait, clip, "head", moved_by, [])
            points = detect_all(pictures).points_px
            opening, width = (
                lip_sync(measure(points), measure(real), timeline.frame_ids, timeline.fps)
                for measure in (lip_opening, lip_width)
            )
            rows[name] = {
                "opening": opening and round(opening.correlation, 3),
                "lag_frames": opening and opening.lag_frames,
                "width": width and round(width.correlation, 3),
            }
            bar.advance()
    return rows


def main() -> None:
    """Judge a portrait's lips beside its rivals'."""
    parser = argparse.ArgumentParser(
        prog="python -m research.phonetic.rival_lips", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("portrait", type=Path, help="a portrait of preset quick")
    parser.add_argument("clip", type=Path, help="the clip that trained it")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    try:
        rows = judge(Portrait.load(arguments.portrait), Clip.open(arguments.clip))
        print(json.dumps(rows, indent=1))
        if arguments.json:
            write_json(arguments.json, rows)
    except LoquentError as cause:
        parser.error(str(cause))


if __name__ == "__main__":
    main()
