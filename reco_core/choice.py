"""Choose a region of a layout as people name it: by its number, or by its text."""

from __future__ import annotations

import re
from dataclasses import replace

from .checks import quote
from .control import Control
from .layout import Layout

_LISTED = 20  # regions that a message lists
_NUMBER = re.compile("[0-9]{1,9}")


def chosen_region(layout: Layout, choice: str) -> int:
    """The index, from 0, of the region that a person chose.

    choice: its number, from 1, as drawn layouts show it; or its text, or a part of that which no
        other region's text has. Case and white space do not count, and a number is never a text.

    Raises:
        ValueError: no region is meant, or several; the message lists them.
    """
    if not layout.regions:
        raise ValueError("the layout has no regions to choose from: add a region to it")
    words = _plain(choice)
    if not words:
        raise ValueError(f"no region is chosen: write its number or its text, of {_all(layout)}")
    if _NUMBER.fullmatch(words):
        found = [int(words) - 1] if 1 <= int(words) <= len(layout.regions) else []
    else:
        texts = [_plain(region.text) for region in layout.regions]
        whole = [index for index, text in enumerate(texts) if text == words]
        found = whole or [index for index, text in enumerate(texts) if words in text]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"{quote(choice)} names {len(found)} regions, {_listed(layout, found)}: write more of "
            "the text, or the number"
        )
    name = words if _NUMBER.fullmatch(words) else quote(choice)
    raise ValueError(
        f"there is no region {name}: the layout has {_all(layout)}; write one's number or text"
    )


def choose_region(layout: Layout, choice: str) -> Layout:
    """The layout with that region alone. choice and errors: as for `chosen_region`."""
    return replace(layout, regions=(layout.regions[chosen_region(layout, choice)],))


def with_control(layout: Layout, choice: str, control: Control) -> Layout:
    """The layout with the control of a region, or of all; errors: as for `chosen_region`."""
    chosen = range(len(layout.regions)) if means_all(choice) else [chosen_region(layout, choice)]
    regions = list(layout.regions)
    for index in chosen:
        regions[index] = replace(regions[index], control=control)
    return replace(layout, regions=tuple(regions))


def means_all(choice: str) -> bool:
    """Whether a choice, where all regions may be chosen, is that of all: empty, or 0."""
    return choice.strip() in ("", "0")


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _all(layout: Layout) -> str:
    count = len(layout.regions)
    return f"{count}, {_listed(layout, list(range(count)))}"


def _listed(layout: Layout, indices: list[int]) -> str:
    named = [f"{index + 1} {quote(layout.regions[index].text, 40)}" for index in indices[:_LISTED]]
    more = len(indices) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
