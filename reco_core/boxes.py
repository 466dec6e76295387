"""The one rule for boxes from outside: cut at the picture's edges, or left out by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .checks import finite, quote
from .layout import Box, Region, check_count
from .remarks import Remark

_ROUNDING = 1e-9  # of a point's place, so that one on the picture's edge stays in it


@dataclass(frozen=True)
class FoundBox:
    """A box as it was found, before anything is known of it.

    corners: xyxy as fractions of the picture, in any order and perhaps outside of it.
    written: the box as its maker wrote it, for the remark when it is left out.
    """

    text: Any
    corners: Sequence[Any]
    written: Any
    weight: Any = 1.0
    color: str | None = None


def regions_inside(
    found: Iterable[FoundBox], noun: str = "box", indices: Iterable[int] | None = None
) -> tuple[tuple[Region, ...], tuple[Remark, ...]]:
    """The regions of boxes, cut at the picture's edges, and a remark on each without area in it.

    noun: what a message calls one of them, counted from 1. indices: of each among its likes, from
        0, where these are not all of them.
    Raises ValueError for numbers that are not finite, for a text, weight or color that is none, and
    for more boxes than a layout may have regions.
    """
    regions, remarks = [], []
    numbers = itertools.count() if indices is None else indices
    for count, (index, item) in enumerate(zip(numbers, found, strict=False), start=1):
        check_count(count)
        try:
            box = box_inside(*item.corners)
            if box is None:
                remarks.append(Remark("left out", _why(item, f"{noun} {index + 1}"), index))
            else:
                regions.append(Region(item.text, box, item.weight, item.color))
        except ValueError as error:
            raise ValueError(f"{noun} {index + 1}: {error}") from None
    return tuple(regions), tuple(remarks)


def box_inside(x0: float, y0: float, x1: float, y1: float) -> Box | None:
    """The part of a box inside the picture, corners in any order; None if that has no area.

    All are fractions of the picture. Raises ValueError when a number is not finite.
    """
    corners = zip(("x0", "y0", "x1", "y1"), (x0, y0, x1, y1), strict=True)
    x0, y0, x1, y1 = (finite(f"box {name}", value) for name, value in corners)
    columns, rows = _inside(x0, x1), _inside(y0, y1)
    if columns is None or rows is None:
        return None
    box = Box(columns[0], rows[0], columns[1], rows[1])
    return None if box.is_empty else box


def cut_side(low: float, high: float) -> tuple[float, float, float, float]:
    """What of a side, from low to high, lies in the picture, [0, 1]: where it begins and ends, and
    the same as shares of the side. The last two are equal where nothing does."""
    start, stop = (min(max(edge, 0.0), 1.0) for edge in (low, high))
    if low == high:
        is_inside = -_ROUNDING <= low <= 1 + _ROUNDING
        return start, stop, 0.0, float(is_inside)
    return start, stop, (start - low) / (high - low), (stop - low) / (high - low)


def refuse_fractions(numbers: Sequence[float]) -> None:
    """Raise ValueError when numbers that are to count in thousandths are fractions."""
    if max(map(abs, numbers)) <= 1 and any(number % 1 for number in numbers):
        raise ValueError(
            f"{quote(list(numbers))} seem to be fractions, but they are counted in thousandths of "
            "the picture, from 0 to 1000: multiply by 1000"
        )


def _inside(low: float, high: float) -> tuple[float, float] | None:
    """The part of an interval, its ends in any order, within [0, 1]; None if there is none."""
    low, high = min(low, high), max(low, high)
    return None if high < 0 or low > 1 else (max(low, 0.0), min(high, 1.0))


def _why(item: FoundBox, name: str) -> str:
    x0, y0, x1, y1 = item.corners
    fault = "has no width or no height" if x0 == x1 or y0 == y1 else "lies outside the picture"
    return (
        f"{name} ({quote(item.text)}) is left out: {quote(item.written)} {fault}. "
        "Draw it inside the picture, or remove it."
    )
