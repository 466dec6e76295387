"""Sampling of layouts and scores of what came out."""
