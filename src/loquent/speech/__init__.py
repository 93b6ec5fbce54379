"""From a waveform to the speech features a portrait listens to, and their windows around each video frame."""
