"""The clip folder: what `prepare` writes and training reads."""
