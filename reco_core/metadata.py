"""What a checkpoint's metadata say that its weights do not: heads, words, sizes of pictures.

All are strings under the keys of checkpoint.py. Each function raises a ValueError that names the
key and quotes its value when this cannot be what it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks import quote, read_json
from .limits import IMAGE_SIDE, SIZE_STEP

Size = tuple[int, int]
"""Width and height of a picture in pixels."""

_MAX_DIGITS = 9


def read_text(metadata: Mapping[str, Any], key: str) -> str:
    """The value of a key; empty without one."""
    text = metadata.get(key, "")
    if not isinstance(text, str):
        raise ValueError(f"metadata {key} = {quote(text)} is not text")
    return text


def read_number(metadata: Mapping[str, Any], key: str) -> int | None:
    """A number above 0; None when it is not said."""
    text = read_text(metadata, key)
    if not text:
        return None
    if not text.isdecimal() or len(text) > _MAX_DIGITS or int(text) < 1:
        raise ValueError(f"metadata {key} = {quote(text)} is not a positive whole number")
    return int(text)


def read_words(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Lower-case words that the model knows; empty when it is not said."""
    words = _json(metadata, "words", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(
            f"metadata words = {quote(read_text(metadata, 'words'))} is not a JSON list of words"
        )
    return tuple(word.lower() for word in words)


def read_image_size(metadata: Mapping[str, Any]) -> int | None:
    """Side in pixels of the square pictures it was trained on; None when it is not said."""
    text = read_text(metadata, "image_size")
    if not text:
        return None
    side = int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else 0
    if not _is_side(side):
        raise ValueError(
            f"metadata image_size = {quote(text)} is not a multiple of {SIZE_STEP} from "
            f"{SIZE_STEP} to {IMAGE_SIDE}"
        )
    return side


def read_buckets(metadata: Mapping[str, Any]) -> tuple[Size, ...]:
    """Sizes of the pictures of a training with aspect-ratio buckets; empty without."""
    sizes = _json(metadata, "buckets", [])
    if not isinstance(sizes, list) or not all(
        isinstance(size, list) and len(size) == 2 and all(map(_is_side, size)) for size in sizes
    ):
        raise ValueError(
            f"metadata buckets = {quote(read_text(metadata, 'buckets'))} is not a JSON list of "
            f"[width, height] in multiples of {SIZE_STEP} from {SIZE_STEP} to {IMAGE_SIDE}"
        )
    return tuple((width, height) for width, height in sizes)


def _json(metadata: Mapping[str, Any], key: str, default: Any) -> Any:
    text = read_text(metadata, key)
    try:
        return read_json(text) if text else default
    except ValueError:  # also of numbers with too many digits
        return None


def _is_side(side: Any) -> bool:
    return type(side) is int and SIZE_STEP <= side <= IMAGE_SIDE and side % SIZE_STEP == 0
