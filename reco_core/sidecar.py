"""Layouts from and to .bbox files, which lie beside a picture: [{"label", "bbox"}, ...].

A bbox is [x1, y1, x2, y2], as fractions of the picture. SimpleTuner reads and writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .checks import quote, read_json
from .interop import box_inside
from .layout import Layout, Region

SUFFIX = ".bbox"


def layout_from_sidecar(
    text: str, caption: str = "", width: int = 512, height: int = 512
) -> tuple[Layout, dict[int, str]]:
    """The layout of a .bbox file, and what has no area in the picture: {index: text}.

    width, height: pixels, multiples of 8. Boxes that stick out of the picture are cut off.

    Raises:
        ValueError: not such a file, a box that is not four finite numbers, or a box without text.
    """
    regions, outside = [], {}
    for index, entry in enumerate(sidecar_entries(read_json(text))):
        try:
            label, corners = label_and_corners(entry)
            box = box_inside(*corners)
            if box is None:
                outside[index] = label
            else:
                regions.append(Region(label, box))
        except ValueError as error:
            raise ValueError(f".bbox entry {index + 1}: {error}") from None
    return Layout(caption, tuple(regions), width, height), outside


def layout_to_sidecar(layout: Layout) -> str:
    """The text of a .bbox file: the layout's regions; its caption has no place in it."""
    return json.dumps(
        [
            {"label": region.text, "bbox": [getattr(region.box, side) for side in _SIDES]}
            for region in layout.regions
        ],
        ensure_ascii=False,
        allow_nan=False,
    )


def sidecar_entries(data: Any) -> list[Any]:
    """The entries of a parsed .bbox file. Raises ValueError when it is not a list."""
    if not isinstance(data, list):
        raise ValueError(f"a .bbox file holds a list of objects, got {quote(data)}")
    return data


def label_and_corners(entry: Any) -> tuple[Any, list[Any]]:
    """An entry's label and four corners as they are written. Raises ValueError if it has none."""
    corners = entry.get("bbox") if isinstance(entry, Mapping) else None
    if not isinstance(corners, list) or len(corners) != 4 or "label" not in entry:
        raise ValueError(
            'expected an object like {"label": "...", "bbox": [x1, y1, x2, y2]}, '
            f"got {quote(entry)}"
        )
    return entry["label"], corners


_SIDES = ("x0", "y0", "x1", "y1")
