"""What four numbers of a box mean: in what they count, and which of them come first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..boxes import refuse_fractions
from ..checks import finite, quote
from ..patterns import pattern

Unit = Literal["fractions", "thousandths", "pixels"]
Order = Literal["x0 y0 x1 y1", "y0 x0 y1 x1", "x y width height"]

_THOUSANDTHS = 1000
_OVERHANG = 0.25
"""How far numbers may leave the picture, as a fraction of it; beyond, they mean something else."""

_UNIT = pattern(
    r"\b(?:box(?:es)?|bbox(?:es)?|coordinates|numbers|values)\s+(?:are\s+)?(?:given\s+)?in\s+"
    r"(pixels|thousandths|fractions)(?:\s+of\s+(?:an?\s+)?(\d{1,5})\s*[x×]\s*(\d{1,5}))?",
    re.IGNORECASE,
)
_AXIS = pattern(r"\b([xy]) first\b", re.IGNORECASE)
_CODES = {"xyxy": "x0 y0 x1 y1", "yxyx": "y0 x0 y1 x1", "xywh": "x y width height"}
_CODE = pattern(rf"\b({'|'.join(_CODES)})\b", re.IGNORECASE)
_NAME = (
    r"['\"]?\b(?:([xy])[_ ]?(?:min|max|[0-2])?|(left|right)|(top|bottom)|(w|h)(?:idth|eight)?)\b"
    r"['\"]?"
)
_NAMES = pattern(rf"{_NAME}(?:\s{{0,9}},\s{{0,9}}{_NAME}){{3}}", re.IGNORECASE)


@dataclass(frozen=True)
class Convention:
    """What is said of the numbers of all boxes. None: it is not said.

    picture: width and height of the one they are measured in, in pixels.
    """

    unit: Unit | None = None
    order: Order | None = None
    picture: tuple[int, int] | None = None

    def over(self, other: Convention) -> Convention:
        """This one, and the other's where this one says nothing."""
        return Convention(
            self.unit or other.unit, self.order or other.order, self.picture or other.picture
        )


def convention_said(words: str) -> Convention:
    """What words around boxes say of their numbers: "boxes in pixels of 640 x 480, y first".

    Raises ValueError when they say two things at once.
    """
    units = {(m[1].lower(), m[2], m[3]) for m in _UNIT.finditer(words)}
    orders = {_CODES[match[1].lower()] for match in _CODE.finditer(words)}
    orders |= {"x0 y0 x1 y1" if m[1] in "xX" else "y0 x0 y1 x1" for m in _AXIS.finditer(words)}
    orders |= {order for match in _NAMES.finditer(words) if (order := _order(match))}
    if len(units) > 1 or len(orders) > 1:
        said = sorted({unit for unit, *_ in units} | orders)
        raise ValueError(f"the words around the boxes say {' and '.join(said)}: say one of them")
    unit, width, height = next(iter(units), (None, None, None))
    picture = (int(width), int(height)) if width and height else None
    return Convention(unit, next(iter(orders), None), picture)  # type: ignore[arg-type]


def corners_of(
    boxes: Sequence[Sequence[float]], convention: Convention, width: int, height: int
) -> list[tuple[float, float, float, float]]:
    """Corners of boxes, xyxy in fractions of the picture, from numbers as written.

    All boxes of a text count alike. width, height: of the picture in pixels.

    Raises:
        ValueError: numbers that are not finite or can be read in more than one way; the message
            names the ways and how to say which.
    """
    for box in boxes:
        for number in box:
            finite("box number", number)
    order = convention.order or "x0 y0 x1 y1"
    width, height = convention.picture or (width, height)
    placed = [_xyxy(box, order) for box in boxes]
    unit = convention.unit or _unit(boxes, placed, width, height)
    if unit == "thousandths":
        for box in boxes:
            refuse_fractions(box)
    scale_x, scale_y = {
        "fractions": (1, 1),
        "thousandths": (_THOUSANDTHS, _THOUSANDTHS),
        "pixels": (width, height),
    }[unit]
    corners = [(a / scale_x, b / scale_y, c / scale_x, d / scale_y) for a, b, c, d in placed]
    for box, place in zip(boxes, corners, strict=True):
        _check(box, place, f"{order} in {unit} of {width} x {height}")
    return corners


def _xyxy(box: Sequence[float], order: Order) -> tuple[float, float, float, float]:
    a, b, c, d = box
    if order == "y0 x0 y1 x1":
        return b, a, d, c
    return (a, b, a + c, b + d) if order == "x y width height" else (a, b, c, d)


def _unit(
    boxes: Sequence[Sequence[float]],
    placed: Sequence[tuple[float, float, float, float]],
    width: int,
    height: int,
) -> Unit:
    """What numbers count in when nothing says so and only one reading is possible."""
    numbers = [number for box in placed for number in box]
    largest = max(map(abs, numbers), default=0.0)
    if largest <= 1 or (largest <= 1 + _OVERHANG and any(number % 1 for number in numbers)):
        return "fractions"
    fits = all(
        0 <= x <= width and 0 <= y <= height for x0, y0, *c in placed for x, y in ((x0, y0), c)
    )
    if fits and (largest > _THOUSANDTHS or (width, height) == (_THOUSANDTHS, _THOUSANDTHS)):
        return "pixels"
    example = quote(max(boxes, key=lambda box: max(map(abs, box))))
    picture = f"a picture {'of' if fits else 'larger than'} {width} x {height}"
    if largest > _THOUSANDTHS:
        raise ValueError(
            f"{example} does not fit a picture of {width} x {height} pixels: set the size of the "
            "picture it was measured in, or say it in a line before the boxes, as in: boxes in "
            "pixels of 1024 x 768"
        )
    raise ValueError(
        f"it is not said what {example} counts in: thousandths of the picture or pixels of "
        f"{picture}; write a line that says it before the boxes: boxes in thousandths, boxes in "
        "pixels of 1024 x 768, or boxes in fractions"
    )


def _check(box: Sequence[float], corners: tuple[float, float, float, float], reading: str) -> None:
    """Raise ValueError when numbers do not fit what they are taken for."""
    x0, y0, x1, y1 = corners
    if x0 > x1 or y0 > y1:
        raise ValueError(
            f"{quote(list(box))} read as {reading} is inverted: write x0 y0 x1 y1 with the "
            "top-left corner first, or say before the boxes that they are [x, y, width, height] or "
            "[y0, x0, y1, x1]"
        )
    if min(corners) < -_OVERHANG or max(corners) > 1 + _OVERHANG:
        raise ValueError(
            f"{quote(list(box))} read as {reading} lies far outside the picture: set the "
            "size of the picture it was measured in, or say before the boxes what they count in, "
            "as in: boxes in pixels of 1024 x 768"
        )


def _order(match: re.Match[str]) -> Order | None:
    """The order of four names of sides, such as ymin, xmin, ymax, xmax."""
    names = re.findall(_NAME, match.group(), re.IGNORECASE)
    axes = "".join(
        (xy or ("x" if across else "y" if down else size)).lower()
        for xy, across, down, size in names
    )
    return _CODES.get(axes)  # type: ignore[return-value]
