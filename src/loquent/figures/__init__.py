"""The figures of the papers, drawn from a portrait and its clip; one file a figure."""
