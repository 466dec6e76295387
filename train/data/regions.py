"""Regions as readers find them: legal ones, cut at the picture's edges, and why others are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reco_core.boxes import box_inside
from reco_core.checks import check_text, finite, quote
from reco_core.layout import Box, Region
from reco_core.yolo import NoName
from train.data.problems import Problem, Unusable

ROUNDING = 1e-6
"""Fractions of a picture by which a box may stick out without counting as clipped."""
FAR = 1.0
"""Fractions of a picture by which it may stick out at all; beyond, they are not fractions."""


@dataclass(frozen=True)
class FoundRegions:
    """The regions of one sample. clipped: how many of them stuck out of the picture."""

    kept: tuple[Region, ...] = ()
    problems: tuple[Problem, ...] = ()
    clipped: int = 0


def find_regions(
    key: str,
    entries: Iterable[Any],
    read: Callable[[Any], tuple[Any, Sequence[Any]]],
    file: str = "",
) -> FoundRegions:
    """The legal ones of a sample's entries.

    read: an entry -> its text and corners (xyxy fractions), raises ValueError if it has none.
    file: that they are in, where the key does not name it.
    """
    kept, problems, clipped = [], [], 0
    for number, entry in enumerate(entries, 1):
        try:
            text, corners = read(entry)
            box = clip_box(corners)
            check_region_text(text)
            kept.append(Region(text, box))
            clipped += sticks_out(corners)
        except ValueError as error:
            place = f"{file}, region {number}" if file else f"region {number}"
            problem = Problem.of(key, error, "text" if isinstance(error, NoName) else "box")
            problems.append(replace(problem, reason=f"{place} left out: {error}"))
    return FoundRegions(tuple(kept), tuple(problems), clipped)


def check_region_text(text: Any) -> None:
    """Raise Unusable for a region's text that is none."""
    try:
        check_text("text", text)
    except ValueError as error:
        raise Unusable(str(error), "text") from None
    if not text.strip():
        raise Unusable(f"text {quote(text)} is empty: say what is in the box", "text")


def clip_box(corners: Sequence[Any]) -> Box:
    """The part of a box inside the picture. corners: xyxy fractions.

    Raises:
        ValueError: not four finite numbers, without area in the picture, or so far outside that
            the numbers must mean something else.
    """
    x0, y0, x1, y1 = (finite("box corner", corner) for corner in corners)
    if min(x0, y0) < -FAR or max(x1, y1) > 1 + FAR:
        raise ValueError(f"box {quote(list(corners))} is far outside: are these pixels?")
    box = box_inside(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
    if box is None:
        raise Unusable(
            f"box {quote(list(corners))} has no area in the picture: expected [x0, y0, x1, y1] "
            "as fractions of it, x0 < x1 and y0 < y1",
            "area",
        )
    return box


def sticks_out(corners: Sequence[float]) -> bool:
    """Whether a box leaves the picture by more than rounding. corners: xyxy fractions."""
    return min(corners) < -ROUNDING or max(corners) > 1 + ROUNDING


def choose_captions(captions: tuple[str, ...], found: FoundRegions) -> tuple[str, ...]:
    """The captions, or without any a list of the regions. Raises ValueError without both, and for
    a caption that cannot be encoded."""
    for caption in captions:
        check_text("caption", caption)
    if captions:
        return captions
    if not found.kept:
        why = f": {found.problems[0].reason}" if found.problems else ""
        raise Unusable(f"has neither a caption nor a usable region{why}", "silent")
    return (listing(region.text for region in found.kept),)


def listing(texts: Iterable[str]) -> str:
    """A caption for a picture that has none: its regions' texts, each once: a dog, car and tree."""
    *others, last = dict.fromkeys(texts)
    return f"{', '.join(others)} and {last}" if others else last
