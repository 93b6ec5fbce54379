"""Occupancy, rendering of rays and layers of a picture. A field is a callable here: nothing of `loquent.fields` is known.

cells       the cells of a cubic grid: centres, neighbours, Morton order
occupancy   which cells are worth sampling
render      rays -> colour, opacity, depth
torso       the torso's 2-D occupancy, and its pixels
layers      head over torso over background; which part of the picture the head can cover
"""
