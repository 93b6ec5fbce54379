"""The network of the phonetic encoder: dilated convolutions in time that run step by step as well as all at once.

A block looks back over `2 * dilation` steps and may be allowed to look `ahead`; instead of reading the future, its
output is late by that much. So a sound can be pushed in pieces of any size: each block remembers the end of what it saw,
and the outputs are the same numbers, however it was cut (temporal convolutional networks, Bai, Kolter and Koltun 2018).
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

CLASSES = (
    "silence", "bilabial", "labiodental", "dental", "t", "n", "l", "s", "sh", "r", "k", "h", "w", "j",
    "i", "ue", "u", "y", "e", "o", "schwa", "a",
)  # fmt: skip
"""Articulatory classes, one output each. Named after a typical sound ("ue" is any rounded front vowel, "y" any
unrounded vowel high at the back); "bilabial" are p, b and m with their silent closure."""

INPUT_WIDTH = 80
NECK_WIDTH = 42
CHANNELS = 192
TRUNK = ((1, 1), (2, 2), (4, 0), (8, 0), (1, 0), (2, 0))
"""Dilation and steps ahead of each block of the causal form."""
FURTHER = ((1, 1), (2, 2), (3, 3), (4, 0))
"""The blocks that the form with more look-ahead adds."""


def steps_ahead(blocks: tuple[tuple[int, int], ...]) -> int:
    """How many steps a row of blocks looks ahead, which is how late it is."""
    return sum(ahead for _, ahead in blocks)


class Block(nn.Module):
    """A residual block over three steps `dilation` apart; starts as the identity, late by `ahead`."""

    def __init__(self, channels: int, dilation: int, ahead: int):
        super().__init__()
        self.reach, self.ahead = 2 * dilation, ahead
        self.spread = nn.Conv1d(channels, channels, 3, dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)  # type: ignore[arg-type]

    def memory(self, batch: int) -> Float[Tensor, "batch channels reach"]:
        """What the block remembers before anything was heard."""
        return self.mix.weight.new_zeros(batch, self.mix.in_channels, self.reach)

    def forward(
        self, x: Float[Tensor, "batch channels steps"], memory: Float[Tensor, "batch channels reach"]
    ) -> tuple[Float[Tensor, "batch channels steps"], Float[Tensor, "batch channels reach"]]:
        """The next outputs, as many as inputs, and what to remember."""
        known = torch.cat([memory, x], dim=2)
        change = self.mix(nn.functional.silu(self.spread(nn.functional.silu(known))))
        late = known[:, :, self.reach - self.ahead : known.shape[2] - self.ahead]
        return late + change, known[:, :, known.shape[2] - self.reach :]


class PhoneticNet(nn.Module):
    """Log energies to class scores and a bottleneck, in a causal form and one with more look-ahead on top of it."""

    def __init__(self, channels: int = CHANNELS):
        super().__init__()
        self.enter = nn.Conv1d(INPUT_WIDTH, channels, 1)
        self.trunk = nn.ModuleList(Block(channels, *block) for block in TRUNK)
        self.causal_neck, self.causal_classes = (
            nn.Conv1d(channels, NECK_WIDTH, 1),
            nn.Conv1d(NECK_WIDTH, len(CLASSES), 1),
        )
        self.further = nn.ModuleList(Block(channels, *block) for block in FURTHER)
        self.neck, self.classes = nn.Conv1d(channels, NECK_WIDTH, 1), nn.Conv1d(NECK_WIDTH, len(CLASSES), 1)

    def memories(self, batch: int, *, causal: bool) -> list[Tensor]:
        """Every block's memory before anything was heard."""
        return [block.memory(batch) for block in self._blocks(causal)]

    def forward(
        self, x: Float[Tensor, "batch inputs steps"], memories: list[Tensor], *, causal: bool
    ) -> tuple[Float[Tensor, "batch neck steps"], Float[Tensor, "batch classes steps"], list[Tensor]]:
        """Bottleneck and class scores, late by `steps_ahead` of the blocks in use, and the new memories."""
        x, after = self.enter(x), []
        for block, memory in zip(self._blocks(causal), memories, strict=True):
            x, memory = block(x, memory)
            after.append(memory)
        neck = self.causal_neck(x) if causal else self.neck(x)
        scores = self.causal_classes(neck) if causal else self.classes(neck)
        return neck, scores, after

    def both(self, x: Float[Tensor, "batch inputs steps"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Bottleneck and scores of the causal form, then of the other, for training; late as each form is."""
        x = self.enter(x)
        heard = [x]
        for block in self._blocks(causal=False):
            heard.append(block(heard[-1], block.memory(len(x)))[0])
        causal_neck, neck = self.causal_neck(heard[len(TRUNK)]), self.neck(heard[-1])
        return causal_neck, self.causal_classes(causal_neck), neck, self.classes(neck)

    def _blocks(self, causal: bool) -> list[Block]:
        blocks = [*self.trunk] if causal else [*self.trunk, *self.further]
        return cast(list[Block], blocks)
