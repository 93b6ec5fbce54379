"""Numba bodies for the CPU, compiled when first used and cached on disk where that is possible."""
