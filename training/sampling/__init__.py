"""Which part of which clip is shown to the model, and what is known about it."""
