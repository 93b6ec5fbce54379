"""How good a portrait is: held-out frames rendered from the sound alone, measured against the real ones. One metric a file."""
