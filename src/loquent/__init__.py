"""Loquent: a neural radiance field of one person that speaks any audio."""

__version__ = "0.1.0"
