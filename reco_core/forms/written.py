"""What a layout loses in a written form: found by reading the text again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..checks import quote
from ..layout import Layout, Region
from ..remarks import Reading, Remark


@dataclass(frozen=True)
class Written:
    """A layout as text, and what the text has no place for."""

    text: str
    remarks: tuple[Remark, ...] = ()


def losses(layout: Layout, again: Reading, keeps_size: bool) -> tuple[Remark, ...]:
    """What differs between a layout and what its text was read as.

    Raises ValueError when the text says something else: more regions, or fewer without a remark.
    """
    left_out = {
        remark.region: remark
        for remark in again.remarks
        if remark.kind == "left out" and remark.region is not None
    }
    kept = [item for item in enumerate(layout.regions) if item[0] not in left_out]
    if len(again.layout.regions) != len(kept):
        raise ValueError(
            f"this form cannot hold the layout: its {len(layout.regions)} regions would be read as "
            f"{len(again.layout.regions)}; take brackets and numbers out of its texts"
        )
    pairs = [(i, (a, b)) for (i, a), b in zip(kept, again.layout.regions, strict=True)]
    lost = [Remark("lost", remark.message, index) for index, remark in left_out.items()]
    return (*_losses(layout, again.layout, keeps_size), *_region_losses(pairs), *lost)


def _losses(layout: Layout, again: Layout, keeps_size: bool) -> Iterator[Remark]:
    if not keeps_size:
        size = f"{layout.width} x {layout.height}"
        yield Remark("lost", f"The picture's size has no place in this form: set {size} again.")
    if again.caption != layout.caption:
        yield Remark("lost", _changed("The caption", layout.caption, again.caption))


def _region_losses(pairs: Sequence[tuple[int, tuple[Region, Region]]]) -> Iterator[Remark]:
    for index, (before, after) in pairs:
        if after.text != before.text:
            subject = f"The text of region {index + 1}"
            yield Remark("lost", _changed(subject, before.text, after.text), index)
    for what, differs in _PROPERTIES.items():
        numbers = [str(index + 1) for index, pair in pairs if differs(*pair)]
        if numbers:
            yield Remark("lost", f"{what} no place in this form: region {', '.join(numbers)}.")
    moved = max((_distance(*pair) for _, pair in pairs), default=0.0)
    if moved:
        yield Remark(
            "lost", f"Boxes are rounded in this form, by up to {moved:.2g} of the picture's side."
        )


_PROPERTIES = {
    "Weights have": lambda before, after: before.weight != after.weight,
    "Colors have": lambda before, after: before.color != after.color,
    "Strength, start, end and negative have": lambda before, after: before.control != after.control,
    "Masks have": lambda before, after: before.mask != after.mask,
}


def _changed(subject: str, before: str, after: str) -> str:
    if not after:
        return f"{subject} has no place in this form: {quote(before)}."
    return f"{subject} is changed by this form: {quote(before)} becomes {quote(after)}."


def _distance(before: Region, after: Region) -> float:
    sides = ("x0", "y0", "x1", "y1")
    return max(abs(getattr(before.box, side) - getattr(after.box, side)) for side in sides)
