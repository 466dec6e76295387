"""JSON as language models and people write it: single quotes, a comma too many, comments."""

from __future__ import annotations

import json
import re
from typing import Any

from ..checks import place, quote, read_json
from ..patterns import pattern

_TOKEN = pattern(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<double>"[^"\\]*(?:\\.[^"\\]*)*")
    |(?P<single>'[^'\\]*(?:\\.[^'\\]*)*')
    |(?P<curly>“[^”]*”)
    |(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark>[\[\]{}:,])""",
    re.VERBOSE | re.DOTALL,
)
_COLON = pattern(r"\s{0,9}:")
_WORDS = {"true": "true", "false": "false", "null": "null", "none": "null"}


def read_loose_json(text: str, start: int = 0) -> tuple[Any, int]:
    """The object or list that begins at start, and where it ends.

    Read beside JSON: single and typographic quotes, names without quotes, commas before a closing
    bracket, numbers such as .5, comments after //, line breaks in texts.

    Raises:
        ValueError: it is still not JSON; the message says where it breaks.
    """
    pieces, end = _strict(text, start)
    try:
        return read_json("".join(pieces)), end
    except ValueError as error:
        if str(error).startswith("not JSON"):
            _break(text, start)
        raise


def _strict(text: str, start: int) -> tuple[list[str], int]:
    """The same in JSON's own spelling, in pieces, and where it ends."""
    pieces: list[str] = []
    at, depth = start, 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            break
        at = token.end()
        piece = _piece(token.lastgroup, token.group(), _COLON.match(text, at) is not None)
        if piece in ("]", "}") and pieces and pieces[-1] == ",":
            pieces.pop()
        if piece:
            pieces.append(piece)
        depth += (piece in ("[", "{")) - (piece in ("]", "}"))
        if depth == 0 and pieces:
            return pieces, at
    _break(text, start)
    raise ValueError(
        f"this JSON is not complete: it begins at {place(text, start)} and breaks at "
        f"{place(text, at)}, before {quote(text[at : at + 40])}"
    )


def _piece(kind: str, written: str, is_name: bool) -> str:
    """A token in JSON's spelling; one that JSON has no spelling of as it is."""
    if kind == "space":
        return ""
    if kind in ("single", "curly"):
        return f'"{_control(_escape(written[1:-1]))}"'
    if kind == "double":
        return _control(written)
    if kind == "number":
        whole, point, rest = written.lstrip("+").partition(".")
        digits = re.match(r"\d*", rest)
        fraction = (digits.group() if digits else "") or "0"
        sign = whole if whole not in ("", "-") else f"{whole}0"
        return f"{sign}.{fraction}{rest[len(digits.group()) if digits else 0 :]}" if point else sign
    if kind == "word":
        return f'"{written}"' if is_name else _WORDS.get(written.lower(), written)
    return written


def _escape(inner: str) -> str:
    """What stands between other quotes, for between double ones; its own escapes stay."""
    changes = {'"': '\\"', "\\'": "'"}
    return re.sub(r'\\.|"', lambda m: changes.get(m.group(), m.group()), inner, flags=re.DOTALL)


def _control(text: str) -> str:
    """Line breaks and the like as escapes."""
    return re.sub(r"[\x00-\x1f]", lambda match: json.dumps(match.group())[1:-1], text)


def _break(text: str, start: int) -> None:
    """Raise ValueError that says where strict JSON breaks; None when it does not."""
    try:
        json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"this looks like JSON, but is not JSON that can be read: {error}; it begins "
            f"{quote(text[start : start + 80])}"
        ) from None
    except RecursionError:
        raise ValueError("this JSON is nested too deeply") from None
