"""The judge of everyday things: a small network that names and locates them, and its training."""
