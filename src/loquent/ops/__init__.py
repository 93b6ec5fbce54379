"""The few hot operations: meaning and checks here, one file each; bodies in `reference` (plain PyTorch) and `cpu` (Numba).

* `dispatch`: which body runs, and why
* `directions`: spherical harmonics and frequency encodings
* `grid_encode`: multi-resolution grids and the tri-plane
* `ray_march`: where along rays the field is sampled
* `composite`: samples of a ray to one pixel
"""
