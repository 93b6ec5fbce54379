"""Cameras, rays and rotations: pure functions on tensors. Axes and units: docs/conventions.md."""
