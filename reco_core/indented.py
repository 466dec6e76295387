"""JSON as a person reads it: indented, but each box with its words on one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_STEP = "  "


def indented(data: Any) -> str:
    """JSON text, over several lines; a list of plain values, and each object of a list, is on one.

    Raises ValueError for a number that is not finite.
    """
    return _written(data, "", in_list=False)


def _written(data: Any, margin: str, in_list: bool) -> str:
    if not data or not isinstance(data, Mapping | list):
        return _line(data)
    inner = margin + _STEP
    if isinstance(data, list):
        if not any(isinstance(item, Mapping | list) for item in data):
            return _line(data)
        parts = [_written(item, inner, in_list=True) for item in data]
        return _block("[", parts, "]", margin)
    if in_list:
        return _line(data)
    parts = [f"{_line(key)}: {_written(data[key], inner, in_list=False)}" for key in data]
    return _block("{", parts, "}", margin)


def _block(begin: str, parts: list[str], end: str, margin: str) -> str:
    lines = f",\n{margin}{_STEP}".join(parts)
    return f"{begin}\n{margin}{_STEP}{lines}\n{margin}{end}"


def _line(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False)
