"""A layout's own JSON: {"caption", "width", "height", "regions": [{"text", "box", "weight"}]}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..boxes import FoundBox, regions_inside
from ..checks import quote
from ..indented import indented
from ..layout import Layout, check_count
from ..remarks import Reading, Remark
from .form import Form, Source

LAYOUT_NAMES = {"version", "caption", "width", "height", "regions", "incoming"}
REGION_NAMES = {"text", "box", "weight", "color", "locked", "hidden"}
"""Of a layout's JSON; "incoming", "locked" and "hidden" are the editor's."""


def seen(layout: Layout) -> Reading:
    """The layout without the regions whose boxes have no area, and remarks on those."""
    regions, remarks = regions_inside(
        (
            FoundBox(region.text, corners, list(corners), region.weight, region.color)
            for region in layout.regions
            for corners in [(region.box.x0, region.box.y0, region.box.x1, region.box.y1)]
        ),
        "region",
    )
    return Reading(replace(layout, regions=regions), remarks) if remarks else Reading(layout)


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
    if isinstance(regions, list):
        check_count(len(regions))
        hidden = [region for region in regions if _is_hidden(region)]
        sized["regions"] = [region for region in regions if not _is_hidden(region)]
    reading = seen(Layout.from_data(sized))
    return Reading(reading.layout, (*_hidden(hidden), *_unread(data), *reading.remarks))


def _is_hidden(region: Any) -> bool:
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
        message = f"{quote(name)} of region {index + 1} is left out: no region has it."
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
