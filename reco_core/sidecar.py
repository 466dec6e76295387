"""Layouts from and to .bbox files, which lie beside a picture: [{"label", "bbox"}, ...].

A bbox is [x1, y1, x2, y2], as fractions of the picture. SimpleTuner writes them, and reads them in
three forms: a JSON list, an object a line, or YOLO's lines (see yolo.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .boxes import FoundBox, regions_inside
from .checks import quote, read_json
from .indented import indented
from .layout import Layout
from .remarks import Reading
from .yolo import read_yolo_line

SUFFIX = ".bbox"


def layout_from_sidecar(
    text: str, caption: str = "", width: int = 512, height: int = 512
) -> Reading:
    """The layout of a .bbox file. Boxes without area in the picture are left out, with remarks.

    width, height: pixels, multiples of 8. Boxes that stick out of the picture are cut off.

    Raises:
        ValueError: not such a file, a box that is not four finite numbers, or a box without text.
    """
    regions, remarks = regions_inside(_found(sidecar_entries(text, read_json)), ".bbox entry")
    return Reading(Layout(caption, regions, width, height), remarks)


def layout_to_sidecar(layout: Layout) -> str:
    """The text of a .bbox file: the layout's regions; its caption has no place in it."""
    return indented(
        [
            {"label": region.text, "bbox": [getattr(region.box, side) for side in _SIDES]}
            for region in layout.regions
        ]
    )


def sidecar_entries(text: str, parse: Callable[[str], Any]) -> list[Any]:
    """The entries of a .bbox file in any of its forms: objects, or lines as YOLO has them.

    parse: JSON -> what it says. Raises ValueError, as it does, when it is no such file.
    """
    text = text.strip()
    if not text.startswith(("[", "{")):
        return [line for line in text.splitlines() if line.strip()]
    entries = _objects(text, parse) if text.startswith("{") else parse(text)
    if not isinstance(entries, list):
        raise ValueError(f"a .bbox file holds a list of objects, got {quote(entries)}")
    return entries


def label_and_corners(entry: Any, names: Mapping[int, str] | None = None) -> tuple[Any, list[Any]]:
    """An entry's label and four corners as they are written. Raises ValueError if it has none.

    names: of the classes that YOLO's lines have numbers of.
    """
    if isinstance(entry, str):
        return read_yolo_line(entry, names or {})
    corners = entry.get("bbox") if isinstance(entry, Mapping) else None
    if not isinstance(corners, list) or len(corners) != 4 or "label" not in entry:
        raise ValueError(
            'expected an object like {"label": "...", "bbox": [x1, y1, x2, y2]}, '
            f"got {quote(entry)}"
        )
    return entry["label"], corners


def _objects(text: str, parse: Callable[[str], Any]) -> Any:
    """The objects of JSON lines, or the only one, which may take several; others as they are."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        entries = [parse(line) for line in lines]
    except ValueError:
        entries = [parse(text)]
    has_box = any(isinstance(entry, Mapping) and "bbox" in entry for entry in entries)
    return entries if has_box else entries[0]


def _found(entries: list[Any]) -> Iterator[FoundBox]:
    for index, entry in enumerate(entries):
        try:
            label, corners = label_and_corners(entry)
        except ValueError as error:
            raise ValueError(f".bbox entry {index + 1}: {error}") from None
        yield FoundBox(label, corners, corners)


_SIDES = ("x0", "y0", "x1", "y1")
