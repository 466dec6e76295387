"""Layouts from and to .bbox files, which lie beside a picture: [{"label", "bbox"}, ...].

A bbox is [x1, y1, x2, y2], as fractions of the picture. SimpleTuner reads and writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .boxes import FoundBox, regions_inside
from .checks import quote, read_json
from .layout import Layout
from .remarks import Reading

SUFFIX = ".bbox"


def layout_from_sidecar(
    text: str, caption: str = "", width: int = 512, height: int = 512
) -> Reading:
    """The layout of a .bbox file. Boxes without area in the picture are left out, with remarks.

    width, height: pixels, multiples of 8. Boxes that stick out of the picture are cut off.

    Raises:
        ValueError: not such a file, a box that is not four finite numbers, or a box without text.
    """
    regions, remarks = regions_inside(_found(sidecar_entries(read_json(text))), ".bbox entry")
    return Reading(Layout(caption, regions, width, height), remarks)


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


def _found(entries: list[Any]) -> Iterator[FoundBox]:
    for index, entry in enumerate(entries):
        try:
            label, corners = label_and_corners(entry)
        except ValueError as error:
            raise ValueError(f".bbox entry {index + 1}: {error}") from None
        yield FoundBox(label, corners, corners)


_SIDES = ("x0", "y0", "x1", "y1")
