"""Regions in words: the baseline that the paper compares position tokens with (section 4.1).

Size, aspect and place of a box as the released code writes them. Each region is a text of its own
in the sequence, [BOS words EOS], without position tokens.
"""

from __future__ import annotations

from dataclasses import replace

from .layout import Box, Layout

SMALL, LARGE = 0.003333333, 0.03
"""Shares of the picture's area; the released code's 32 x 32 and 96 x 96 of 640 x 480 pixels."""
LONG, TALL = 2.0, 0.5
"""Width over height."""


def positional_words(box: Box) -> str:
    """A box in words: "large square in the top left"."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    size = "small" if box.area < SMALL else "large" if box.area > LARGE else "medium"
    aspect = "long" if width > LONG * height else "tall" if width < TALL * height else "square"
    across = _third((box.x0 + box.x1) / 2, "left", "right")
    down = _third((box.y0 + box.y1) / 2, "top", "bottom")
    return f"{size} {aspect} in the {f'{down} {across}'.strip() or 'center'}"


def in_words(layout: Layout) -> Layout:
    """The layout with each region's place put before its text."""
    regions = tuple(
        replace(region, text=f"{positional_words(region.box)}, {region.text}")
        for region in layout.regions
    )
    return replace(layout, regions=regions)


def _third(centre: float, low: str, high: str) -> str:
    return low if centre < 1 / 3 else high if centre > 2 / 3 else ""
