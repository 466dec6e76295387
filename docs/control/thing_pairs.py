"""Pairs of everyday things, in boxes that are apart, touch or overlap."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from PIL import Image

from comfy_server import ROOT
from reco_core.layout import Box, Layout, Region
from train.data.cutouts.grounds import Ground
from train.data.cutouts.words import with_article
from train.evaluate.judge.network import Judge, read_judge
from train.evaluate.judge.scores import ThingScore, score_layout

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKPOINT = "reco-things.safetensors"
THINGS = ROOT / "train" / "data" / "cutouts" / "fluent_emoji.toml"
JUDGE = ROOT / "train" / "evaluate" / "judge" / "fluent_emoji.safetensors"
SIZE, GROUND = 160, "white"
KINDS = {"apart": (0.06, 0.46), "touching": (0.06, 0.5), "overlapping": (0.06, 0.58)}
"""Where the first box begins and ends, of the picture's side; the second is its mirror image."""
ACROSS = (0.28, 0.72)
"""Where both boxes begin and end the other way."""


@dataclass(frozen=True)
class ThingPair:
    """Two things by their names, side by side or one above the other; kind: of KINDS."""

    kind: str
    seed: int
    things: tuple[str, str]
    is_row: bool = True

    @property
    def name(self) -> str:
        return f"{self.things[0]} and {self.things[1]} {self.kind} {self.seed}"

    @property
    def layout(self) -> Layout:
        texts = [with_article(thing, None) for thing in self.things]
        begin, end = KINDS[self.kind]
        spans = (begin, end), (1 - end, 1 - begin)
        boxes = (
            Box(low, ACROSS[0], high, ACROSS[1])
            if self.is_row
            else Box(ACROSS[0], low, ACROSS[1], high)
            for low, high in spans
        )
        caption = f"{' and '.join(texts)} on a {GROUND} background"
        return Layout(caption, tuple(map(Region, texts, boxes)), SIZE, SIZE)


def names_of_things(colour: str = "") -> list[str]:
    """Of the things that reco-things was shown: those that are counted, or of a colour of theirs,
    so that they are red, say, where no colour is said."""
    listed = tomllib.loads(THINGS.read_text("utf-8"))
    return [
        name
        for name, about in listed.items()
        if "article" not in about and (not colour or about.get("colour") == colour)
    ]


def thing_pairs(
    seed: int, count: int, names: Sequence[str], kinds: Sequence[str]
) -> tuple[ThingPair, ...]:
    """So many pairs of each kind, the same for the same seed."""
    random = Random(seed)
    pairs = []
    for number in range(count):
        first, second = random.sample(names, 2)
        is_row = random.random() < 0.5
        pairs += [ThingPair(kind, number, (first, second), is_row) for kind in kinds]
    return tuple(pairs)


def score_pair(image: Image.Image, pair: ThingPair) -> list[ThingScore]:
    """Of both regions, by the judge of everyday things."""
    return score_layout(_judge(), image, pair.layout, Ground(GROUND))


@cache
def _judge() -> Judge:
    return read_judge(JUDGE)
