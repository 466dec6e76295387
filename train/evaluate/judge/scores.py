"""Scores of the regions and captions of pictures of everyday things, by the judge.

A region is right when the judge names its thing inside its box, something that is found meets the
box with an IoU of at least 0.5, and has the colour that the region's text names, if it names one.
Things are found by sliding the judge over the picture, and on plain grounds by their difference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reco_core.layout import Layout, Region
from train.data.cutouts.grounds import Ground
from train.data.cutouts.scenes import Scene, ThingDrawn
from train.data.shape_boxes import PixelBox
from train.evaluate.judge.difference import box_of_pieces, pieces_of
from train.evaluate.judge.finder import (
    boxes_of_thing,
    colour_of,
    find_things,
    look_over,
    names_in,
)
from train.evaluate.judge.network import Judge
from train.evaluate.judge.windows import overlaps

MIN_IOU = 0.5


@dataclass(frozen=True)
class ThingScore:
    """What was found for one region.

    thing, colour: what is asked for; no colour where the text names none. named: what the judge
    names in the asked box, or nothing. found, iou: the box (pixels) that meets the asked one best,
    of anything that was found. found_colour: of what is there, where one is asked for.
    """

    thing: str
    colour: str
    asked: PixelBox
    named: str
    found: tuple[float, ...] | None
    iou: float
    found_colour: str = ""

    @property
    def is_met(self) -> bool:
        return self.iou >= MIN_IOU

    @property
    def right(self) -> bool:
        is_coloured = not self.colour or self.found_colour == self.colour
        return self.named == self.thing and self.is_met and is_coloured

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "right": self.right}


def score_regions(
    judge: Judge, image: Image.Image, scene: Scene, regions: Sequence[Region]
) -> list[ThingScore]:
    """Score the regions of a scene, in its things' order, in a picture (RGB) of its size."""
    looks = look_over(judge, image)
    things = [thing.box for thing in find_things(looks)]
    pieces = pieces_of(image) if scene.ground.is_plain else None
    named = names_in(judge, image, [thing.pixels for thing in scene.things])
    scores = []
    for thing, region, name in zip(scene.things, regions, named, strict=True):
        found = [*things, *map(tuple, boxes_of_thing(looks, thing.name).tolist())]
        if pieces is not None and (differs := box_of_pieces(pieces, thing.pixels)):
            found.append(differs)
        box, iou = _best(found, thing.pixels)
        colour = named_colour(region.text, thing.tint)
        seen = colour_of(image, thing, box) if colour and box else ""
        scores.append(ThingScore(thing.name, colour, thing.pixels, name, box, iou, seen))
    return scores


def score_layout(
    judge: Judge, image: Image.Image, layout: Layout, ground: Ground
) -> list[ThingScore]:
    """Score the regions of a layout in a picture (RGB) of its size; each text ends with a name that
    the judge knows, and colours are not looked at."""
    things = tuple(
        ThingDrawn(
            name=max((name for name in judge.names if region.text.endswith(name)), key=len),
            file=Path(),
            colour="",
            tint="",
            pixels=region.box.covered_pixels(layout.width, layout.height),
            flipped=False,
        )
        for region in layout.regions
    )
    return score_regions(judge, image, Scene(ground, things, image.size), layout.regions)


def _best(
    found: Sequence[tuple[float, ...]], asked: PixelBox
) -> tuple[tuple[float, ...] | None, float]:
    """The box that meets the asked one best, and its IoU; None where none touches it."""
    boxes = np.array(found, np.float32).reshape(-1, 4)
    iou = overlaps(np.array([asked], np.float32), boxes)[0]
    most = float(iou.max(initial=0))
    return (found[iou.argmax()] if most else None), most


def named_colour(text: str, tint: str) -> str:
    """The tint, where a region's text names it."""
    return tint if tint and re.search(rf"\b{tint}\b", text) else ""


def things_there(judge: Judge, image: Image.Image, scene: Scene) -> dict[str, bool]:
    """Which things of a scene are found in a picture, wherever they are, by name."""
    found = {thing.name for thing in find_things(look_over(judge, image))}
    return {thing.name: thing.name in found for thing in scene.things}
