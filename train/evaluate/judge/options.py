"""Options of the judge's training."""

from __future__ import annotations

from train.options import Positive, Rate, Seed, Side, options


@options
class JudgeOptions:
    """How the judge of everyday things is trained."""

    path: str
    """Folder of pictures with transparency, one thing each."""
    things: str = ""
    """TOML file that lists the things; empty: all of the folder's."""
    size: Side = 160
    """Of pictures that are to be judged, in pixels; it learns from sizes around it."""
    steps: Positive = 5200
    """Of training."""
    batch_size: Positive = 64
    """Windows of a step."""
    learning_rate: Rate = 3e-3
    """The highest; it rises and falls in one cycle."""
    seed: Seed = 0
    """Of the pictures and the first weights."""
