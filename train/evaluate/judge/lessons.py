"""What the judge learns from: windows of pictures of cutouts, drawn by seed.

They are softened and noised as an autoencoder leaves them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from train.data.cutouts.cutouts_set import CutoutsSet
from train.data.cutouts.scenes import render
from train.evaluate.judge.windows import cut_windows, fractions_of, overlaps, windows_of

NEAR = 4
"""Windows of each thing."""
ANYWHERE = 4
"""Windows of each picture, at any place."""
SEEN, UNSEEN = 0.45, 0.35
"""A window whose box has this IoU with a thing's shows it; below the other it shows none; what lies
between is not learned from."""
SHIFT = 0.22
"""Largest shift of a window, over its thing's side."""
SCALE = 1.45
"""Largest factor between the sides of a window and of its thing."""
SOFT = 2.6
"""Largest factor by which a picture is made smaller and back."""
NOISE = 8.0
"""Largest deviation of noise, of 255: on pixels, and on cells of CELL pixels."""
CELL = 6


@dataclass(frozen=True)
class Lesson:
    """windows: (N, SIDE, SIDE, 3) uint8. classes: (N,), numbers of things, or how many there are
    where no thing is shown. boxes: (N, 4) of the things, fractions of their windows."""

    windows: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray


def lesson(pictures: CutoutsSet, index: int) -> Lesson:
    """The windows of a picture: a pure function of the set and the number."""
    rng = np.random.default_rng([pictures.options.seed, index])
    scene, *_ = pictures.draw(index)
    numbers = {thing.name: number for number, thing in enumerate(pictures.things)}
    classes = np.array([numbers[thing.name] for thing in scene.things])
    boxes = np.array([thing.pixels for thing in scene.things], np.float32)
    drawn = [_near(rng, np.repeat(boxes, NEAR, 0)), _anywhere(rng, scene.size)]
    asked = np.concatenate(drawn)
    iou = overlaps(asked, boxes)
    best, most = iou.argmax(1), iou.max(1)
    kept = (most >= SEEN) | (most < UNSEEN)
    windows = windows_of(asked[kept], scene.size)
    shown = np.where(most >= SEEN, classes[best], len(numbers))[kept]
    image = worsen(render(scene), rng)
    return Lesson(cut_windows(image, windows), shown, fractions_of(windows, boxes[best[kept]]))


def worsen(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A picture softer, noisier and mottled, each by chance."""
    size = image.size
    factor = SOFT ** max(0.0, rng.uniform(-0.4, 1))
    if factor > 1:
        small = tuple(max(8, round(side / factor)) for side in size)
        image = image.resize(small, Image.Resampling.BILINEAR)
        image = image.resize(size, Image.Resampling.BICUBIC)
    pixels = np.array(image, float)
    pixels += rng.normal(0, max(0.0, rng.uniform(-NOISE, NOISE)), pixels.shape)
    rows, columns = (-(-side // CELL) for side in pixels.shape[:2])
    mottle = rng.normal(0, max(0.0, rng.uniform(-NOISE, NOISE)), (rows, columns, 3))
    pixels += mottle.repeat(CELL, 0).repeat(CELL, 1)[: size[1], : size[0]]
    pixels = (pixels - 128) * rng.uniform(0.85, 1.15) + 128 + rng.uniform(-12, 12)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _near(rng: np.random.Generator, boxes: np.ndarray) -> np.ndarray:
    """Boxes moved and scaled by chance; the worst of them show their thing in part."""
    middle, side = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    middle = middle + side * rng.uniform(-SHIFT, SHIFT, middle.shape)
    side = (
        side * SCALE ** rng.uniform(-1, 1, (len(side), 1)) * 1.2 ** rng.uniform(-1, 1, side.shape)
    )
    return np.concatenate([middle - side / 2, middle + side / 2], 1).astype(np.float32)


def _anywhere(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Boxes of any place and size, inside the picture."""
    root = float(np.sqrt(size[0] * size[1]))
    side = root * rng.uniform(0.15, 0.9, (ANYWHERE, 1)) * 1.5 ** rng.uniform(-1, 1, (ANYWHERE, 2))
    side = np.minimum(side, size)
    corner = rng.uniform(0, 1, (ANYWHERE, 2)) * (np.array(size) - side)
    return np.concatenate([corner, corner + side], 1).astype(np.float32)
