"""A layout's own JSON: {"caption", "width", "height", "regions": [{"text", "box", "weight"}]}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..boxes import FoundBox, regions_inside
from ..checks import quote
from ..control import NAMES as CONTROL_NAMES
from ..indented import indented
from ..layout import Layout, check_count
from ..remarks import Reading, Remark
from .form import Form, Source

LAYOUT_NAMES = {"version", "caption", "width", "height", "regions", "incoming", "textless"}
REGION_NAMES = {"text", "box", "weight", "color", "locked", "hidden", *CONTROL_NAMES}
"""Of a layout's JSON; "incoming", "textless", "locked" and "hidden" are the editor's."""


def seen(layout: Layout, indices: Sequence[int] | None = None) -> Reading:
    """The layout without the regions whose boxes have no area, and remarks on those.

    indices: of each region among its likes, from 0, where these are not all of them; the reading
        has them of the regions that are left.
    """
    _, remarks = regions_inside(
        (
            FoundBox(region.text, corners, list(corners))
            for region in layout.regions
            for corners in [(region.box.x0, region.box.y0, region.box.x1, region.box.y1)]
        ),
        "region",
        indices,
    )
    if not remarks:
        return Reading(layout, indices=indices)
    left_out = {remark.region for remark in remarks}
    all_of_them = range(len(layout.regions)) if indices is None else indices
    pairs = zip(all_of_them, layout.regions, strict=True)
    kept = {index: region for index, region in pairs if index not in left_out}
    return Reading(replace(layout, regions=tuple(kept.values())), remarks, list(kept))


def _read(source: Source) -> Reading | None:
    data = source.data
    if not isinstance(data, Mapping) or not {"regions", "caption"} & data.keys():
        return None
    others = [key for key, value in data.items() if isinstance(value, list | Mapping) and value]
    if "regions" not in data and others:
        return None  # whatever these are, they are not to be dropped
    sized = {"width": source.width, "height": source.height, **data}
    regions = data.get("regions")
    hidden: list[Mapping[str, Any]] = []
    shown = None
    if isinstance(regions, list):
        check_count(len(regions))
        hidden = [region for region in regions if is_hidden(region)]
        shown = [index for index, region in enumerate(regions) if not is_hidden(region)]
        sized["regions"] = [regions[index] for index in shown]
    reading = seen(Layout.from_data(sized, shown), shown)
    return replace(reading, remarks=(*_hidden(hidden), *_unread(data), *reading.remarks))


def is_hidden(region: Any) -> bool:
    """Whether it is a region that the layout editor keeps, and leaves out."""
    return isinstance(region, Mapping) and bool(region.get("hidden"))


def _hidden(regions: list[Mapping[str, Any]]) -> Iterator[Remark]:
    """As in the layout editor, which leaves hidden regions out."""
    for region in regions:
        text = quote(region.get("text", ""))
        yield Remark("left out", f"region {text} is left out: it is hidden. Show it to paint it.")


def _unread(data: Mapping[str, Any]) -> Iterator[Remark]:
    """What a layout has no place for: other names than its own, and those of its regions."""
    for name, value in data.items():
        if name not in LAYOUT_NAMES and value not in (None, "", [], {}):
            remedy = "" if "caption" in data else " Name it caption if it is one."
            message = f"{quote(name)}, {quote(value)}, is left out: no layout has it.{remedy}"
            yield Remark("left out", message)
    others: dict[str, int] = {}
    for index, region in enumerate(data.get("regions") or ()):
        for name in region.keys() - REGION_NAMES if isinstance(region, Mapping) else ():
            others.setdefault(name, index)
    for name, index in sorted(others.items(), key=lambda item: item[1]):
        why = "a text cannot hold it" if name == "mask" else "no region has it"
        message = f"{quote(name)} of region {index + 1} is left out: {why}."
        yield Remark("left out", message, index)


def _write(layout: Layout, *_: object) -> str:
    return indented(layout.to_data())


FORM = Form("json", _write, _read, keeps_size=True)


def no_layout(source: Source) -> str:
    """Why JSON that is in no form was refused."""
    return (
        'this JSON is not a layout: expected {"caption": "...", "regions": [{"text": "...", '
        '"box": [x0, y0, x1, y1]}]} with boxes as fractions of the picture, ComfyUI elements, an '
        "Ideogram caption, or a list of boxes such as "
        f'{{"bbox_2d": [...], "label": "..."}}; got {quote(source.data)}'
    )
