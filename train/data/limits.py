"""What a trainer has room for, as options of `data check`."""

from __future__ import annotations

from train.model.options import Bins, Length
from train.options import MaxRegions, options


@options
class Limits:
    """What the trainer has room for."""

    max_length: Length = 616
    """L, the length of the token sequence."""
    num_bins: Bins = 1000
    """Position tokens; 0: captions only."""
    max_regions: MaxRegions = 20
    """Regions of a sample."""
