"""ComfyUI's elements and the Ideogram caption that holds them, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checks import quote
from ..indented import indented
from ..interop import layout_from_elements, layout_to_elements, sentences
from ..layout import Layout
from ..remarks import Reading, Remark
from .form import Form, Source

_PARTS = "compositional_deconstruction"


def _read_elements(source: Source) -> Reading | None:
    data, caption = source.data, ""
    if isinstance(data, Mapping) and "elements" in data and "regions" not in data:
        caption, data = data.get("caption", ""), data["elements"]
    elif isinstance(data, Mapping) and _is_element(data):
        data = [data]
    elif not isinstance(data, list) or (data and not any(map(_is_element, data))):
        return None
    return layout_from_elements(data, caption, source.width, source.height)


def _is_element(item: Any) -> bool:
    return (
        isinstance(item, Mapping)
        and ("desc" in item or item.get("type") in ("obj", "text"))
        and not {"bbox_2d", "box_2d", "box"} & item.keys()
    )


def _write_elements(layout: Layout, *_: object) -> str:
    return indented(layout_to_elements(layout))


def _read_ideogram(source: Source) -> Reading | None:
    data = source.data
    if not isinstance(data, Mapping) or _PARTS not in data:
        return None
    parts = data[_PARTS]
    if not isinstance(parts, Mapping):
        raise ValueError(f'{_PARTS} must be an object with "elements", got {quote(parts)}')
    sentence, background = (
        _text(name, of) for name, of in (("high_level_description", data), ("background", parts))
    )
    elements = parts.get("elements", [])
    caption = sentences(sentence, background)
    reading = layout_from_elements(elements, caption, source.width, source.height)
    style = data.get("style_description")
    if not style:
        return reading
    message = f"The style_description {quote(style)} is left out: put what matters into the caption"
    return Reading(reading.layout, (Remark("left out", f"{message}."), *reading.remarks))


def _text(name: str, data: Mapping[str, Any]) -> str:
    text = data.get(name) or ""
    if not isinstance(text, str):
        raise ValueError(f"{name} {quote(text)} is not a text")
    return text


def _write_ideogram(layout: Layout, *_: object) -> str:
    parts = {"background": "", "elements": layout_to_elements(layout)}
    return indented({"high_level_description": layout.caption, _PARTS: parts})


ELEMENTS = Form("elements", _write_elements, _read_elements)
IDEOGRAM = Form("ideogram", _write_ideogram, _read_ideogram)
