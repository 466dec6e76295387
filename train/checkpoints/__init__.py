"""Checkpoints in and out: single files, diffusers folders, adapters."""
