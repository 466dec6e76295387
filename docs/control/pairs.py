"""Pairs of shapes that are hard to keep apart: their boxes touch or overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from reco_core.layout import Box, Layout, Region
from train.data.shapeskills import COLOURS, SHAPES, Scene, Thing

SIZE = 128
EACH = 20  # pairs of each kind
GROUND = "white"


@dataclass(frozen=True)
class Pair:
    """name: also of its file. scene: the truth."""

    kind: str
    name: str
    seed: int
    scene: Scene

    @property
    def layout(self) -> Layout:
        things = [f"{thing.colour} {thing.shape}" for thing in self.scene.things]
        regions = (
            Region(text, Box(*(edge / SIZE for edge in thing.pixels)))
            for text, thing in zip(things, self.scene.things, strict=True)
        )
        caption = f"{' and '.join(f'a {thing}' for thing in things)} on a {GROUND} ground"
        return Layout(caption, tuple(regions), SIZE, SIZE)


def _pairs() -> Iterator[Pair]:
    random = Random(7)
    for number in range(EACH):
        for kind, overlap in (("touching", 0), ("overlapping", 16)):
            yield Pair(kind, f"{kind} {number}", number, _scene(random, overlap))
        (one, other) = _scene(random, 0).things
        for part, colours in enumerate(((one.colour, other.colour), (other.colour, one.colour))):
            things = (
                Thing(colours[0], one.shape, one.pixels),
                Thing(colours[1], other.shape, other.pixels),
            )
            yield Pair("swapped", f"swapped {number} {part}", number, Scene(GROUND, things, SIZE))


def _scene(random: Random, overlap: int) -> Scene:
    """Two things of different colour and shape, side by side or one above the other; overlap: of
    their boxes in pixels."""
    colours, shapes = random.sample(COLOURS, 2), random.sample(SHAPES, 2)
    across, along = random.randrange(48, 65, 4), random.randrange(40, 57, 4)
    start, side = random.randrange(4, 12), random.randrange(4, SIZE - across - 4)
    spans = [(start, start + along), (start + along - overlap, start + 2 * along - overlap)]
    is_row = random.random() < 0.5
    boxes = [
        (low, side, high, side + across) if is_row else (side, low, side + across, high)
        for low, high in spans
    ]
    things = (Thing(*named) for named in zip(colours, shapes, boxes, strict=True))
    return Scene(GROUND, tuple(things), SIZE)


PAIRS = tuple(_pairs())
