"""A figure that was measured several times."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def spread_of(values: Sequence[float]) -> dict[str, float]:
    """Its median, lowest and highest value."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def told(spread: dict[str, float]) -> str:
    """As a cell of a table."""
    return f"{spread['median']:.2f} ({spread['min']:.2f}..{spread['max']:.2f})"
