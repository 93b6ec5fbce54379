"""Tensors as the arrays that Numba reads."""

import numpy as np
from torch import Tensor


def array(tensor: Tensor) -> np.ndarray:
    """The values without their gradient, in C order; the same memory where that is possible."""
    values: np.ndarray = tensor.detach().contiguous().numpy()
    return values
