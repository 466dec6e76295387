"""Flips and crops that move boxes with pixels, and the draws of what a step gets to see.

Geometry is decided before a picture is decoded, as a View; pixels and boxes follow it apart.
Every draw takes the generator to draw from. Nothing that is passed in changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from reco_core.arrange import swap_left_right
from reco_core.layout import Box, Region

DROPOUTS = ("text_dropout", "caption_dropout", "region_dropout", "layout_dropout")
"""Options of drop_words, shares in [0, 1]."""
Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class View:
    """The part of a picture that is seen: mirrored or not, then resized, then cropped.

    resized: size of the whole picture; corner: left and top of the crop in it; size: of the crop.
    """

    flipped: bool
    resized: Size
    corner: tuple[int, int]
    size: Size

    def apply(self, image: Image.Image) -> Image.Image:
        """The view of a picture, `size` large, bicubic. What the crop leaves out is not resized."""
        scale_x, scale_y = image.width / self.resized[0], image.height / self.resized[1]
        (left, top), (width, height) = self.corner, self.size
        if self.flipped:
            left = self.resized[0] - left - width
        part = (
            left * scale_x,
            top * scale_y,
            min((left + width) * scale_x, image.width),
            min((top + height) * scale_y, image.height),
        )
        seen = image.resize(self.size, Image.Resampling.BICUBIC, box=part)
        return seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.flipped else seen

    def box(self, box: Box) -> Box | None:
        """A box of the picture as a box of the view, cut at its edges; None when no area is left.

        Both are xyxy fractions, the one of the picture, the other of the view.
        """
        x0, x1 = self._mirrored(box)
        left, right = self._place(0, x0), self._place(0, x1)
        top, bottom = self._place(1, box.y0), self._place(1, box.y1)
        return Box(left, top, right, bottom) if left < right and top < bottom else None

    def visible_share(self, box: Box) -> float:
        """How much of a box's area is inside the view, in [0, 1]; 0 for a box without area."""
        width = self._visible_side(0, *self._mirrored(box))
        return width * self._visible_side(1, box.y0, box.y1)

    def _mirrored(self, box: Box) -> tuple[float, float]:
        return (1 - box.x1, 1 - box.x0) if self.flipped else (box.x0, box.x1)

    def _place(self, axis: int, value: float) -> float:
        """A fraction of the picture's side as a fraction of the view's, in [0, 1]."""
        inside = (value * self.resized[axis] - self.corner[axis]) / self.size[axis]
        return min(max(inside, 0.0), 1.0)

    def _visible_side(self, axis: int, low: float, high: float) -> float:
        """The share of a side that is seen; exactly 1 for one that is not cut."""
        start = self.corner[axis] / self.resized[axis]
        stop = (self.corner[axis] + self.size[axis]) / self.resized[axis]
        seen = min(high, stop) - max(low, start)
        return max(seen, 0.0) / (high - low) if low < high else 0.0


def draw_view(
    rng: np.random.Generator,
    width: int,
    height: int,
    target: Size,
    crop: Literal["random", "centre"] = "random",
    flip_share: float = 0.5,
) -> View:
    """Draw a view of a width x height picture: as much of it as a picture of target's size shows.

    For a square target this is the released code's short side to size and crop. Draws a mirroring
    with probability flip_share, and for a random crop its corner, even over whole pixels.

    Raises:
        ValueError: a side is not above 0, or crop is neither of the two.
    """
    if min(width, height, *target) < 1:
        raise ValueError(
            f"cannot show a picture of {width} x {height} at {target[0]} x {target[1]} pixels: "
            "every side must be at least 1"
        )
    flipped = bool(rng.random() < flip_share)
    scale = max(target[0] / width, target[1] / height)
    resized = max(target[0], round(width * scale)), max(target[1], round(height * scale))
    room = resized[0] - target[0], resized[1] - target[1]
    if crop == "random":
        left, top = (int(rng.integers(0, side, endpoint=True)) for side in room)
    elif crop == "centre":
        left, top = room[0] // 2, room[1] // 2
    else:
        raise ValueError(f'crop = {crop!r} is not known: use "random" or "centre"')
    return View(flipped, resized, (left, top), target)


def view_sample(
    caption: str, regions: Sequence[Region], view: View, min_visible: float = 0.0
) -> tuple[str, tuple[Region, ...]]:
    """Caption and regions of a view: boxes moved, and mirrored pictures described mirrored.

    Left and right swap as whole words in caption and region texts (the released code forgets the
    texts and swaps inside words). A region is left out when its box has no area in the view, or
    less than the share min_visible of its own.
    """
    swap = swap_left_right if view.flipped else str
    moved: list[Region] = []
    for region in regions:
        box = view.box(region.box)
        if box is not None and view.visible_share(region.box) >= min_visible:
            moved.append(replace(region, text=swap(region.text), box=box))
    return swap(caption), tuple(moved)


def draw_regions(
    rng: np.random.Generator, regions: Sequence[Region], limit: int
) -> tuple[Region, ...]:
    """At most `limit` regions, drawn without replacement by the square root of their area.

    They come in the order drawn, also when all of them stay, as in the released code: large ones
    tend to be first, so that what is cut at the sequence's end is small, and the model does not
    learn an annotator's order. Boxes without area come last. `largest_regions` draws nothing.
    """
    weights = np.sqrt([region.box.area for region in regions])
    # Waiting times with these rates end in the order of one weighted draw after another.
    times = np.full(len(regions), np.inf)
    np.divide(rng.exponential(size=len(regions)), weights, out=times, where=weights > 0)
    return tuple(regions[i] for i in np.argsort(times, kind="stable")[:limit])


def largest_regions(regions: Sequence[Region], limit: int) -> tuple[Region, ...]:
    """The `limit` regions with the largest area in their stored order, without chance."""
    by_area = sorted(range(len(regions)), key=lambda i: -regions[i].box.area)
    return tuple(regions[i] for i in sorted(by_area[:limit]))


def drop_words(
    rng: np.random.Generator,
    caption: str,
    regions: Sequence[Region],
    text_dropout: float = 0.0,
    caption_dropout: float = 0.0,
    region_dropout: float = 0.0,
    layout_dropout: float = 0.0,
) -> tuple[str, tuple[Region, ...]]:
    """Leave out words at random, each share in [0, 1]; all 0, as in the paper, change nothing.

    text_dropout: no caption and no regions, the unconditional text of guidance.
    caption_dropout: no caption, regions kept. region_dropout: for each region apart.
    layout_dropout: no regions, caption kept; never together with caption_dropout.
    """
    no_text, no_caption, *no_region = rng.random(2 + len(regions))
    if no_text < text_dropout:
        return "", ()
    if no_caption >= 1 - layout_dropout:
        return caption, ()
    kept = tuple(r for r, draw in zip(regions, no_region, strict=True) if draw >= region_dropout)
    return ("" if no_caption < caption_dropout else caption), kept
