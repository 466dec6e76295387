"""More regions than a checkpoint reads: several sequences, each the caption and some regions."""

from __future__ import annotations

from collections.abc import Sequence

MOST_SEQUENCES = 4
"""Joined states of more would not go through the UNet with the negative's (comfy/conds.py)."""


def share_out(
    caption: int, regions: Sequence[int], max_length: int
) -> tuple[tuple[int, ...], ...] | None:
    """Indices of the regions of each sequence, in order; None where MOST_SEQUENCES have no room.

    caption, regions: how many tokens each takes, with its BOS, EOS and position tokens.
    """
    shares: list[list[int]] = [[]]
    used = caption
    for index, length in enumerate(regions):
        if shares[-1] and used + length > max_length:
            shares.append([])
            used = caption
        used += length
        if used > max_length:
            return None
        shares[-1].append(index)
    if caption > max_length or len(shares) > MOST_SEQUENCES:
        return None
    return tuple(map(tuple, shares))
