"""What the layout editor holds: a layout, of which some regions may be hidden."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from .checks import quote, read_json
from .forms.layout_json import seen
from .layout import Layout
from .remarks import Reading


def read_drawing(text: str, width: int, height: int) -> tuple[Reading, str]:
    """What an editor holds, and the fingerprint of the incoming layout it began with.

    text: the widget's value, a layout's JSON in which regions may also be "hidden" (left out) or
    "locked" (of no interest here); "" is an empty layout. width, height: pixels.
    Raises ValueError for anything else and for a region without a text, by its number.
    """
    if not text.strip():
        return Reading(Layout(width=width, height=height)), ""
    data = read_json(text)
    regions = data.get("regions") if isinstance(data, dict) else None
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        raise ValueError(f"the editor's value is not a layout: {quote(text)}")
    for number, region in enumerate(regions, start=1):
        if not region.get("hidden") and not str(region.get("text", "")).strip():
            raise ValueError(
                f"region {number} has no text: write what to paint in its box, hide it, or "
                "delete it"
            )
    data["regions"] = [region for region in regions if not region.get("hidden")]
    reading = seen(Layout.from_data(data))
    layout = replace(reading.layout, width=width, height=height)
    return Reading(layout, reading.remarks), str(data.get("incoming", ""))


def fingerprint(layout: Layout) -> str:
    """16 hexadecimal digits that tell one layout from another."""
    return hashlib.sha256(layout.to_json().encode()).hexdigest()[:16]
