"""Boxes in tags: a red ball <bbox>[0.1, 0.2, 0.4, 0.6]</bbox>, and the tags of Qwen-VL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ..checks import quote
from ..layout import Layout
from ..near_misses import NUMBER
from ..patterns import pattern
from ..remarks import Reading
from .form import Form, Source
from .lines import (
    FOUR,
    Line,
    caption_lines,
    numbered,
    numbers_of,
    one_line,
    read_lines,
    words_of,
)
from .numbers import Convention

_PAIRS = rf"\(\s?({NUMBER})\s?,\s?({NUMBER})\s?\)\s?,?\s?\(\s?({NUMBER})\s?,\s?({NUMBER})\s?\)"
_TAG = pattern(
    rf"<(bbox|box|bounding_box)>\s{{0,9}}[\[(]?\s{{0,9}}({FOUR})\s{{0,9}},?\s{{0,9}}[\])]?\s{{0,9}}"
    rf"</\1>",
    re.IGNORECASE,
)
# Qwen-VL's own, by its documentation in thousandths.
_QWEN = pattern(
    rf"(?:<ref>|<\|object_ref_start\|>)(?P<text>[^<>]{{1,2000}})(?:</ref>|<\|object_ref_end\|>)\s{{0,9}}"
    rf"(?:<box>|<\|box_start\|>)\s?{_PAIRS}\s?(?:</box>|<\|box_end\|>)"
)
_NUMBER = pattern(NUMBER)


def _read(source: Source) -> Reading | None:
    if source.data is not None:
        return None
    if _QWEN.search(source.text):
        thousandths = source.convention.over(Convention("thousandths", "x0 y0 x1 y1"))
        lines = [part for _, line in numbered(source.text) for part in _qwen_parts(line)]
        return read_lines(replace(source, convention=thousandths), lines)
    if not _TAG.search(source.text):
        return None
    lines = [part for number, line in numbered(source.text) for part in _parts(number, line)]
    return read_lines(source, lines)


def _qwen_parts(line: str) -> Iterator[Line | str]:
    end = 0
    for match in _QWEN.finditer(line):
        text, *numbers = match.groups()
        if line[end : match.start()].strip(" ,;.-"):
            yield line[end : match.start()]
        yield Line(words_of(text), tuple(map(float, numbers)), match.group())
        end = match.end()
    if line[end:].strip(" ,;.-"):
        yield line[end:]


def _parts(number: int, line: str) -> list[Line | str]:
    """The boxes of a line with their words. Raises ValueError when they may be on either side."""
    tags = list(_TAG.finditer(line))
    if not tags:
        return [line]
    ends = [0, *(tag.end() for tag in tags)]
    starts = [*(tag.start() for tag in tags), len(line)]
    texts = [_words(line[end:start]) for end, start in zip(ends, starts, strict=True)]
    first, *others = texts
    if bool(first) == bool(others[-1]):
        raise ValueError(
            f"line {number}: the words of {quote(tags[0].group())} may stand before or after it; "
            "begin or end the line with words, not both, as in a red ball "
            f"<bbox>[0.1, 0.2, 0.4, 0.6]</bbox>; got {quote(line.strip())}"
        )
    words = texts[:-1] if first else others
    if not all(words):
        raise ValueError(f"line {number} has a box without words: {quote(line.strip())}")
    return [
        Line(text, tuple(map(float, _NUMBER.findall(tag[2]))), tag.group())
        for text, tag in zip(words, tags, strict=True)
    ]


def _words(text: str) -> str:
    stripped = re.sub(r"^[\s\-*•,;:|]{1,99}|[\s\-,;:|]{1,99}$", "", text)
    return words_of(re.sub(r"^\d{1,4}[.)]\s", "", stripped))


def _write(layout: Layout, *_: object) -> str:
    lines = caption_lines(layout)
    for region in layout.regions:
        lines.append(f"{one_line(region.text)} <bbox>{numbers_of(region.box)}</bbox>")
    return "\n".join(lines)


TAGS = Form("tags", _write, _read)
