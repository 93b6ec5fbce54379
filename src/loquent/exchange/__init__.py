"""Folders and checkpoints of RAD-NeRF, ER-NeRF and R2-Talker, read and written as those programs do."""
