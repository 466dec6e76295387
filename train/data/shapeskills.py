"""ShapeSkills: coloured shapes on plain grounds, with caption, boxes and region texts.

A synthetic set in the spirit of PaintSkills (object, count, colour, spatial), whose truth can be
computed from pixels. A sample is a pure function of (seed, split, index) and of what is asked for,
so nothing is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import Annotated, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from PIL import Image, ImageDraw

from reco_core.layout import Box, Layout, Region
from train.data.shape_boxes import RELATIONS, SIDES, PixelBox, draw_boxes, relation
from train.data.shape_looks import LOOKS, PLAIN, LookName
from train.options import Range

COLOURS = tuple(PLAIN.colours)
GROUNDS = tuple(PLAIN.grounds)
SHAPES = ("circle", "square", "triangle", "cross")
HELD_OUT = frozenset({("yellow", "triangle"), ("blue", "cross")})
"""Colour-shape pairs that never occur in training."""

COUNT_WORDS = {1: "a", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
Things = Annotated[int, Range(1, max(COUNT_WORDS))]
"""Number of things in a picture."""
COUNTS = (1, 2, 3, 4)
"""Numbers of things in a picture, where nothing else is asked for."""

Skill = Literal["mixed", "object", "count", "colour", "spatial", "binding", "border"]
"""Kinds of scenes. mixed: any things; object, colour: one thing; count: equal things; spatial: two
different things, and the caption tells their relation; binding: two things of different colour and
shape; border: any things, each touching an edge of the picture."""
SKILLS: tuple[Skill, ...] = get_args(Skill)
MAX_COVER = 0.5
"""Share of the picture that the smallest boxes may cover; with more, drawing takes for ever."""

BoxSide = Annotated[float, Range(0, 1, above=True)]
"""As a fraction of the picture."""

SUPERSAMPLING = 4


class Split(IntEnum):
    """Streams of samples that never share a random state, whatever their seeds: a split's number is
    part of what each sample is drawn from."""

    TRAIN = 0
    TEST = 1
    HELD_OUT = 2
    VALIDATION = 3


SplitName = Literal["train", "validation", "test", "held_out"]


@dataclass(frozen=True)
class Thing:
    """One coloured shape; `pixels` is its box."""

    colour: str
    shape: str
    pixels: PixelBox


@dataclass(frozen=True)
class Scene:
    """A ground with things on it, `size` pixels square, in the colours of a look."""

    ground: str
    things: tuple[Thing, ...]
    size: int
    look: LookName = "plain"


@runtime_checkable
class KnowsScenes(Protocol):
    """A data set whose samples are scenes, so that pictures of its layouts can be scored."""

    def scene(self, index: int) -> Scene:
        """The truth of sample `index`."""


@dataclass(frozen=True)
class DescribedScene:
    """A scene and the words that describe it."""

    scene: Scene
    layout: Layout


def known_words(
    counts: Sequence[int] = COUNTS, skills: Sequence[str] = ("mixed",)
) -> tuple[str, ...]:
    """Every word that occurs in captions and region texts, sorted."""
    plurals = {_plural(shape) for shape in SHAPES}
    glue = {"a", "and", "on", "ground", *(COUNT_WORDS[count] for count in counts)}
    if "spatial" in skills:
        glue |= {word for relation in RELATIONS for word in relation.split()}
    return tuple(sorted({*COLOURS, *GROUNDS, *SHAPES, *plurals, *glue}))


def check_scenes(counts: Sequence[int], sides: tuple[float, float]) -> None:
    """Raise ValueError for scenes whose things find no room; says what to give."""
    low, high = sides
    if low >= high or max(counts) * low**2 > MAX_COVER:
        raise ValueError(
            f"sides = {list(sides)}: give the shortest and longest side of a box as fractions, "
            f"small enough for {max(counts)} boxes to find room"
        )


@lru_cache(maxsize=100_000)
def sample(
    index: int,
    seed: int = 0,
    split: Split = Split.TRAIN,
    size: int = 128,
    counts: tuple[int, ...] = COUNTS,
    skills: tuple[str, ...] = ("mixed",),
    sides: tuple[float, float] = SIDES,
    look: LookName = "plain",
) -> DescribedScene:
    """Make sample `index` of a split. Remembered, since boxes that do not touch take several draws.

    counts: numbers of things, drawn evenly, of mixed and count scenes.
    skills: kinds of scenes, in turn.
    sides: shortest and longest side of a box, as fractions of the picture.
    look: what colours the words stand for; scenes are the same in all.

    In Split.HELD_OUT the first thing is one of the pairs that training never shows.
    """
    skill = skills[index % len(skills)]
    own_stream = [] if skill == "mixed" else [SKILLS.index(skill)]
    rng = np.random.default_rng([seed, int(split), index, *own_stream])
    boxes = draw_boxes(rng, skill, counts, size, sides)
    pairs = _pairs(rng, skill, len(boxes), split)
    things = tuple(Thing(*pair, box) for pair, box in zip(pairs, boxes, strict=True))
    scene = Scene(str(rng.choice(GROUNDS)), things, size, look)
    return DescribedScene(scene, _describe(rng, scene, skill))


def swap_attributes(drawn: DescribedScene) -> DescribedScene:
    """The same two boxes and words with colours and shapes exchanged.

    Raises:
        ValueError: not two things.
    """
    if len(drawn.scene.things) != 2:
        raise ValueError(f"{len(drawn.scene.things)} things: only two can swap their attributes")
    one, two = drawn.scene.things
    things = replace(one, pixels=two.pixels), replace(two, pixels=one.pixels)
    first, second = drawn.layout.regions
    regions = replace(first, box=second.box), replace(second, box=first.box)
    scene = replace(drawn.scene, things=things)
    return DescribedScene(scene, replace(drawn.layout, regions=regions))


def render(scene: Scene) -> Image.Image:
    """Draw a scene with smooth edges, RGB, `scene.size` pixels square."""
    look = LOOKS[scene.look]
    large = scene.size * SUPERSAMPLING
    image = Image.new("RGB", (large, large), look.grounds[scene.ground])
    for thing in scene.things:
        silhouette = silhouette_mask(thing.shape, *_extent(thing.pixels, SUPERSAMPLING))
        corner = (thing.pixels[0] * SUPERSAMPLING, thing.pixels[1] * SUPERSAMPLING)
        image.paste(look.colours[thing.colour], corner, silhouette)
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
        raise ValueError(f"unknown shape {shape!r}: choose one of {', '.join(SHAPES)}")
    return mask


def _describe(rng: np.random.Generator, scene: Scene, skill: str) -> Layout:
    regions = tuple(
        Region(
            text=f"{'a ' if rng.random() < 0.5 else ''}{thing.colour} {thing.shape}",
            box=Box(*(corner / scene.size for corner in thing.pixels)),
        )
        for thing in scene.things
    )
    told = _relation_phrase(scene) if skill == "spatial" else _listing(rng, scene)
    return Layout(f"{told} on a {scene.ground} ground", regions, scene.size, scene.size)


def _listing(rng: np.random.Generator, scene: Scene) -> str:
    counts = list(Counter((thing.colour, thing.shape) for thing in scene.things).items())
    return _enumerate([_phrase(*counts[i]) for i in rng.permutation(len(counts))])


def _relation_phrase(scene: Scene) -> str:
    first, second = scene.things
    return (
        f"a {first.colour} {first.shape} {relation(first.pixels, second.pixels)} "
        f"a {second.colour} {second.shape}"
    )


def _phrase(pair: tuple[str, str], count: int) -> str:
    colour, shape = pair
    return f"{COUNT_WORDS[count]} {colour} {shape if count == 1 else _plural(shape)}"


def _plural(shape: str) -> str:
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _enumerate(phrases: list[str]) -> str:
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if phrases[1:] else phrases)


def _pairs(rng: np.random.Generator, skill: str, count: int, split: Split) -> list[tuple[str, str]]:
    """Colour and shape of every thing."""
    pairs = [_pair(rng, held_out=split is Split.HELD_OUT)]
    if skill == "count":
        return pairs * count
    while len(pairs) < count:
        pair = _pair(rng, held_out=False)
        if skill == "spatial" and pair in pairs:
            continue
        if skill == "binding" and (pair[0] == pairs[0][0] or pair[1] == pairs[0][1]):
            continue
        pairs.append(pair)
    return pairs


def _pair(rng: np.random.Generator, held_out: bool) -> tuple[str, str]:
    if held_out:
        return sorted(HELD_OUT)[rng.integers(len(HELD_OUT))]
    while (pair := (str(rng.choice(COLOURS)), str(rng.choice(SHAPES)))) in HELD_OUT:
        pass
    return pair


def _extent(pixels: PixelBox, scale: int = 1) -> tuple[int, int]:
    return (pixels[2] - pixels[0]) * scale, (pixels[3] - pixels[1]) * scale
