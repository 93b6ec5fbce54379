"""How anybody's lips would look under a sound, by tables."""

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from loquent.speech.articulation import LIP_SHAPES
from loquent.speech.phonetic_net import CLASSES
from loquent.speech.usual_lips import SHAPES, lip_claims, usual_lips


def spoken(within_a: str | None = None) -> Float[Tensor, "1 60 classes"]:
    """A long a, in whose middle another sound lies for 0.08 s."""
    labels = torch.full((1, 60), CLASSES.index("a"))
    if within_a is not None:
        labels[:, 30:34] = CLASSES.index(within_a)
    return torch.nn.functional.one_hot(labels, len(CLASSES)).float()


def lowest(within_a: str) -> float:
    return float(usual_lips(spoken(within_a))[0, 0].min())


def test_every_class_has_a_shape() -> None:
    assert len(SHAPES) == len(CLASSES)


def test_one_sound_alone_has_its_own_shape() -> None:
    shape = torch.tensor(LIP_SHAPES["a"])
    torch.testing.assert_close(usual_lips(spoken()), shape[None, :, None].expand(1, 2, 60))


def test_lips_obey_labials_most_and_tongues_least() -> None:
    assert lowest("bilabial") < 0.1
    assert 0.3 < lowest("t") < 0.8, "0.3 by itself"
    assert lowest("bilabial") < lowest("w") < lowest("t")


def test_lips_round_for_w_and_spread_for_i() -> None:
    spread = {name: usual_lips(spoken(name))[0, 1, 32] for name in ("a", "w", "i")}
    assert spread["w"] < -0.5 < spread["a"] < spread["i"]


def test_a_doubtful_sound_counts_as_much_as_it_is_likely() -> None:
    """Against the weighted mean written out, far from the ends of a constant mixture: bilabials claim five times a vowel's
    share."""
    mixture = torch.zeros(1, 60, len(CLASSES))
    mixture[..., CLASSES.index("a")], mixture[..., CLASSES.index("bilabial")] = 0.8, 0.2
    wanted = (0.8 * 1 * LIP_SHAPES["a"][0] + 0.2 * 5 * LIP_SHAPES["bilabial"][0]) / (0.8 * 1 + 0.2 * 5)
    assert float(usual_lips(mixture)[0, 0, 30]) == pytest.approx(wanted, abs=1e-5)


def test_claims_are_shapes_times_dominance_of_each_step_alone() -> None:
    """Against the sum written out: a vowel claims once, a bilabial five times."""
    steps = torch.zeros(2, len(CLASSES))
    steps[0, CLASSES.index("a")], steps[0, CLASSES.index("bilabial")], steps[1, CLASSES.index("w")] = 0.8, 0.2, 1.0
    opening, spread = LIP_SHAPES["a"]
    wanted = [[0.8 * opening, 0.8 * spread, 0.8 + 0.2 * 5], [5 * LIP_SHAPES["w"][0], 5 * LIP_SHAPES["w"][1], 5.0]]
    torch.testing.assert_close(lip_claims(steps), torch.tensor(wanted))
