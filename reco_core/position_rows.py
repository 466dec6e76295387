"""Starting values for the rows that position tokens add to a token embedding.

The released code copies trained location embeddings of another model (OFA) that nobody ships.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_LOWEST_FREQUENCY = 0.5  # half a turn across the image: the two borders start out opposite
_BINS_PER_TURN = 16  # of the highest frequency: a sixteenth of a turn between neighbours


def ordered_rows(num_bins: int, width: int, std: float, seed: int = 0) -> torch.Tensor:
    """Random Fourier features of the coordinate, so that neighbouring bins start out close.

    Returns:
        float32 (num_bins, width), mean 0, standard deviation std.
    """
    import torch  # here, so that `import reco_core` costs nothing

    generator = torch.Generator().manual_seed(seed)
    highest = max(2 * _LOWEST_FREQUENCY, num_bins / _BINS_PER_TURN)
    octaves = math.log(highest / _LOWEST_FREQUENCY)
    frequency = _LOWEST_FREQUENCY * torch.exp(octaves * torch.rand(width, generator=generator))
    phase = torch.rand(width, generator=generator)
    coordinate = torch.linspace(0.0, 1.0, num_bins)
    rows = torch.cos(2 * math.pi * (coordinate[:, None] * frequency + phase))  # (bins, width)
    rows = rows / frequency.sqrt()  # coarse position speaks louder than fine
    return _scaled(rows, std)


def random_rows(num_bins: int, width: int, std: float, seed: int = 0) -> torch.Tensor:
    """Independent Gaussian rows: bins start without any order.

    Returns:
        float32 (num_bins, width), mean 0, standard deviation std.
    """
    import torch  # here, so that `import reco_core` costs nothing

    generator = torch.Generator().manual_seed(seed)
    return _scaled(torch.randn(num_bins, width, generator=generator), std)


def _scaled(rows: torch.Tensor, std: float) -> torch.Tensor:
    rows = rows - rows.mean()
    return rows * (std / rows.std())
