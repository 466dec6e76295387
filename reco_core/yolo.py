"""YOLO's label lines: a class and a box, as fractions of the picture.

    0 0.5 0.5 0.25 0.5                the box's centre, width and height
    0 0.5 0.5 0.25 0.5 0.9            and how sure a detector was of it
    0 0.1 0.1 0.4 0.1 0.4 0.6 ...     the corners of an outline, of which the box is the extent

A class is its number in a list of names, from 0, or a word itself. Format: docs.ultralytics.com.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .checks import quote

_NUMBER = re.compile(r"\d+(\.0*)?")
_EXPECTED = "a class and x, y, width and height of a box: 0 0.5 0.5 0.25 0.5"


class NoName(ValueError):
    """A class that no list of names has."""


def read_yolo_line(
    line: str, names: Mapping[int, str], keypoints: bool = False
) -> tuple[str, list[float]]:
    """A line's text, and its box as xyxy fractions of the picture, as written.

    names: of classes. keypoints: whether points of a pose follow the box, not an outline.

    Raises ValueError when it is no such line, NoName when its class has no name.
    """
    word, *rest = line.split() or [""]
    try:
        numbers = [float(number) for number in rest]
    except ValueError:
        raise ValueError(f"{quote(line)} is no line of YOLO's: expected {_EXPECTED}") from None
    if len(numbers) < 4 or (len(numbers) > 5 and len(numbers) % 2 and not keypoints):
        raise ValueError(f"{quote(line)} has {len(numbers)} numbers: expected {_EXPECTED}")
    if len(numbers) > 5 and not keypoints:
        across, down = numbers[::2], numbers[1::2]
        corners = [min(across), min(down), max(across), max(down)]
    else:
        x, y, width, height = numbers[:4]
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return _class_name(word, names), corners


def _class_name(word: str, names: Mapping[int, str]) -> str:
    if not _NUMBER.fullmatch(word):
        return word
    name = names.get(int(word.partition(".")[0])) if len(word) < 10 else None
    if name is not None:
        return name
    listed = f"names has {len(names)}, counted from 0" if names else "there is no list of names"
    raise NoName(
        f"class {quote(word)} has no name ({listed}): write the names of all classes into "
        "classes.txt, one a line"
    )
