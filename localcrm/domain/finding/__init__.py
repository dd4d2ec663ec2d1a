"""Finding anything by what was typed, through the rights of whoever asks."""
