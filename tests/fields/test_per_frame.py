"""What frames are told, laid beside their samples."""

import torch

from loquent.fields.per_frame import per_sample
from loquent.testing import assert_values_match


def test_rows_of_frames_and_their_gradient_are_those_of_indexing() -> None:
    rows = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    frames = torch.tensor([2, 0, 2, 1, 2])
    upstream = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    assert_values_match(per_sample(rows, frames, 5), rows[frames])
    (ours,) = torch.autograd.grad(per_sample(rows, frames, 5), rows, upstream)
    (theirs,) = torch.autograd.grad(rows[frames], rows, upstream)
    assert_values_match(ours, theirs)
