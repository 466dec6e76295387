"""A training run: its loop, and what it needs."""
