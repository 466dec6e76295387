"""Finds the things in a ShapeSkills picture from its pixels, and scores regions by them.

A region is right when the pixels nearest its colour form a connected shape whose box has an
intersection over union of at least 0.5 with the asked box, and whose silhouette is nearer the
asked shape than any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from reco_core.layout import Box
from reco_core.score import box_iou
from train.data.shape_boxes import PixelBox
from train.data.shape_looks import LOOKS, LookName
from train.data.shapeskills import COLOURS, GROUNDS, SHAPES, Scene, Thing, silhouette_mask

MIN_IOU = 0.5
MIN_SHARE = 0.002
"""Shapes smaller than this share of the picture are specks."""
MIN_SIDE = 3
"""Pixels; anything thinner has no shape."""
MIN_FILL = 0.35
"""Shapes that fill less of their box are the seams between a thing and the ground, whose mixed
colours can be nearest to a third. The emptiest shape, a triangle, fills half."""

WORDS = (*COLOURS, *GROUNDS)
"""Of all colours, in the order of every look's palette."""


@dataclass(frozen=True)
class FoundThing:
    """A connected patch of one colour."""

    colour: str
    shape: str
    box: PixelBox
    area: int


@dataclass(frozen=True)
class ShapeScore:
    """What was found for one region.

    found: the box of the shape, or None.
    leakage: pixels of the region's colour outside of all boxes asked in that colour, over the
        area of its own box.
    """

    colour: str
    shape: str
    asked: PixelBox
    found: PixelBox | None
    found_shape: str | None
    iou: float
    leakage: float = 0.0

    @property
    def right(self) -> bool:
        return self.iou >= MIN_IOU and self.found_shape == self.shape

    def to_dict(self) -> dict:
        return {**asdict(self), "right": self.right}


def score_scene(
    image: Image.Image, scene: Scene, looks: Sequence[LookName] = ()
) -> list[ShapeScore]:
    """Score every thing of a scene in a picture of the scene's size.

    looks: in which it may be painted; empty is the scene's own.
    """
    nearest = nearest_colours(image, looks or (scene.look,))
    found = find_patches(nearest)
    return [_score(found, thing, _leakage(nearest, thing, scene)) for thing in scene.things]


def region_accuracy(scenes: Sequence[Sequence[ShapeScore]]) -> float:
    """Share of regions that are right, over all pictures."""
    right = [score.right for scene in scenes for score in scene]
    return sum(right) / len(right)


def find_things(image: Image.Image, looks: Sequence[LookName] = ("plain",)) -> list[FoundThing]:
    """The things in a picture, largest first; seams between colours are left out."""
    found = find_patches(nearest_colours(image, looks))
    things = [x for x in found if x.area >= MIN_FILL * box_area(x.box)]
    return sorted(things, key=lambda thing: -thing.area)


def find_patches(nearest: np.ndarray) -> list[FoundThing]:
    """Every connected patch of a colour that is no ground; nearest: as of nearest_colours."""
    patches = []
    for index, colour in enumerate(WORDS):
        if colour in GROUNDS:
            continue
        components, _ = ndimage.label(nearest == index)
        for number, (rows, columns) in enumerate(ndimage.find_objects(components), start=1):
            silhouette = components[rows, columns] == number
            is_speck = silhouette.sum() < MIN_SHARE * nearest.size
            if not is_speck and min(silhouette.shape) >= MIN_SIDE:
                box = (columns.start, rows.start, columns.stop, rows.stop)
                shape = nearest_shape(silhouette)
                patches.append(FoundThing(colour, shape, box, int(silhouette.sum())))
    return patches


def nearest_colours(image: Image.Image, looks: Sequence[LookName] = ("plain",)) -> np.ndarray:
    """(H, W) place in WORDS of the nearest colour (Euclidean, RGB) of any look, for every pixel."""
    distances = np.stack([_distances(image, look) for look in looks])
    return distances.min(axis=0).argmin(axis=-1)


def distance_to_look(image: Image.Image, look: LookName) -> float:
    """Mean distance of pixels to the nearest colour of a look (Euclidean, RGB of 0 to 255)."""
    return float(np.sqrt(_distances(image, look).min(axis=-1)).mean())


def _distances(image: Image.Image, look: LookName) -> np.ndarray:
    """(H, W, words) squared, of every pixel to every colour."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.int32)
    palette = np.array([color for _, color in LOOKS[look].palette()], dtype=np.int32)
    return np.square(pixels[:, :, None] - palette).sum(axis=-1)


def pixel_iou(a: PixelBox, b: PixelBox) -> float:
    """Intersection over union of two boxes in pixels."""
    side = max(*a, *b)
    one, other = (Box(*(corner / side for corner in box)) for box in (a, b))
    return box_iou(one, other)


def box_area(box: PixelBox) -> int:
    """In pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def nearest_shape(silhouette: np.ndarray) -> str:
    """The shape whose silhouette, in the same box, has the largest overlap; (h, w) bool."""
    height, width = silhouette.shape

    def overlap(shape: str) -> float:
        mask = np.asarray(silhouette_mask(shape, width, height))
        return (mask & silhouette).sum() / (mask | silhouette).sum()

    return max(SHAPES, key=overlap)


def _score(found: Sequence[FoundThing], thing: Thing, leakage: float) -> ShapeScore:
    iou, _, best = max(
        (
            (pixel_iou(x.box, thing.pixels), -i, x)
            for i, x in enumerate(found)
            if x.colour == thing.colour
        ),
        default=(0.0, 0, None),
    )
    box, shape = (best.box, best.shape) if best and iou else (None, None)
    return ShapeScore(thing.colour, thing.shape, thing.pixels, box, shape, iou, leakage)


def _leakage(nearest: np.ndarray, thing: Thing, scene: Scene) -> float:
    outside = nearest == WORDS.index(thing.colour)
    for other in scene.things:
        if other.colour == thing.colour:
            x0, y0, x1, y1 = other.pixels
            outside[y0:y1, x0:x1] = False
    return float(outside.sum() / box_area(thing.pixels))
