"""What the layout editor holds: a layout, of which some regions may be hidden.

It is text, so a region in it has the digest of a mask; the mask itself stays with the layout that
the editor began with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .checks import quote, read_json
from .forms.layout_json import is_hidden, seen
from .layout import Layout
from .remarks import Reading, Remark

LEAVE_OUT, STOP = TEXTLESS = ("leave out", "stop")
"""What becomes of regions without a text: a drawing's "textless", the first where it has none."""
_NAMED = 20  # regions that a message names


def read_drawing(
    text: str, width: int, height: int, incoming: Layout | None = None
) -> tuple[Reading, str]:
    """What an editor holds, and the fingerprint of the incoming layout it began with.

    text: the widget's value, a layout's JSON in which regions may also be "hidden" (left out),
    "locked" (of no interest here) or have a "mask", of those of the incoming layout; "" is an empty
    layout. width, height: pixels.
    A region without a text is left out with a remark, or refused where the drawing says so.
    Messages have the regions' numbers in the editor's list. Raises ValueError for anything else.
    """
    if not text.strip():
        return Reading(Layout(width=width, height=height)), ""
    data = read_json(text)
    regions = data.get("regions") if isinstance(data, dict) else None
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        raise ValueError(f"the editor's value is not a layout: {quote(text)}")
    shown = [index for index, region in enumerate(regions) if not is_hidden(region)]
    textless = [index for index in shown if _is_textless(regions[index])]
    remarks = _left_out(textless, data.get("textless", LEAVE_OUT))
    complete = [index for index in shown if index not in set(textless)]
    data["regions"] = [regions[index] for index in complete]
    drawn, lost = _with_masks(Layout.from_data(data, complete), complete, regions, incoming)
    reading = seen(drawn, complete)
    layout = replace(reading.layout, width=width, height=height)
    read = replace(reading, layout=layout, remarks=(*remarks, *lost, *reading.remarks))
    return read, str(data.get("incoming", ""))


def _is_textless(region: dict[str, Any]) -> bool:
    text = region.get("text", "")
    return isinstance(text, str) and not text.strip()


def _left_out(textless: list[int], what: Any) -> list[Remark]:
    """What is said of regions without a text. Raises ValueError where the drawing is to stop."""
    if what not in TEXTLESS:
        choices = " or ".join(map(repr, TEXTLESS))
        raise ValueError(f"textless = {quote(what)} of the editor is not known: use {choices}")
    if not textless:
        return []
    numbers = [str(index + 1) for index in textless[:_NAMED]]
    more = len(textless) - len(numbers)
    one = len(textless) == 1
    named = f"region{'' if one else 's'} {', '.join(numbers)}{f' and {more} more' if more else ''}"
    if what == STOP:
        raise ValueError(
            f"{named} {'has' if one else 'have'} no text: write what to paint there, hide or "
            "delete it, or choose in the editor that such regions are left out"
        )
    why = "is left out: it has no text" if one else "are left out: they have no text"
    remedy = f"Write what to paint in {'its box' if one else 'their boxes'}."
    return [Remark("left out", f"{named} {why}. {remedy}", textless[0] if one else None)]


def to_drawing(layout: Layout) -> dict[str, Any]:
    """A layout's JSON with the digests of its masks, as `read_drawing` reads it."""
    data = layout.to_data()
    for region, drawn in zip(layout.regions, data["regions"], strict=True):
        if region.mask:
            drawn["mask"] = region.mask.digest
    return data


def fingerprint(layout: Layout) -> str:
    """16 hexadecimal digits that tell one layout from another."""
    masks = "".join(region.mask.digest if region.mask else "-" for region in layout.regions)
    told = layout.to_json() + (masks if masks.strip("-") else "")
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def masks_lost(drawing: Mapping[str, Any]) -> tuple[Remark, ...]:
    """What is to be said where a drawing's JSON is handed on as text."""
    regions = enumerate(drawing.get("regions") or (), start=1)
    masked = [str(number) for number, region in regions if _mask_named(region)]
    if not masked:
        return ()
    return (Remark("lost", f"Masks have no place in text: region {', '.join(masked)}."),)


def _mask_named(region: Any) -> str:
    """The digest of a drawn region's mask; "" for none."""
    return str(region.get("mask") or "") if isinstance(region, Mapping) else ""


def _with_masks(
    layout: Layout,
    indices: Sequence[int],
    drawn: Sequence[Mapping[str, Any]],
    incoming: Layout | None,
) -> tuple[Layout, list[Remark]]:
    """The layout with the masks that its drawing names, and a remark on each that is gone.

    indices: of the layout's regions among those drawn.
    """
    sources = incoming.regions if incoming else ()
    masks = {region.mask.digest: region.mask for region in sources if region.mask}
    regions, remarks = [], []
    for region, index in zip(layout.regions, indices, strict=True):
        digest = _mask_named(drawn[index])
        regions.append(replace(region, mask=masks.get(digest)))
        if digest and digest not in masks:
            message = (
                f"region {index + 1} has lost its mask, which came by the layout input: all of its "
                "box counts now. Connect that layout again to have it back."
            )
            remarks.append(Remark("lost", message, index))
    return replace(layout, regions=tuple(regions)), remarks
