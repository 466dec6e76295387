"""Rearrange layouts: merge, reorder, scale, flip. Boxes are fractions, so pictures may differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .boxes import cut_side
from .checks import check_length, finite, quote
from .layout import Box, Layout, Region, nearest_side
from .limits import MAX_REGIONS, MAX_TEXT

_ENDS = ("", "most", "ward", "wards", "hand", "handed")  # of words with left and right
_SIDES = {
    case(f"left{end}"): case(f"right{end}")
    for end in _ENDS
    for case in (str.lower, str.capitalize, str.upper)
}
_SIDES |= {right: left for left, right in _SIDES.items()}
# The name of an embedding is a file's name: it is passed over whole.
_SIDE_WORD = re.compile(rf"embedding:\S+|\b(?:{'|'.join(_SIDES)})\b")


def merge_layouts(first: Layout, second: Layout) -> Layout:
    """The regions of both, the first's in front, in the first's size.

    Captions are joined by a comma; an empty one is left out. Boxes keep their fractions.
    """
    captions = [layout.caption for layout in (first, second) if layout.caption.strip()]
    return replace(first, caption=", ".join(captions), regions=first.regions + second.regions)


def reorder_regions(layout: Layout, order: Sequence[int] | str) -> Layout:
    """The named regions in that order, and behind them the others as they were.

    order: numbers from 1, or a text of them as for `region_numbers`.

    Raises:
        ValueError: no such region, a region named twice, or a text that is not numbers.
    """
    named = dict.fromkeys(_named(layout, order))
    others = (n for n in range(1, len(layout.regions) + 1) if n not in named)
    return select_regions(layout, (*named, *others))


def select_regions(layout: Layout, order: Sequence[int] | str) -> Layout:
    """Only the named regions, in that order. order and errors: as for `reorder_regions`."""
    regions = tuple(layout.regions[number - 1] for number in _named(layout, order))
    return replace(layout, regions=regions)


def region_numbers(text: str) -> tuple[int, ...]:
    """Read "3, 1, 2" or, with ranges that may run backwards, "5-3, 1".

    Raises:
        ValueError: it holds something else, or names more regions than a layout may have.
    """
    check_length("the order", text, MAX_TEXT)
    numbers: list[int] = []
    joined = " ".join(text.split()).replace(" -", "-").replace("- ", "-")
    for piece in joined.replace(",", " ").split():
        ends = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", piece)
        if ends is None:
            raise ValueError(
                f"{quote(piece)} in {quote(text)} is not a region number: write numbers such as "
                "3, 1, 2 or ranges such as 3-1"
            )
        start, stop = int(ends[1]), int(ends[2] or ends[1])
        if len(numbers) + abs(stop - start) >= MAX_REGIONS:
            raise ValueError(
                f"{quote(text)} names more than the {MAX_REGIONS:,} regions that a layout may "
                "have: name each once"
            )
        step = 1 if start <= stop else -1
        numbers.extend(range(start, stop + step, step))
    return tuple(numbers)


def scale_picture(layout: Layout, factor: float) -> Layout:
    """The layout for a picture that is larger by a factor, as for a second, finer pass.

    Boxes keep their fractions; sizes go to the nearest that is divisible by 8.
    Raises ValueError when the factor is not a number above 0.
    """
    factor = _positive(factor)
    width, height = (nearest_side(side * factor) for side in (layout.width, layout.height))
    return replace(layout, width=width, height=height)


def scale_boxes(layout: Layout, factor: float) -> Layout:
    """Every box grown by a factor about its own centre; what leaves the image is cut off.

    Raises ValueError when the factor is not a number above 0, or nothing of a region's mask stays
    in the image.
    """
    factor = _positive(factor)
    regions = (_scaled(i, region, factor) for i, region in enumerate(layout.regions))
    return replace(layout, regions=tuple(regions))


def flip_layout(
    layout: Layout, horizontal: bool = True, vertical: bool = False, swap_words: bool = True
) -> Layout:
    """The layout of the mirrored picture.

    swap_words: let a horizontal flip also swap "left" and "right" in the caption and all texts of
        regions, their negatives among them.
    """
    flipped = tuple(_flipped(region, horizontal, vertical) for region in layout.regions)
    layout = replace(layout, regions=flipped)
    if not (horizontal and swap_words):
        return layout
    swapped = tuple(map(_swapped, layout.regions))
    return replace(layout, caption=swap_left_right(layout.caption), regions=swapped)


def swap_left_right(text: str) -> str:
    """Swap left and right, Left and Right, LEFT and RIGHT, and so leftmost, leftward(s), lefthand
    and lefthanded; never other parts of words.

    A "right" that is no side ("right behind") is swapped too.
    """
    return _SIDE_WORD.sub(lambda match: _SIDES.get(match.group(), match.group()), text)


def _named(layout: Layout, order: Sequence[int] | str) -> tuple[int, ...]:
    """The numbers, from 1, of an order in which each names another region of the layout."""
    numbers = region_numbers(order) if isinstance(order, str) else tuple(order)
    count = len(layout.regions)
    seen: set[int] = set()
    for number in numbers:
        if not 1 <= number <= count:
            raise ValueError(
                f"there is no region {quote(number)}: the layout has {count}, counted from 1"
            )
        if number in seen:
            raise ValueError(f"region {number} is named twice in {quote(order)}: name it once")
        seen.add(number)
    return numbers


def _positive(factor: float) -> float:
    if finite("factor", factor) <= 0:
        raise ValueError(f"factor = {quote(factor)} must be greater than 0; 1 changes nothing")
    return factor


def _flipped(region: Region, horizontal: bool, vertical: bool) -> Region:
    box = region.box
    x0, x1 = (1 - box.x1, 1 - box.x0) if horizontal else (box.x0, box.x1)
    y0, y1 = (1 - box.y1, 1 - box.y0) if vertical else (box.y0, box.y1)
    mask = region.mask and region.mask.flipped(horizontal, vertical)
    return replace(region, box=Box(x0, y0, x1, y1), mask=mask)


def _swapped(region: Region) -> Region:
    control = replace(region.control, negative=swap_left_right(region.control.negative))
    return replace(region, text=swap_left_right(region.text), control=control)


def _scaled(index: int, region: Region, factor: float) -> Region:
    box = region.box
    x0, x1, left, right = cut_side(*_scaled_side(box.x0, box.x1, factor))
    y0, y1, top, bottom = cut_side(*_scaled_side(box.y0, box.y1, factor))
    mask = region.mask and region.mask.cut(left, top, right, bottom)
    if region.mask and not mask:
        raise ValueError(
            f"nothing of the mask of region {index + 1} ({quote(region.text)}) stays in the "
            f"picture when its box is scaled by {factor:g}: use a smaller factor"
        )
    return replace(region, box=Box(x0, y0, x1, y1), mask=mask)


def _scaled_side(low: float, high: float, factor: float) -> tuple[float, float]:
    centre, half = (low + high) / 2, (high - low) / 2 * factor
    return centre - half, centre + half
