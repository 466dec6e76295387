"""Where the cutouts of a picture are, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from train.data.cutouts.grounds import Ground, paint_ground
from train.data.cutouts.things import cutout
from train.data.shape_boxes import GAP, PixelBox

TRIES = 12
"""Places tried for a box before all of them are drawn again, smaller."""
SHRINK = 0.93
ATTEMPTS = 100
SMALLEST = 8
"""Pixels of a box's side, at least."""

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class ThingDrawn:
    """A cutout in its box, `pixels`; tint: the colour it is turned to, or none."""

    name: str
    file: Path
    colour: str
    tint: str
    pixels: PixelBox
    flipped: bool


@dataclass(frozen=True)
class Scene:
    """A ground with things on it, later ones in front."""

    ground: Ground
    things: tuple[ThingDrawn, ...]
    size: Size


def render(scene: Scene) -> Image.Image:
    """The picture, RGB. Raises ValueError when a cutout is not there any more."""
    image = paint_ground(scene.ground, scene.size)
    for thing in scene.things:
        x0, y0, x1, y1 = thing.pixels
        cut = cutout(thing.file, thing.colour, thing.tint)
        cut = cut.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC)
        cut = ImageOps.mirror(cut) if thing.flipped else cut
        image.paste(cut, (x0, y0), cut)
    return image


def boxes_of(scene: Scene) -> list[tuple[float, float, float, float]]:
    """The boxes of a scene's things: xyxy, fractions of the picture."""
    width, height = scene.size
    return [
        (x0 / width, y0 / height, x1 / width, y1 / height)
        for x0, y0, x1, y1 in (thing.pixels for thing in scene.things)
    ]


def enlarged(scene: Scene, size: Size) -> Scene:
    """The same scene at another size; its boxes are rounded to pixels."""
    across, down = size[0] / scene.size[0], size[1] / scene.size[1]
    things = []
    for thing in scene.things:
        x0, y0, x1, y1 = thing.pixels
        box = round(x0 * across), round(y0 * down), round(x1 * across), round(y1 * down)
        things.append(replace(thing, pixels=box))
    return replace(scene, things=tuple(things), size=size)


def draw_boxes(
    rng: np.random.Generator,
    shapes: Sequence[Size],
    size: Size,
    sides: tuple[float, float],
    stretch: float = 1.0,
    overlap: float = 0.0,
) -> list[PixelBox]:
    """Boxes inside a picture for things of these widths and heights.

    sides: shortest and longest of a box's longer side, over the root of the picture's area; where
        there is no room, all are drawn again, each time a little smaller.
    stretch: largest factor by which a box's aspect differs from its thing's.
    overlap: share of the smaller of two boxes that both may cover; 0 leaves a gap between them.
    """
    for scale in SHRINK ** np.arange(ATTEMPTS):
        boxes: list[PixelBox] = []
        for shape in shapes:
            side = float(scale) * rng.uniform(*sides) * float(np.sqrt(size[0] * size[1]))
            aspect = shape[0] / shape[1] * stretch ** rng.uniform(-1, 1)
            box = _place(rng, _fitted(side, aspect, size), size, boxes, overlap)
            if box is None:
                break
            boxes.append(box)
        else:
            return boxes
    raise ValueError(
        f"{len(shapes)} things find no room in a picture of {size[0]} x {size[1]} pixels: ask for "
        "fewer, for larger pictures, or for more overlap"
    )


def _fitted(side: float, aspect: float, size: Size) -> Size:
    """Pixels of a box whose longer side is `side`, made smaller where the picture is."""
    width, height = side * min(1.0, aspect), side * min(1.0, 1 / aspect)
    scale = min(1.0, size[0] / width, size[1] / height)
    return (
        min(max(SMALLEST, round(width * scale)), size[0]),
        min(max(SMALLEST, round(height * scale)), size[1]),
    )


def _place(
    rng: np.random.Generator, extent: Size, size: Size, others: Sequence[PixelBox], overlap: float
) -> PixelBox | None:
    """A box that is not too much over others; None when none of TRIES places was free."""
    rooms = size[0] - extent[0] + 1, size[1] - extent[1] + 1
    for left, top in rng.integers(0, rooms, size=(TRIES, 2)).tolist():
        box = left, top, left + extent[0], top + extent[1]
        if all(_may_be_together(box, other, overlap) for other in others):
            return box
    return None


def _may_be_together(a: PixelBox, b: PixelBox, overlap: float) -> bool:
    gap = 0 if overlap else GAP
    width = min(a[2], b[2]) - max(a[0], b[0]) + gap
    height = min(a[3], b[3]) - max(a[1], b[1]) + gap
    if width <= 0 or height <= 0:
        return True
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return bool(overlap) and width * height <= overlap * smaller
