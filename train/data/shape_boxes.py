"""Where the things of a ShapeSkills picture are: boxes drawn at random that do not touch."""

from __future__ import annotations

import numpy as np

PixelBox = tuple[int, int, int, int]
"""xyxy, integer pixel corners."""

SIDES = (0.15, 0.60)
"""Shortest and longest side of a box as fractions of the image."""

GAP = 2
"""Pixels of ground between two boxes, so that equal colours never touch."""

RELATIONS = ("left of", "right of", "above", "below")
CLEAR = 2.0
"""How many times farther along its axis a relation's things lie apart than across."""


def draw_boxes(
    rng: np.random.Generator,
    skill: str,
    counts: tuple[int, ...],
    size: int,
    sides: tuple[float, float],
) -> list[PixelBox]:
    """The boxes of a scene of a skill, that do not touch; size: of the picture in pixels.

    counts, sides: numbers of things, and shortest and longest side as fractions of the picture.
    """
    if skill in ("mixed", "count", "border"):
        return _disjoint_boxes(rng, int(rng.choice(counts)), size, sides, skill == "border")
    if skill in ("object", "colour"):
        return _disjoint_boxes(rng, 1, size, sides)
    boxes = _disjoint_boxes(rng, 2, size, sides)
    while skill == "spatial" and not _is_clear(*boxes):
        boxes = _disjoint_boxes(rng, 2, size, sides)
    return boxes


def relation(first: PixelBox, second: PixelBox) -> str:
    """How the first box lies to the second: along the axis on which centres are farther apart.

    The rule by which PaintSkills scores relations.
    """
    dx, dy = _offset(first, second)
    if abs(dx) > abs(dy):
        return "right of" if dx > 0 else "left of"
    return "below" if dy > 0 else "above"


def _disjoint_boxes(
    rng: np.random.Generator,
    count: int,
    size: int,
    sides: tuple[float, float],
    at_border: bool = False,
) -> list[PixelBox]:
    """Boxes with corners uniform over pixels; the whole set is drawn again when two overlap."""
    while True:
        boxes = [_box(rng, size, sides) for _ in range(count)]
        if at_border:
            boxes = [_to_border(box, size) for box in boxes]
        if not any(_overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i]):
            return boxes


def _box(rng: np.random.Generator, size: int, sides: tuple[float, float]) -> PixelBox:
    (x0, x1), (y0, y1) = _interval(rng, size, sides), _interval(rng, size, sides)
    return x0, y0, x1, y1


def _interval(rng: np.random.Generator, size: int, sides: tuple[float, float]) -> tuple[int, int]:
    while True:
        low, high = sorted(rng.integers(0, size, endpoint=True, size=2).tolist())
        if sides[0] * size <= high - low <= sides[1] * size:
            return low, high


def _to_border(box: PixelBox, size: int) -> PixelBox:
    """The box pushed to the nearest edge of the picture."""
    x0, y0, x1, y1 = box
    _, dx, dy = min(
        (x0, -x0, 0), (size - x1, size - x1, 0), (y0, 0, -y0), (size - y1, 0, size - y1)
    )
    return x0 + dx, y0 + dy, x1 + dx, y1 + dy


def _is_clear(first: PixelBox, second: PixelBox) -> bool:
    shorter, longer = sorted(map(abs, _offset(first, second)))
    return longer >= CLEAR * shorter


def _offset(first: PixelBox, second: PixelBox) -> tuple[float, float]:
    """From the centre of the second box to that of the first, in pixels."""
    dx = (first[0] + first[2] - second[0] - second[2]) / 2
    return dx, (first[1] + first[3] - second[1] - second[3]) / 2


def _overlap(a: PixelBox, b: PixelBox) -> bool:
    """Whether two boxes come closer than GAP."""
    return a[0] < b[2] + GAP and b[0] < a[2] + GAP and a[1] < b[3] + GAP and b[1] < a[3] + GAP
