"""From frames to their samples: what a frame is told, laid beside each of its samples or pixels."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def per_sample(
    rows: Float[Tensor, "frames width"], frame_of_sample: Int[Tensor, "samples"] | None, n_samples: int
) -> Float[Tensor, "samples width"]:
    """The row of each sample's frame.

    A product with a one-hot matrix rather than indexing: for a handful of frames its backward pass, a second product,
    is many times faster than the scatter of an indexed read.
    """
    if frame_of_sample is None:
        assert len(rows) == 1, "several frames need frame_of_sample"
        return rows.expand(n_samples, -1)
    frames = torch.arange(len(rows), device=rows.device)
    return (frame_of_sample[:, None] == frames).to(rows.dtype) @ rows
