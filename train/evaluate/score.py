"""Scores ShapeSkills pictures from their pixels.

A region is right when the pixels nearest its colour form a connected shape whose box has an
intersection over union of at least 0.5 with the asked box, and whose silhouette is nearer the
asked shape than any other.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from train.data.shapeskills import COLOURS, GROUNDS, SHAPES, PixelBox, Scene, Thing, silhouette_mask

MIN_IOU = 0.5
MIN_SHARE = 0.002
"""Shapes smaller than this share of the picture are specks."""

PALETTE = {**COLOURS, **GROUNDS}


@dataclass(frozen=True)
class RegionScore:
    """What was found for one region; `found` is the shape's box in pixels (xyxy), or None."""

    colour: str
    shape: str
    asked: PixelBox
    found: PixelBox | None
    found_shape: str | None
    iou: float

    @property
    def right(self) -> bool:
        return self.iou >= MIN_IOU and self.found_shape == self.shape

    def to_dict(self) -> dict:
        return {**asdict(self), "right": self.right}


def score_scene(image: Image.Image, scene: Scene) -> list[RegionScore]:
    """Score every thing of a scene in a picture of the scene's size."""
    nearest = nearest_colours(image)
    return [_score(nearest, thing) for thing in scene.things]


def nearest_colours(image: Image.Image) -> np.ndarray:
    """(H, W) index of the palette's nearest colour (Euclidean, RGB) for every pixel."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.int32)
    palette = np.array(list(PALETTE.values()), dtype=np.int32)
    return np.square(pixels[:, :, None] - palette).sum(axis=-1).argmin(axis=-1)


def box_iou(a: PixelBox, b: PixelBox) -> float:
    """Intersection over union of two boxes (xyxy)."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    union = _area(a) + _area(b) - width * height
    return width * height / union if union else 0.0


def nearest_shape(silhouette: np.ndarray) -> str:
    """The shape whose silhouette, in the same box, has the largest overlap; (h, w) bool."""
    height, width = silhouette.shape

    def overlap(shape: str) -> float:
        mask = np.asarray(silhouette_mask(shape, width, height))
        return (mask & silhouette).sum() / (mask | silhouette).sum()

    return max(SHAPES, key=overlap)


def _score(nearest: np.ndarray, thing: Thing) -> RegionScore:
    components, _ = ndimage.label(nearest == list(PALETTE).index(thing.colour))
    best_iou, best_box, best_shape = 0.0, None, None
    for number, (rows, columns) in enumerate(ndimage.find_objects(components), start=1):
        silhouette = components[rows, columns] == number
        box = (columns.start, rows.start, columns.stop, rows.stop)
        if (
            silhouette.sum() >= MIN_SHARE * nearest.size
            and (iou := box_iou(box, thing.pixels)) > best_iou
        ):
            best_iou, best_box, best_shape = iou, box, nearest_shape(silhouette)
    return RegionScore(thing.colour, thing.shape, thing.pixels, best_box, best_shape, best_iou)


def _area(box: PixelBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
