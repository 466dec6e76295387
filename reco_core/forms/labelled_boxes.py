"""Lists of boxes with words, as language models, detectors and SimpleTuner write them in JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..boxes import FoundBox, regions_inside
from ..checks import is_color, pixel_side, quote
from ..indented import indented
from ..interop import layout_from_boxes, layout_to_boxes
from ..layout import Layout, Region, nearest_side
from ..remarks import Reading, Remark
from ..sidecar import layout_to_sidecar
from .form import Form, Source
from .numbers import Convention, convention_said, corners_of

# Gemini's box_2d is y first on a grid of 0 to 1000, by its documentation.
_BOXES = {
    "bbox_2d": Convention(order="x0 y0 x1 y1"),
    "box_2d": Convention("thousandths", "y0 x0 y1 x1"),
    "bbox": Convention(),
    "box": Convention(),
    "bounding_box": Convention(),
}
_TEXTS = ("label", "text", "text_content", "description", "caption", "name", "phrase", "object")
_CAPTIONS = ("caption", "prompt", "description", "scene")
_PIXELS = ("x", "y", "width", "height")


@dataclass(frozen=True)
class _Listed:
    """A list of objects and what stands beside it."""

    items: list[Any]
    caption: str = ""
    convention: Convention = Convention()
    size: tuple[int, int] | None = None
    remarks: tuple[Remark, ...] = ()


def _listed(data: Any, is_item: Callable[[Any], bool]) -> _Listed | None:
    """The list of boxes in JSON: itself, its only box, or the one list in an object of more."""
    if isinstance(data, list):
        return _Listed(data) if any(map(is_item, data)) else None
    if not isinstance(data, Mapping):
        return None
    if is_item(data):
        return _Listed([data])
    lists = {
        key: value
        for key, value in data.items()
        if isinstance(value, list) and any(map(is_item, value))
    }
    if not lists or "regions" in data or "annotations" in data:
        return None
    if len(lists) > 1:
        raise ValueError(f"there are boxes in {' and '.join(map(quote, lists))}: give one list")
    ((name, items),) = lists.items()
    beside = {key: value for key, value in data.items() if key != name}
    caption = next((key for key in _CAPTIONS if isinstance(beside.get(key), str)), None)
    words = [value for key, value in beside.items() if isinstance(value, str) and key != caption]
    said = convention_said("\n".join(words))
    left = [
        key
        for key, value in beside.items()
        if value and key not in (caption, "width", "height") and not _says(value)
    ]
    return _Listed(
        items,
        beside[caption] if caption else "",
        said,
        _size(beside),
        tuple(Remark("left out", f"{quote(key)} beside the boxes is left out.") for key in left),
    )


def _size(beside: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height of the picture that the boxes are in, where they are said."""
    width, height = beside.get("width"), beside.get("height")
    if width is None and height is None:
        return None
    return pixel_side("width", width), pixel_side("height", height)


def _says(value: Any) -> bool:
    return isinstance(value, str) and convention_said(value) != Convention()


def _is_labelled(item: Any) -> bool:
    return isinstance(item, Mapping) and len(_BOXES.keys() & item.keys()) == 1


def _read_labelled(source: Source) -> Reading | None:
    listed = _listed(source.data, _is_labelled)
    if listed is None:
        return None
    width, height = listed.size or (source.width, source.height)
    entries = [_Entry.of(index, item) for index, item in enumerate(listed.items)]
    keys = {entry.key for entry in entries}
    if len(keys) > 1:
        raise ValueError(f"boxes are named {' and '.join(sorted(keys))}: name all of them alike")
    convention = source.convention.over(listed.convention).over(_BOXES[keys.pop()])
    corners = corners_of([entry.numbers for entry in entries], convention, width, height)
    regions, outside = regions_inside(
        FoundBox(entry.text, place, entry.numbers, entry.weight, entry.color)
        for entry, place in zip(entries, corners, strict=True)
    )
    layout = Layout(listed.caption, regions, nearest_side(width), nearest_side(height))
    return Reading(layout, (*listed.remarks, *_unread(entries), *outside))


@dataclass(frozen=True)
class _Entry:
    """One object of the list. more: names of further texts that it has."""

    key: str
    numbers: list[Any]
    text: str
    more: tuple[str, ...] = ()
    weight: Any = 1.0
    color: str | None = None

    @classmethod
    def of(cls, index: int, item: Any) -> _Entry:
        if not _is_labelled(item):
            raise ValueError(
                f'box {index + 1}: expected an object like {{"bbox_2d": [x0, y0, x1, y1], '
                f'"label": "..."}}, got {quote(item)}'
            )
        key = next(key for key in _BOXES if key in item)
        numbers = item[key]
        if not isinstance(numbers, list) or len(numbers) != 4:
            raise ValueError(f"box {index + 1}: {key} must be four numbers, got {quote(numbers)}")
        said = [name for name in _TEXTS if isinstance(item.get(name), str) and item[name].strip()]
        if not said:
            raise ValueError(f'box {index + 1} has no text: give it a "label"; got {quote(item)}')
        color = item.get("color")
        weight = item.get("weight", 1.0)
        color = color if is_color(color) else None
        return cls(key, numbers, item[said[0]], tuple(said[1:]), weight, color)


def _unread(entries: Iterable[_Entry]) -> Iterable[Remark]:
    for index, entry in enumerate(entries):
        if entry.more:
            names = " and ".join(entry.more)
            message = f"box {index + 1} ({quote(entry.text)}): its {names} is left out"
            yield Remark("left out", f"{message}. Put all words into one text.", index)


def _write_bbox_2d(layout: Layout, *_: object) -> str:
    items = [
        {"bbox_2d": [round(1000 * side) for side in _sides(region)], "label": region.text}
        for region in layout.regions
    ]
    return f"boxes in thousandths, x first\n{indented(items)}"


def _sides(region: Region) -> tuple[float, ...]:
    return region.box.x0, region.box.y0, region.box.x1, region.box.y1


def _write_sidecar(layout: Layout, *_: object) -> str:
    return layout_to_sidecar(layout)


def _read_pixels(source: Source) -> Reading | None:
    listed = _listed(source.data, lambda item: isinstance(item, Mapping) and {*_PIXELS} <= {*item})
    if listed is None:
        return None
    width, height = source.convention.picture or listed.size or (source.width, source.height)
    reading = layout_from_boxes(listed.items, (), listed.caption, width, height)
    return Reading(reading.layout, (*listed.remarks, *reading.remarks))


def _write_pixels(layout: Layout, *_: object) -> str:
    return indented(layout_to_boxes(layout))


BBOX_2D = Form("bbox_2d", _write_bbox_2d, _read_labelled)
SIDECAR = Form("sidecar", _write_sidecar, _read_labelled)
PIXELS = Form("boxes", _write_pixels, _read_pixels)
