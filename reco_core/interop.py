"""Layouts from and to what other tools write: prompts, ComfyUI's elements and bounding boxes.

Elements are ComfyUI's (Create Bounding Boxes): a list of
    {"type": "obj", "bbox": [ymin, xmin, ymax, xmax], "desc": "...", "color_palette": ["#rrggbb"]}
with boxes on a grid of 0..1000; those of type "text" also have "text", the words to be written.
Bounding boxes are what detectors find: {"x", "y", "width", "height"} in pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .checks import finite, is_color, pixel_side, quote, read_json
from .layout import Box, Layout, Region, nearest_side
from .position_tokens import DEFAULT_VOCABULARY, PositionVocabulary
from .prompt import parse_prompt

_GRID = 1000  # of the elements' boxes


def read_layout(
    text: str,
    width: int,
    height: int,
    vocabulary: PositionVocabulary = DEFAULT_VOCABULARY,
) -> Layout:
    """Read any written form of a layout, told apart by its looks.

    The forms: a layout's JSON, ComfyUI's elements as JSON (the list, or {"elements": the list} with
    a "caption" if you like), the authors' prompt, the diffusers port's prompt, a plain caption.
    width, height: pixels, multiples of 8; a layout's JSON brings its own.

    Raises:
        ValueError: the text is in none of the forms; the message is one line that says why.
    """
    if not _is_json(text):
        return parse_prompt(text, vocabulary, width, height)
    data = read_json(text)
    if isinstance(data, list):
        return layout_from_elements(data, "", width, height)
    if "elements" in data and "regions" not in data:
        return layout_from_elements(data["elements"], data.get("caption", ""), width, height)
    return Layout.from_json(text)


def layout_from_elements(
    elements: Sequence[Any], caption: str = "", width: int = 512, height: int = 512
) -> Layout:
    """The layout of ComfyUI's elements. What lies outside the image is cut off.

    A region's text is the element's "desc"; type "text" adds its words in quotation marks:
    a shop sign "OPEN". Its color is the first of the palette; what is not #rrggbb is passed over.

    Raises:
        ValueError: an element has no box, lies outside the image, or says nothing.
    """
    if not isinstance(elements, list | tuple):
        raise ValueError(f"elements must be a list, got {quote(elements)}")
    regions = tuple(_element_region(index, element) for index, element in enumerate(elements))
    return Layout(caption, regions, width, height)


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
) -> tuple[Layout, dict[int, str]]:
    """The layout of bounding boxes, and the boxes without a pixel in the image: {index: text}.

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
    found = _frame(boxes, frame)
    regions, outside = [], {}
    for index, (data, text) in enumerate(zip(found, _box_texts(found, texts), strict=True)):
        box = _pixel_box(index, data, width, height)
        if box is None:
            outside[index] = text
        else:
            regions.append(Region(text, box, color=_first_color(_metadata(data).get("palette"))))
    return Layout(caption, tuple(regions), nearest_side(width), nearest_side(height)), outside


def detected_boxes(boxes: Any, width: int, height: int) -> list[tuple[Box, str]]:
    """What a detector found in one width x height image: boxes with their labels, "" for none.

    boxes: as for layout_from_boxes. Those without a pixel in the image are left out. Raises
    ValueError when these are not boxes.
    """
    found = [
        (_pixel_box(index, data, width, height), _label(data))
        for index, data in enumerate(_frame(boxes, 0))
    ]
    return [(box, label) for box, label in found if box is not None]


def layout_to_boxes(layout: Layout) -> list[dict[str, Any]]:
    """Bounding boxes in whole pixels of the layout's size, at least one pixel each.

    Every box brings its text, as "label" and as the metadata of ComfyUI's own boxes, and its color.
    """
    return [_bounding_box(region, layout) for region in layout.regions]


def _is_json(text: str) -> bool:
    """Whether text is meant as JSON: every object, and lists only when they are whole JSON,
    since a caption may begin with a bracket."""
    start = text.lstrip()[:1]
    if start != "[":
        return start == "{"
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _element_region(index: int, element: Any) -> Region:
    corners = element.get("bbox") if isinstance(element, Mapping) else None
    if not isinstance(corners, list | tuple) or len(corners) != 4:
        raise ValueError(
            f"element {index + 1} is not a layout element: expected an object like "
            '{"type": "obj", "bbox": [ymin, xmin, ymax, xmax], "desc": "..."}, '
            f"got {quote(element)}"
        )
    y0, x0, y1, x1 = (finite(f"element {index + 1}: bbox number", v) / _GRID for v in corners)
    columns, rows = _inside(x0, x1), _inside(y0, y1)
    if columns is None or rows is None:
        raise ValueError(
            f"element {index + 1} lies outside the image: bbox {quote(corners)}, "
            f"[ymin, xmin, ymax, xmax], goes from 0 to {_GRID}"
        )
    text = _said(element)
    if not text:
        raise ValueError(f'element {index + 1} has no text: give it a "desc"; got {quote(element)}')
    box = Box(columns[0], rows[0], columns[1], rows[1])
    return Region(text, box, color=_first_color(element.get("color_palette")))


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


def box_inside(x0: float, y0: float, x1: float, y1: float) -> Box | None:
    """The part of a box inside the picture, corners in any order; None if that has no area.

    All are fractions of the picture. Raises ValueError when a number is not finite.
    """
    corners = zip(("x0", "y0", "x1", "y1"), (x0, y0, x1, y1), strict=True)
    x0, y0, x1, y1 = (finite(f"box {name}", value) for name, value in corners)
    columns, rows = _inside(x0, x1), _inside(y0, y1)
    if columns is None or rows is None:
        return None
    box = Box(columns[0], rows[0], columns[1], rows[1])
    return None if box.is_empty else box


def _inside(low: float, high: float) -> tuple[float, float] | None:
    """The part of an interval, its ends in any order, within [0, 1]; None if there is none."""
    low, high = min(low, high), max(low, high)
    return None if high < 0 or low > 1 else (max(low, 0.0), min(high, 1.0))


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


def _pixel_box(index: int, data: Any, width: int, height: int) -> Box | None:
    """The part of a bounding box inside a width x height image; None if that has no area."""
    if not isinstance(data, Mapping) or not {"x", "y", "width", "height"} <= data.keys():
        raise ValueError(
            f"box {index + 1} is not a bounding box: expected an object with x, y, width and "
            f"height in pixels, got {quote(data)}"
        )
    x, y, w, h = (finite(f"box {index + 1}: {k}", data[k]) for k in ("x", "y", "width", "height"))
    return box_inside(x / width, y / height, (x + w) / width, (y + h) / height)


def _bounding_box(region: Region, layout: Layout) -> dict[str, Any]:
    x0, y0, x1, y1 = region.box.covered_pixels(layout.width, layout.height)
    palette = [region.color] if region.color else []
    metadata = {"type": "obj", "text": "", "desc": region.text, "palette": palette}
    place = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    return {**place, "label": region.text, "metadata": metadata}
