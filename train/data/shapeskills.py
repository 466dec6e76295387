"""ShapeSkills: coloured shapes on plain grounds, with caption, boxes and region texts.

A synthetic set in the spirit of PaintSkills (object, count, colour, spatial), whose truth can be
computed from pixels. A sample is a pure function of (seed, split, index), so nothing is stored.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from reco_core import Box, Layout, Region

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (40, 80, 220),
    "yellow": (240, 210, 40),
    "purple": (160, 50, 190),
    "cyan": (40, 200, 210),
}
GROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (245, 245, 245),
    "gray": (128, 128, 128),
    "black": (20, 20, 20),
}
SHAPES = ("circle", "square", "triangle", "cross")
HELD_OUT = frozenset({("yellow", "triangle"), ("blue", "cross")})
"""Colour-shape pairs that never occur in training."""

COUNT_WORDS = {1: "a", 2: "two", 3: "three", 4: "four"}
MIN_SIDE, MAX_SIDE = 0.15, 0.60
"""Sides of a box as fractions of the image."""

GAP = 2
"""Pixels of ground between two boxes, so that equal colours never touch."""

SUPERSAMPLING = 4


class Split(IntEnum):
    """Streams of samples that never share a random state."""

    TRAIN = 0
    TEST = 1
    HELD_OUT = 2

    @classmethod
    def named(cls, name: str) -> Split:
        """train, test or held_out. Raises ValueError for another name."""
        try:
            return cls[name.upper()]
        except KeyError:
            names = ", ".join(split.name.lower() for split in cls)
            raise ValueError(f"split = {name!r} of ShapeSkills: choose from {names}") from None


@dataclass(frozen=True)
class Thing:
    """One coloured shape; `pixels` is its box: xyxy, integer pixel corners."""

    colour: str
    shape: str
    pixels: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """A ground with one to four things on it, `size` pixels square."""

    ground: str
    things: tuple[Thing, ...]
    size: int


@dataclass(frozen=True)
class Sample:
    """A scene and the words that describe it."""

    scene: Scene
    layout: Layout


def known_words() -> tuple[str, ...]:
    """Every word that occurs in captions and region texts, sorted."""
    plurals = {_plural(shape) for shape in SHAPES}
    glue = {"and", "on", "ground", *COUNT_WORDS.values()}
    return tuple(sorted({*COLOURS, *GROUNDS, *SHAPES, *plurals, *glue}))


@lru_cache(maxsize=100_000)
def sample(
    index: int,
    seed: int = 0,
    split: Split = Split.TRAIN,
    size: int = 128,
    counts: tuple[int, ...] = (1, 2, 3, 4),
) -> Sample:
    """Make sample `index` of a split, with a number of things drawn evenly from `counts`.

    In Split.HELD_OUT the first thing is one of the pairs that training never shows. Remembered,
    since boxes that do not touch take several draws.
    """
    rng = np.random.default_rng([seed, int(split), index])
    boxes = _disjoint_boxes(rng, int(rng.choice(counts)), size)
    things = tuple(
        Thing(*_pair(rng, held_out=split is Split.HELD_OUT and number == 0), box)
        for number, box in enumerate(boxes)
    )
    scene = Scene(str(rng.choice(list(GROUNDS))), things, size)
    return Sample(scene, _describe(rng, scene))


def render(scene: Scene) -> Image.Image:
    """Draw a scene with smooth edges, RGB, `scene.size` pixels square."""
    large = scene.size * SUPERSAMPLING
    image = Image.new("RGB", (large, large), GROUNDS[scene.ground])
    for thing in scene.things:
        silhouette = silhouette_mask(thing.shape, *_extent(thing.pixels, SUPERSAMPLING))
        corner = (thing.pixels[0] * SUPERSAMPLING, thing.pixels[1] * SUPERSAMPLING)
        image.paste(COLOURS[thing.colour], corner, silhouette)
    return image.resize((scene.size, scene.size), Image.Resampling.BOX)


def silhouette_mask(shape: str, width: int, height: int) -> Image.Image:
    """The silhouette of a shape filling a width x height box: mode "1"."""
    mask = Image.new("1", (width, height))
    draw = ImageDraw.Draw(mask)
    right, bottom = width - 1, height - 1
    if shape == "circle":
        draw.ellipse((0, 0, right, bottom), fill=1)
    elif shape == "square":
        draw.rectangle((0, 0, right, bottom), fill=1)
    elif shape == "triangle":
        draw.polygon([(right / 2, 0), (right, bottom), (0, bottom)], fill=1)
    elif shape == "cross":
        draw.rectangle((width / 3, 0, right - width / 3, bottom), fill=1)
        draw.rectangle((0, height / 3, right, bottom - height / 3), fill=1)
    else:
        raise ValueError(f"Unknown shape {shape!r}: choose one of {', '.join(SHAPES)}.")
    return mask


def _describe(rng: np.random.Generator, scene: Scene) -> Layout:
    regions = tuple(
        Region(
            text=f"{'a ' if rng.random() < 0.5 else ''}{thing.colour} {thing.shape}",
            box=Box(*(corner / scene.size for corner in thing.pixels)),
        )
        for thing in scene.things
    )
    counts = list(Counter((thing.colour, thing.shape) for thing in scene.things).items())
    phrases = [_phrase(*counts[i]) for i in rng.permutation(len(counts))]
    caption = f"{_enumerate(phrases)} on a {scene.ground} ground"
    return Layout(caption, regions, scene.size, scene.size)


def _phrase(pair: tuple[str, str], count: int) -> str:
    colour, shape = pair
    return f"{COUNT_WORDS[count]} {colour} {shape if count == 1 else _plural(shape)}"


def _plural(shape: str) -> str:
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _enumerate(phrases: list[str]) -> str:
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if phrases[1:] else phrases)


def _pair(rng: np.random.Generator, held_out: bool) -> tuple[str, str]:
    if held_out:
        return sorted(HELD_OUT)[rng.integers(len(HELD_OUT))]
    while (pair := (str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES)))) in HELD_OUT:
        pass
    return pair


def _disjoint_boxes(
    rng: np.random.Generator, count: int, size: int
) -> list[tuple[int, int, int, int]]:
    """Boxes with corners uniform over pixels; the whole set is drawn again when two overlap."""
    while True:
        boxes = [_box(rng, size) for _ in range(count)]
        if not any(_overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i]):
            return boxes


def _box(rng: np.random.Generator, size: int) -> tuple[int, int, int, int]:
    (x0, x1), (y0, y1) = _interval(rng, size), _interval(rng, size)
    return x0, y0, x1, y1


def _interval(rng: np.random.Generator, size: int) -> tuple[int, int]:
    while True:
        low, high = sorted(rng.integers(0, size, endpoint=True, size=2).tolist())
        if MIN_SIDE * size <= high - low <= MAX_SIDE * size:
            return low, high


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    """Whether two boxes come closer than GAP."""
    return a[0] < b[2] + GAP and b[0] < a[2] + GAP and a[1] < b[3] + GAP and b[1] < a[3] + GAP


def _extent(pixels: tuple[int, int, int, int], scale: int = 1) -> tuple[int, int]:
    return (pixels[2] - pixels[0]) * scale, (pixels[3] - pixels[1]) * scale
