"""A procedural talking head with known pose, lips, blinks and mattes: material for the demo, the tests and the examples.

Nobody's likeness: the face is a sculpture of smooth solids, painted by noise, lit and rasterised by our own code, and its voice
is a formant synthesiser. Everything follows from a seed.
"""
