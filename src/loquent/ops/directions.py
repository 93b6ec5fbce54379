"""Encodings of directions and coordinates that need no table: plain PyTorch on every device."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def spherical_harmonics(directions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 16"]:
    """Real spherical harmonics up to degree 3 (16 values) of unit directions; order and signs as in SPEC 2.4."""
    x, y, z = directions.unbind(dim=-1)
    xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
    values = (
        torch.full_like(x, 0.28209479177387814),
        -0.48860251190291987 * y,
        0.48860251190291987 * z,
        -0.48860251190291987 * x,
        1.0925484305920792 * xy,
        -1.0925484305920792 * yz,
        0.94617469575755997 * zz - 0.31539156525251999,
        -1.0925484305920792 * xz,
        0.54627421529603959 * (xx - yy),
        0.59004358992664352 * y * (yy - 3.0 * xx),
        2.8906114426405538 * xy * z,
        0.45704579946446572 * y * (1.0 - 5.0 * zz),
        0.3731763325901154 * z * (5.0 * zz - 3.0),
        0.45704579946446572 * x * (1.0 - 5.0 * zz),
        1.4453057213202769 * z * (xx - yy),
        0.59004358992664352 * x * (3.0 * yy - xx),
    )
    return torch.stack(values, dim=-1)


def frequency_encode(values: Float[Tensor, "*batch dims"], octaves: int) -> Float[Tensor, "*batch width"]:
    """`[v, sin v, cos v, sin 2v, cos 2v, …, sin 2^(m-1) v, cos 2^(m-1) v]`, each over all dimensions, no π (SPEC 3.1).

    The cosine is computed as sin(v + π/2) in the precision of `values`, as the original does; in float32 the two differ by
    up to 1e-5 at the highest octaves. Returns `dims * (1 + 2 * octaves)` values.
    """
    blocks = [values]
    for octave in range(octaves):
        angle = values * 2.0**octave
        blocks += [torch.sin(angle), torch.sin(angle + math.pi / 2)]
    return torch.cat(blocks, dim=-1)
