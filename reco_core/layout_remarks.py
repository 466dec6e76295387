"""What there is to know of a layout before any checkpoint reads it, the same at every door.

Prompt weights are ComfyUI's: (words:1.2), and (words) for 1.1; \\( and \\) are brackets as such.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from .checks import quote
from .control import Control
from .foreign_syntax import Syntax, foreign_syntax
from .layout import Layout, Region
from .limits import SIZE_STEP
from .remarks import Remark

WeightedSpans = Callable[[str], list[tuple[str, float]]]
"""ComfyUI's own reading of prompt weights: text -> [(words, weight)]."""

STRONGEST = 10_000.0
"""Beyond it, either way, a weight leaves half precision, and the picture is black."""
_USUAL = (0.0, 2.0)
_DEEPEST = 64  # brackets within brackets
_NAMED = 5  # pieces that a remark names


def layout_remarks(
    layout: Layout, weighted_spans: WeightedSpans, indices: Sequence[int] | None = None
) -> tuple[Remark, ...]:
    """Everything to know of a layout's texts and boxes.

    indices: of each region among its likes, from 0, where these are not all of them.

    Raises:
        ValueError: a weight in a text is not a number that a model can use, or brackets are nested
            beyond all sense.
    """
    name = "the caption"
    found = [*_weight_remarks(layout.caption, weighted_spans, name, None)]
    found += _syntax_remarks(layout.caption, name, None)
    for index, region in zip(indices or range(len(layout.regions)), layout.regions, strict=True):
        name = f"region {index + 1}"
        found += _weight_remarks(region.text, weighted_spans, name, index, region.weight)
        found += _syntax_remarks(region.text, name, index)
        found += _box_remarks(region, layout, name, index)
    return tuple(found)


def layout_weights(layout: Layout, weighted_spans: WeightedSpans) -> list[tuple[str, float]]:
    """The words of a layout that have another weight than 1, with it. Raises as layout_remarks."""
    weights = text_weights(layout.caption, weighted_spans)
    for region in layout.regions:
        weights += text_weights(region.text, weighted_spans, region.weight)
    return weights


def uncontrolled(layout: Layout, takes_negatives: bool = False) -> tuple[Remark, ...]:
    """What is to be said where a layout is encoded for a sampling that knows of no control.

    takes_negatives: whether the regions' negatives count there.
    """
    numbers = []
    for number, region in enumerate(layout.regions, start=1):
        control = replace(region.control, negative="") if takes_negatives else region.control
        if control != Control():
            numbers.append(str(number))
    if not numbers:
        return ()
    what = "Strength, start and end" if takes_negatives else "Strength, start, end and negative"
    message = f"{what} do not count here: region {', '.join(numbers)}. Use ReCo Control for them."
    return (Remark("left out", message),)


def text_weights(
    text: str, weighted_spans: WeightedSpans, factor: float = 1.0
) -> list[tuple[str, float]]:
    """The words of a text that have another weight than 1, with it. factor: of the whole region.

    Raises ValueError as layout_remarks.
    """
    if _depth(text) > _DEEPEST:
        raise ValueError(f"{quote(text)} has more than {_DEEPEST} brackets within each other")
    spans = [(words, weight * factor) for words, weight in weighted_spans(text)]
    spans = [(words, weight) for words, weight in spans if weight != 1 and words.strip()]
    for words, weight in spans:
        if not math.isfinite(weight) or abs(weight) > STRONGEST:
            raise ValueError(
                f"the weight {weight:g} of {quote(words.strip())} is not a number between "
                f"{-STRONGEST:g} and {STRONGEST:g}: write one near 1, or \\( and \\) if the "
                "brackets are part of the text"
            )
    return spans


def _weight_remarks(
    text: str, weighted_spans: WeightedSpans, name: str, index: int | None, factor: float = 1.0
) -> Iterator[Remark]:
    """factor: of the whole region."""
    try:
        weights = text_weights(text, weighted_spans, factor)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    low, high = _USUAL
    extreme = [
        f"{weight:g} of {quote(words.strip())}"
        for words, weight in weights
        if not low <= weight <= high
    ]
    if extreme:
        yield Remark(
            "weight",
            f"{name} has weights far from 1: {_listed(extreme)}. Pictures break beyond {low:g} to "
            f"{high:g}; write \\( and \\) if the brackets are part of the text.",
            index,
        )
    if not _is_balanced(text):
        yield Remark(
            "weight",
            f"{name} has a bracket without its other half in {quote(text)}: it is read as it "
            "stands, and weights after it do not count. Close it, or write \\( or \\).",
            index,
        )


def _syntax_remarks(text: str, name: str, index: int | None) -> Iterator[Remark]:
    pieces: dict[Syntax, list[str]] = {}
    for piece, syntax in foreign_syntax(text):
        pieces.setdefault(syntax, []).append(quote(piece))
    for syntax, found in pieces.items():
        yield Remark(
            "syntax",
            f"{name} has {syntax.name}, which is read as plain words: {_listed(found)}. "
            f"{syntax.remedy}",
            index,
        )


def _box_remarks(region: Region, layout: Layout, name: str, index: int) -> Iterator[Remark]:
    x0, y0, x1, y1 = region.box.to_pixels(layout.width, layout.height)
    width, height = x1 - x0, y1 - y0
    if min(width, height) < SIZE_STEP:
        yield Remark(
            "small",
            f"{name} is {width:.3g} x {height:.3g} px of {layout.width} x {layout.height}: less "
            f"than {SIZE_STEP} px, a cell of the latents, is too little to paint in. Make its box "
            "larger.",
            index,
        )


def _listed(pieces: list[str]) -> str:
    unique = list(dict.fromkeys(pieces))
    more = len(unique) - _NAMED
    return ", ".join(unique[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _brackets(text: str) -> Iterator[int]:
    """+1 for each ( and -1 for each ) that is not escaped."""
    escaped = text.replace("\\(", "").replace("\\)", "")
    return ((character == "(") - (character == ")") for character in escaped)


def _depth(text: str) -> int:
    deepest = level = 0
    for step in _brackets(text):
        level += step
        deepest = max(deepest, level)
    return deepest


def _is_balanced(text: str) -> bool:
    level = 0
    for step in _brackets(text):
        level += step
        if level < 0:
            return False
    return level == 0
