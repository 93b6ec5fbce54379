"""Plain PyTorch bodies: the definition of every operation, differentiable, on any device and in any precision."""
