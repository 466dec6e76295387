"""Layouts from and to what other nodes hand on: ComfyUI's elements and bounding boxes.

Elements are ComfyUI's (Create Bounding Boxes): a list of
    {"type": "obj", "bbox": [ymin, xmin, ymax, xmax], "desc": "...", "color_palette": ["#rrggbb"]}
with boxes on a grid of 0..1000; those of type "text" also have "text", the words to be written.
Bounding boxes are what detectors find: {"x", "y", "width", "height"} in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .boxes import FoundBox, box_inside, refuse_fractions, regions_inside
from .checks import check_text, finite, is_color, pixel_side, quote
from .layout import Box, Layout, Region, nearest_side
from .remarks import Reading, Remark

_GRID = 1000  # of the elements' boxes
_ELEMENT = '{"type": "obj", "bbox": [ymin, xmin, ymax, xmax], "desc": "..."}'
_PLACE = ("x", "y", "width", "height")
_STOPS = (".", "!", "?", ":", ";", ",")


def layout_from_elements(
    elements: Sequence[Any], caption: str = "", width: int = 512, height: int = 512
) -> Reading:
    """The layout of ComfyUI's elements. What sticks out of the picture is cut off.

    A region's text is the element's "desc"; type "text" adds its words in quotation marks:
    a shop sign "OPEN". Its color is the first of the palette; what is not #rrggbb is passed over.
    An element without a "bbox", which ComfyUI's own prompt has too, says something of the whole
    picture: its words follow the caption.

    Raises:
        ValueError: not a list of elements, or an element that says nothing.
    """
    check_text("caption", caption)
    if not isinstance(elements, list | tuple):
        raise ValueError(f"elements must be a list, got {quote(elements)}")
    found, indices, unplaced = [], [], {}
    for index, element in enumerate(elements):
        text = _element_text(index, element)
        if element.get("bbox") is None:
            unplaced[index] = text
        else:
            found.append(_element_box(index, element, text))
            indices.append(index)
    regions, outside = regions_inside(found, "element", indices)
    remarks = [*(_unplaced(*item) for item in unplaced.items()), *outside]
    remarks.sort(key=lambda remark: remark.region or 0)
    layout = Layout(sentences(caption, *unplaced.values()), regions, width, height)
    return Reading(layout, tuple(remarks))


def layout_to_elements(layout: Layout) -> list[dict[str, Any]]:
    """ComfyUI's elements of a layout, all of type "obj"; boxes are rounded to the grid.

    Caption, size and region weights have no place in them.
    """
    return [_element(region) for region in layout.regions]


def layout_from_boxes(
    boxes: Any,
    texts: Sequence[str] = (),
    caption: str = "",
    width: int = 512,
    height: int = 512,
    frame: int = 0,
) -> Reading:
    """The layout of bounding boxes. Those without area in the picture are left out, with remarks.

    boxes: one box, a list of them, or a list for each frame of a video, of which `frame` (from 0)
        is taken. xywh in pixels; they may stick out of the image (they are cut off), and be drawn
        backwards (negative width or height).
    texts: one for each box, or one for all; none if every box brings its own, as metadata with
        "desc" and "text", the way elements do, or as a detector's "label".
    width, height: of the picture the boxes were found in, any number of pixels. The layout's size
        is the nearest that is divisible by 8; boxes are fractions, so they stay where they are.

    Raises:
        ValueError: not boxes, a number that is not finite, no such frame, or texts that are missing
            or do not match the boxes in number.
    """
    width, height = pixel_side("image width", width), pixel_side("image height", height)
    boxes = _frame(boxes, frame)
    regions, remarks = regions_inside(
        FoundBox(
            text,
            _corners(index, data, width, height),
            [data[key] for key in _PLACE],
            color=_first_color(_metadata(data).get("palette")),
        )
        for index, (data, text) in enumerate(zip(boxes, _box_texts(boxes, texts), strict=True))
    )
    layout = Layout(caption, regions, nearest_side(width), nearest_side(height))
    return Reading(layout, remarks)


def detected_boxes(boxes: Any, width: int, height: int) -> list[tuple[Box, str]]:
    """What a detector found in one width x height image: boxes with their labels, "" for none.

    boxes: as for layout_from_boxes. Those without a pixel in the image are left out. Raises
    ValueError when these are not boxes.
    """
    found = [
        (box_inside(*_corners(index, data, width, height)), _label(data))
        for index, data in enumerate(_frame(boxes, 0))
    ]
    return [(box, label) for box, label in found if box is not None]


def layout_to_boxes(layout: Layout) -> list[dict[str, Any]]:
    """Bounding boxes in whole pixels of the layout's size, at least one pixel each.

    Every box brings its text, as "label" and as the metadata of ComfyUI's own boxes, and its color.
    """
    return [_bounding_box(region, layout) for region in layout.regions]


def boxes_lose(layout: Layout) -> tuple[Remark, ...]:
    """What is to be said of regions that are more than a box, where boxes are handed on."""
    masked = [str(index + 1) for index, region in enumerate(layout.regions) if region.mask]
    if not masked:
        return ()
    return (
        Remark(
            "lost",
            f"Masks have no place in boxes: region {', '.join(masked)}. ReCo Layout To Masks gives "
            "them.",
        ),
    )


def sentences(*pieces: str) -> str:
    """One text of several, each ended by a full stop where it has no stop and another follows."""
    said = [piece for piece in pieces if piece.strip()]
    if len(said) < 2:
        return said[0] if said else pieces[0]
    stripped = [piece.strip() for piece in said]
    ended = [piece if piece.endswith(_STOPS) else f"{piece}." for piece in stripped[:-1]]
    return " ".join([*ended, stripped[-1]])


def _unplaced(index: int, text: str) -> Remark:
    message = f"element {index + 1} ({quote(text)}) has no bbox, so its words are in the caption"
    return Remark("left out", f"{message}. Give it one to make it a region.", index)


def _element_text(index: int, element: Any) -> str:
    name = f"element {index + 1}"
    if not isinstance(element, Mapping):
        raise ValueError(
            f"{name} is not a layout element: expected an object like {_ELEMENT}, "
            f"got {quote(element)}"
        )
    text = _said(element)
    if not text:
        raise ValueError(f'{name} has no text: give it a "desc"; got {quote(element)}')
    return text


def _element_box(index: int, element: Mapping[str, Any], text: str) -> FoundBox:
    name, corners = f"element {index + 1}", element["bbox"]
    if not isinstance(corners, list | tuple) or len(corners) != 4:
        raise ValueError(
            f"{name}: bbox must be four numbers as in {_ELEMENT}, got {quote(element)}"
        )
    numbers = [finite(f"{name}: bbox number", number) for number in corners]
    try:
        refuse_fractions(numbers)
    except ValueError as error:
        raise ValueError(f"{name}: bbox {error}") from None
    y0, x0, y1, x1 = numbers
    place = (x0 / _GRID, y0 / _GRID, x1 / _GRID, y1 / _GRID)
    return FoundBox(text, place, corners, color=_first_color(element.get("color_palette")))


def _element(region: Region) -> dict[str, Any]:
    x0, y0, x1, y1 = (round(v) for v in region.box.to_pixels(_GRID, _GRID))
    element = {"type": "obj", "bbox": [y0, x0, y1, x1], "desc": region.text}
    return {**element, "color_palette": [region.color]} if region.color else element


def _said(data: Mapping[str, Any]) -> str:
    """The region text of an element, or of the metadata of a box; empty when it says nothing."""
    desc, words = (str(data.get(key) or "") for key in ("desc", "text"))
    if data.get("type") != "text" or not words.strip():
        return desc if desc.strip() else ""
    return f'{desc} "{words}"'.lstrip()


def _first_color(palette: Any) -> str | None:
    colors = palette if isinstance(palette, list | tuple) else ()
    return next((color for color in colors if is_color(color)), None)


def _frame(boxes: Any, frame: int) -> Sequence[Any]:
    """The boxes of one frame; those that come without frames are the same in each."""
    if isinstance(boxes, Mapping):
        return [boxes]
    if not isinstance(boxes, list | tuple):
        raise ValueError(f"expected a bounding box or a list of them, got {quote(boxes)}")
    if not boxes or not isinstance(boxes[0], list | tuple):
        return boxes
    if not 0 <= frame < len(boxes):
        raise ValueError(f"there is no frame {frame}: the boxes have frames 0 to {len(boxes) - 1}")
    return boxes[frame]


def _box_texts(boxes: Sequence[Any], texts: Sequence[str]) -> list[str]:
    if not texts:
        return [_own_text(index, box) for index, box in enumerate(boxes)]
    if len(texts) not in (1, len(boxes)):
        raise ValueError(
            f"{len(texts)} texts for {len(boxes)} box(es): give one for each box, or one for all"
        )
    return list(texts) if len(texts) == len(boxes) else list(texts) * len(boxes)


def _own_text(index: int, box: Any) -> str:
    text = _label(box)
    if not text:
        raise ValueError(
            f"box {index + 1} has no text and brings none (no desc, no label): give one text for "
            f"each box, or one for all; got {quote(box)}"
        )
    return text


def _label(box: Any) -> str:
    """What a bounding box says of itself, as its metadata or as a detector's label."""
    label = box.get("label") if isinstance(box, Mapping) else None
    return _said(_metadata(box)) or str(label or "").strip()


def _metadata(box: Any) -> Mapping[str, Any]:
    metadata = box.get("metadata") if isinstance(box, Mapping) else None
    return metadata if isinstance(metadata, Mapping) else {}


def _corners(index: int, data: Any, width: int, height: int) -> tuple[float, ...]:
    """xyxy of a bounding box as fractions of a width x height image."""
    if not isinstance(data, Mapping) or not set(_PLACE) <= data.keys():
        raise ValueError(
            f"box {index + 1} is not a bounding box: expected an object with x, y, width and "
            f"height in pixels, got {quote(data)}"
        )
    x, y, w, h = (finite(f"box {index + 1}: {key}", data[key]) for key in _PLACE)
    return x / width, y / height, (x + w) / width, (y + h) / height


def _bounding_box(region: Region, layout: Layout) -> dict[str, Any]:
    x0, y0, x1, y1 = region.box.covered_pixels(layout.width, layout.height)
    palette = [region.color] if region.color else []
    metadata = {"type": "obj", "text": "", "desc": region.text, "palette": palette}
    place = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    return {**place, "label": region.text, "metadata": metadata}
