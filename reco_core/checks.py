"""Checks of values that come from outside, with messages for the person who entered them."""

from __future__ import annotations

import json
import math
import re
from numbers import Integral, Real
from typing import Any


def finite(name: str, value: Any) -> float:
    """The value as a float. Raises ValueError, with its name, if it is not a finite number."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond 1.8e308
            number = math.inf
        if math.isfinite(number):
            return number
    raise ValueError(f"{name} = {quote(value)} is not a finite number")


def pixel_side(name: str, value: Any) -> int:
    """A width or height as an int. Raises ValueError, with its name, if it is none."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} = {value!r} is not a positive whole number of pixels")
    return int(value)


def is_color(value: Any) -> bool:
    """Whether it is a color written #rrggbb."""
    return isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value) is not None


def read_json(text: str) -> Any:
    """Parse JSON of finite numbers. Raises ValueError that says where it breaks."""
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}; the text begins {quote(text)}") from None
    except RecursionError:
        raise ValueError("this JSON is nested too deeply") from None


def quote(value: Any, limit: int = 80) -> str:
    """A quotation short enough for an error message."""
    quoted = repr(value)
    return quoted if len(quoted) <= limit else quoted[: limit - 3] + "..."


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} in JSON: every number must be finite")
