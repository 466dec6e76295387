"""Cutouts: your own things, drawn into boxes by seed."""
