"""From a clip folder to a portrait file: stages, losses, schedules, checkpoints."""
