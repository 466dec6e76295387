"""Lines such as "- a red ball: [0.1, 0.2, 0.4, 0.6]", as language models answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..boxes import FoundBox, regions_inside
from ..checks import quote
from ..layout import Box, Layout, check_count
from ..near_misses import NUMBER, refuse_near_misses
from ..patterns import pattern
from ..remarks import Reading, Remark
from .form import Form, Source
from .numbers import Convention, convention_said, corners_of

FOUR = rf"{NUMBER}(?:(?:\s{{0,9}}[,;]\s{{0,9}}|\s{{1,9}}){NUMBER}){{3}}"
"""Four numbers, between commas or spaces."""

_BOX = pattern(rf"[\[(]\s{{0,9}}{FOUR}\s{{0,9}},?\s{{0,9}}[\])]")
_NUMBER = pattern(NUMBER)
_BULLET = pattern(r"^\s{0,99}(?:[-*•+|]|\d{1,4}[.)](?=\s))\s{0,9}")
_PLACE_NAME = pattern(
    r"(?:^|[:(|–—-]|\*\*)\s{0,9}(?:bounding[ _]?box|bbox|box|coordinates|position|location|place)"
    r"\W{0,9}$",
    re.IGNORECASE,
)
_CAPTION = pattern(
    r"^\W{0,9}(?:caption|prompt|scene|description)\W{0,3}?[:：](?:\*\*|__)?\s{0,9}(.*)$",
    re.IGNORECASE,
)
_EXAMPLE = "as in - a red ball: [0.1, 0.2, 0.4, 0.6]"
_EDGES = " \t\u00a0\u200b\u2060\ufeff"
_PAIRS = {'"': '"', "'": "'", "“": "”", "`": "`", "**": "**", "__": "__"}


@dataclass(frozen=True)
class Line:
    """A line with a box: the words in it, the numbers, and the box as it is written."""

    text: str
    numbers: tuple[float, ...]
    written: str


def _read(source: Source) -> Reading | None:
    if source.data is not None or not _BOX.search(source.text):
        return None
    return read_lines(source, [_line(number, line) for number, line in numbered(source.text)])


def numbered(text: str) -> list[tuple[int, str]]:
    """The lines of a text with words in them, by their numbers from 1."""
    lines = enumerate(text.splitlines(), start=1)
    return [(number, line) for number, line in lines if line.strip(_EDGES)]


def read_lines(source: Source, lines: list[Line | str]) -> Reading:
    """The layout of lines, those with a box and those without."""
    first = next(index for index, line in enumerate(lines) if isinstance(line, Line))
    before = [line for line in lines[:first] if isinstance(line, str)]
    after = [line for line in lines[first:] if isinstance(line, str)]
    found = [line for line in lines if isinstance(line, Line)]
    check_count(len(found))
    convention = source.convention.over(convention_said("\n".join([*before, *after])))
    caption, left = _caption(before, after)
    for text in (caption, *left, *(line.text for line in found)):
        refuse_near_misses(text)
    corners = corners_of([line.numbers for line in found], convention, source.width, source.height)
    regions, outside = regions_inside(
        FoundBox(line.text, place, list(line.numbers))
        for line, place in zip(found, corners, strict=True)
    )
    remarks = tuple(
        Remark(
            "left out",
            f"The line {quote(line.strip())} has no box and is left out. Begin it with Caption: "
            "if the picture should show it.",
        )
        for line in left
    )
    layout = Layout(caption, regions, source.width, source.height)
    return Reading(layout, (*remarks, *outside))


def words_of(text: str) -> str:
    """Words without the list mark, quotes and emphasis around them."""
    text = text.strip(_EDGES)
    for opening, closing in _PAIRS.items():
        size = len(opening)
        inner = text[size : len(text) - size]
        if text.startswith(opening) and text.endswith(closing) and opening not in inner and inner:
            text = inner.strip(_EDGES)
    return text


def _line(number: int, line: str) -> Line | str:
    """What a line says. Raises ValueError for one that can be read in several ways."""
    boxes = list(_BOX.finditer(line))
    if not boxes:
        return line
    if len(boxes) > 1:
        raise ValueError(f"line {number} has {len(boxes)} boxes: give each a line of its own")
    box = boxes[0]
    before = line[: box.start()]
    bullet = _BULLET.match(before)
    before = _before(before[bullet.end() :] if bullet else before)
    after = words_of(line[box.end() :].lstrip(_EDGES + "])").strip(_EDGES + ":：;,，.|=>→-–—)*"))
    if before and after:
        raise ValueError(
            f"line {number} has words on both sides of {quote(box.group())}: put all of them on "
            f"one side, {_EXAMPLE}; got {quote(line.strip())}"
        )
    if not before and not after:
        raise ValueError(
            f"line {number} has no words for {quote(box.group())}: write them into the same line, "
            f"{_EXAMPLE}; got {quote(line.strip())}"
        )
    numbers = tuple(float(found) for found in _NUMBER.findall(box.group()))
    return Line(before or after, numbers, box.group())


def _before(text: str) -> str:
    """The words before a box: without what leads over to it."""
    text = text.rstrip(_EDGES + "|[(")
    text = _PLACE_NAME.sub("", text)
    return words_of(re.sub(r"[\s:：=>→|–—-]{1,99}$", "", text).rstrip(_EDGES))


def _caption(before: list[str], after: list[str]) -> tuple[str, list[str]]:
    """The caption of lines without a box, and those that are left out."""
    named = [match for line in (*before, *after) if (match := _CAPTION.match(line))]
    spoken = [line for line in (*before, *after) if not _CAPTION.match(line) and not _says(line)]
    if len(named) > 1:
        raise ValueError(f"there are two captions, {quote(named[0][1])} and {quote(named[1][1])}")
    if named:
        return words_of(named[0][1]), spoken
    own = [line for line in before if not _says(line)]
    if any(line.rstrip(_EDGES).endswith((":", "：")) for line in own):
        return "", spoken  # they lead over to the list
    return "\n".join(own).strip(_EDGES), [line for line in after if not _says(line)]


def _says(line: str) -> bool:
    return len(line) <= 80 and convention_said(line) != Convention()


def _write(layout: Layout, *_: object) -> str:
    lines = caption_lines(layout)
    for region in layout.regions:
        lines.append(f"- {one_line(region.text)}: {numbers_of(region.box)}")
    return "\n".join(lines)


def caption_lines(layout: Layout) -> list[str]:
    """The line before those of a layout's regions, and none without a caption."""
    if not layout.regions:
        return [layout.caption]
    return [f"Caption: {one_line(layout.caption)}"] if layout.caption.strip() else []


def numbers_of(box: Box) -> str:
    """The corners of a box as they are written between brackets: exactly."""
    return f"[{box.x0!r}, {box.y0!r}, {box.x1!r}, {box.y1!r}]"


def one_line(text: str) -> str:
    """A text with one space for all white space."""
    return " ".join(text.split())


LINES = Form("lines", _write, _read)
