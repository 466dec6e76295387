"""Data sets as samples, and the way from samples to batches."""
