"""Checks of values that come from outside, with messages for the person who entered them.

An error's message says what is wrong, with the value and the limit, and what to do: "layout width
= 500 is not divisible by 8: use 496". It begins small, unless with a name, and has no full stop,
since others quote it: "region 3: box x1 = 2 is outside ...". A remark's is one or more sentences.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import reprlib
from collections import Counter
from numbers import Integral, Real
from typing import Any

from .limits import MAX_DOCUMENT, MAX_SIDE, MAX_TEXT

_MAX_DIGITS = 1_000  # of a whole number; reading more takes a time that grows with their square
_SURROGATE = re.compile("[\ud800-\udfff]")


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
    """A width or height as an int. Raises ValueError, with its name, if it is none or too many."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} = {quote(value)} is not a positive whole number of pixels")
    side = int(value)
    if side > MAX_SIDE:
        raise ValueError(f"{name} = {quote(side)} is too large: at most {MAX_SIDE:,} pixels")
    return side


def check_text(name: str, text: Any) -> None:
    """Raise ValueError, with its name, if it is no text, or none that can be encoded and read."""
    if not isinstance(text, str):
        raise ValueError(f"{name} {quote(text)} is not a text")
    check_length(name, text, MAX_TEXT)
    check_characters(name, text)


def check_characters(name: str, text: str) -> None:
    """Raise ValueError, with its name, if a text cannot be encoded."""
    half = _SURROGATE.search(text)
    if half:
        raise ValueError(
            f"{name} {quote(text)} has half a character, {half.group()!r}, at "
            f"{place(text, half.start())}: take it out"
        )


def check_length(name: str, text: str, limit: int) -> None:
    """Raise ValueError, with its name, if a text has more than limit characters."""
    if len(text) > limit:
        raise ValueError(
            f"{name} has {len(text):,} characters, more than the {limit:,} that are read: shorten "
            f"it; it begins {quote(text)}"
        )


def is_color(value: Any) -> bool:
    """Whether it is a color written #rrggbb."""
    return isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value) is not None


def read_json(text: str, limit: int = MAX_DOCUMENT, is_strict: bool = True) -> Any:
    """Parse JSON of finite numbers, in whose objects every name stands once. limit: characters
    that are read. is_strict: false reads other numbers as null, and the last value of a name.

    Raises ValueError that says where it breaks.
    """
    check_length("this JSON", text, limit)
    try:
        return json.loads(
            text,
            parse_constant=_reject_constant if is_strict else lambda _: None,
            parse_int=_whole,
            object_pairs_hook=_object if is_strict else None,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}; the text begins {quote(text)}") from None
    except RecursionError:
        raise ValueError("this JSON is nested too deeply") from None


def place(text: str, index: int) -> str:
    """Where in a text a character is, for a message: line 2, column 5."""
    before = text[:index]
    return f"line {before.count(chr(10)) + 1}, column {index - before.rfind(chr(10))}"


def quote(value: Any, limit: int = 80) -> str:
    """A quotation short enough for an error message, made in the same time whatever the value."""
    quoted = repr(value[:limit]) if isinstance(value, str | bytes) else _SHORT.repr(value)
    return shorten(quoted, limit)


def shorten(text: str, limit: int = 80) -> str:
    """A text, or its beginning with three dots, in at most limit characters, as can be written:
    half a character becomes its number."""
    short = text if len(text) <= limit else f"{text[: limit - 3]}..."
    return short.encode("utf-8", "backslashreplace").decode()


class _Short(reprlib.Repr):
    """repr of the beginning of a value."""

    def repr_int(self, x: int, level: int) -> str:
        # Writing out thousands of digits takes long, and Python refuses it.
        digits = int((x.bit_length() - 1) * math.log10(2)) + 1
        return repr(x) if digits <= self.maxlong else f"<a number of about {digits:,} digits>"

    def repr_dict(self, x: dict, level: int) -> str:
        if level <= 0:
            return "{...}"
        items = [
            f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}"
            for key in itertools.islice(x, self.maxdict)
        ]
        return f"{{{', '.join(items)}{', ...' if len(x) > self.maxdict else ''}}}"


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 20
_SHORT.maxlevel = 4


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(
            f"{quote(digits, 20)} in JSON has {len(digits):,} digits: at most {_MAX_DIGITS:,}"
        )
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{quote(twice)} stands twice in one object of this JSON: keep one")
    return values


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} in JSON: every number must be finite")
