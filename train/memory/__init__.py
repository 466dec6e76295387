"""How much memory a run needs, counted before anything is trained."""
