"""Cutouts: your own things, drawn into boxes by seed, on any ground, with captions and texts.

A sample is a pure function of the folder, the options and its number, so no picture is stored.
Cutouts are read once, and kept in memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Annotated, Literal

import numpy as np

from reco_core.layout import Box, Region
from train.data.cutouts.grounds import (
    GivenGround,
    Ground,
    GroundKind,
    all_wheres,
    draw_ground,
    ground_names,
    read_grounds,
    where_words,
)
from train.data.cutouts.scenes import Scene, ThingDrawn, boxes_of, draw_boxes, render
from train.data.cutouts.things import TINTS, Thing, cutout_size, read_things
from train.data.cutouts.words import NUMBERS, WORDINGS, captions, known_words, region_text
from train.data.problems import Problem
from train.data.sample import Sample
from train.data.set_config import SetConfig
from train.data.shapeskills import BoxSide, Split, SplitName
from train.options import Count, Place, Range, Seed, Share, Side, Some, options

UNSEEN_IN_PICTURES = ("samples", "repeats", "region_captions")
Number = Annotated[int, Range(1, len(NUMBERS) - 1)]
Stretch = Annotated[float, Range(1, 4)]


@options
class CutoutsConfig(SetConfig):
    """A folder of pictures with transparency, drawn into boxes by seed."""

    kind: Literal["cutouts"] = "cutouts"
    path: Place = ""
    """Folder of pictures with transparency, one thing each."""
    things: Place = ""
    """TOML file that lists the things, their words and colours; empty: all of the folder's."""
    backgrounds: Place = ""
    """Folder of pictures to draw on, beside the grounds; empty: none."""
    grounds: tuple[GroundKind, ...] = ("plain", "land")
    """plain: one colour; land: grass, sand, snow or sea under a sky."""
    split: SplitName = "train"
    """validation: looked at while training; test: neither trained on nor looked at, what `evaluate`
    draws; held_out: with things in tints, or on grounds, that training never shows."""
    samples: Count = 0
    """How many to draw."""
    seed: Seed = 0
    """Of the pictures."""
    counts: Some[Number] = (1, 2, 3, 4)
    """Numbers of things in a picture, drawn evenly; repeat one to draw it more."""
    equal: Share = 0.15
    """Share of pictures that show one thing several times ("three apples")."""
    sides: tuple[BoxSide, BoxSide] = (0.22, 0.62)
    """Shortest and longest of a thing's longer side, as a share of the root of the area."""
    stretch: Stretch = 1.2
    """How much a thing may be wider or narrower than it is, as a factor."""
    overlap: Share = 0.0
    """Share of the smaller of two boxes that may lie under or over the other."""
    flip: Share = 0.5
    """Share of things that are mirrored."""
    tint: Share = 0.6
    """Share of things, of those with a colour, that get one of the seven tints."""
    held_out: Share = 0.05
    """Share of pairs of thing and tint, and of thing and ground, that training never shows."""
    sizes: tuple[tuple[Side, Side], ...] = ()
    """Width and height of pictures in pixels, drawn evenly; empty: the run's square."""

    def __post_init__(self) -> None:
        if self.sides[0] > self.sides[1]:
            raise ValueError(f"sides = {list(self.sides)}: give the shorter first")
        if not self.grounds and not self.backgrounds:
            raise ValueError("grounds = []: name some, or give backgrounds")

    def unseen(self, samples: int) -> CutoutsConfig:
        return replace(self, split="validation", samples=samples, region_captions="")

    def words(self) -> tuple[str, ...]:
        """Every word of captions and regions, in lower case. Raises as open_cutouts does."""
        things, _ = read_things(self.path, self.things)
        wheres = all_wheres(self.grounds, read_grounds(self.backgrounds)[0])
        return known_words(things, wheres, max(self.counts))


def open_cutouts(config: CutoutsConfig, size: int) -> CutoutsSet:
    """The set; size: side in pixels of its pictures where the options name no sizes.

    Raises:
        ValueError: a folder or list that cannot be used, or no samples asked for.
    """
    if config.samples < 1:
        raise ValueError(f"samples = {config.samples}: say how many pictures of cutouts to draw")
    things, problems = read_things(config.path, config.things)
    given, more = read_grounds(config.backgrounds)
    return CutoutsSet(config, config.sizes or ((size, size),), things, given, [*problems, *more])


class CutoutsSet:
    """Cutouts on grounds, drawn when they are looked at.

    things, given: what is drawn, and what it is drawn on. pairs: what training never shows.
    """

    def __init__(
        self,
        config: CutoutsConfig,
        sizes: tuple[tuple[int, int], ...],
        things: tuple[Thing, ...],
        given: tuple[GivenGround, ...] = (),
        problems: list[Problem] | None = None,
    ):
        self.options, self.sizes, self.things, self.given = config, sizes, things, given
        self.problems = problems or []
        names = ground_names(config.grounds, given)
        self.pairs = held_out_pairs(things, names, config.held_out)
        unseen = frozenset(self.pairs)
        self.things_on = {
            name: [thing for thing in things if Pair(thing, ground=name) not in unseen]
            for name in names
        }
        self.tints_of = {
            thing: [tint for tint in TINTS if Pair(thing, tint) not in unseen]
            for thing in things
            if thing.colour
        }
        if config.split == "held_out" and not self.pairs:
            raise ValueError(
                f"held_out = {config.held_out} keeps no pair of these {len(things)} things apart: "
                "raise it"
            )
        self.version = _digest(config, sizes, things, given)

    def __len__(self) -> int:
        return self.options.samples

    def __getitem__(self, index: int) -> Sample:
        scene, words, regions = self.draw(index)
        return Sample(
            key=f"{self.options.split}/{index}",
            captions=words,
            regions=regions,
            width=scene.size[0],
            height=scene.size[1],
            open=partial(render, scene),
            version=self.version,
        )

    def shown(self, index: int) -> tuple[str, ...]:
        """The name of the thing in each region of a sample."""
        scene, *_ = self.draw(index)
        return tuple(thing.name for thing in scene.things)

    def draw(self, index: int) -> tuple[Scene, tuple[str, ...], tuple[Region, ...]]:
        """Scene, captions and regions of a sample. Raises IndexError where there is none."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        rng = np.random.default_rng([self.options.seed, Split[self.options.split.upper()], index])
        size = self.sizes[rng.integers(len(self.sizes))]
        ground, named = self._choose(rng)
        chosen = [
            (thing, tint, thing.files[rng.integers(len(thing.files))]) for thing, tint in named
        ]
        boxes = draw_boxes(
            rng,
            [cutout_size(file) for *_, file in chosen],
            size,
            self.options.sides,
            self.options.stretch,
            self.options.overlap,
        )
        drawn = tuple(
            ThingDrawn(
                thing.name, file, thing.colour, tint, box, bool(rng.random() < self.options.flip)
            )
            for (thing, tint, file), box in zip(chosen, boxes, strict=True)
        )
        scene = Scene(ground, drawn, size)
        where = [where_words(rng, ground, self.given) for _ in range(WORDINGS)]
        regions = tuple(
            Region(region_text(rng, thing, tint), Box(*box))
            for (thing, tint, _), box in zip(chosen, boxes_of(scene), strict=True)
        )
        return scene, tuple(captions(rng, named, where)), regions

    def _choose(self, rng: np.random.Generator) -> tuple[Ground, list[tuple[Thing, str]]]:
        """A ground, and things with their tints; in held_out the first is of an unseen pair."""
        ground = draw_ground(rng, self.options.grounds, self.given)
        first: list[tuple[Thing, str]] = []
        if self.options.split == "held_out":
            pair = self.pairs[rng.integers(len(self.pairs))]
            while pair.ground and ground.name != pair.ground:
                ground = draw_ground(rng, self.options.grounds, self.given)
            first = [(pair.thing, pair.tint or self._tint(rng, pair.thing))]
        count = self.options.counts[rng.integers(len(self.options.counts))]
        allowed = self.things_on[ground.name]
        countable = [thing for thing in allowed if thing.counts]
        if count > 1 and countable and not first and rng.random() < self.options.equal:
            thing = countable[rng.integers(len(countable))]
            return ground, [(thing, self._tint(rng, thing))] * count
        places = rng.choice(len(allowed), min(count, len(allowed)), replace=False)
        others = [allowed[place] for place in places if not first or allowed[place] != first[0][0]]
        named = [*first, *((thing, self._tint(rng, thing)) for thing in others)][:count]
        return ground, named

    def _tint(self, rng: np.random.Generator, thing: Thing) -> str:
        """A colour for a thing, its own among them, no unseen one; empty where it has none."""
        if not thing.colour or rng.random() >= self.options.tint:
            return thing.colour
        tints = self.tints_of[thing]
        return tints[rng.integers(len(tints))]


@dataclass(frozen=True)
class Pair:
    """A thing in a tint, or on a ground, by their names."""

    thing: Thing
    tint: str = ""
    ground: str = ""


def held_out_pairs(things: tuple[Thing, ...], grounds: tuple[str, ...], share: float) -> list[Pair]:
    """The pairs that training never shows: by their names alone, whatever else is in a folder.

    A thing's own colour is always shown, and so is a ground that nothing would be left for.
    """
    pairs = [
        pair
        for thing in things
        if thing.colour
        for pair in (Pair(thing, tint) for tint in TINTS if tint != thing.colour)
        if _draw_of(pair) < share
    ]
    for ground in grounds:
        kept = [p for p in (Pair(thing, ground=ground) for thing in things) if _draw_of(p) < share]
        pairs += kept if len(kept) < len(things) else []
    return pairs


def _draw_of(pair: Pair) -> float:
    """A pair's number in [0, 1), the same wherever it occurs."""
    named = f"{pair.thing.name}/tint {pair.tint}/ground {pair.ground}"
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:4], "big") / 2**32


def _digest(
    options: CutoutsConfig,
    sizes: tuple[tuple[int, int], ...],
    things: tuple[Thing, ...],
    given: tuple[GivenGround, ...],
) -> str:
    """Changes when the pictures do: options, list, and size and time of the files."""
    told = {
        name: value for name, value in asdict(options).items() if name not in UNSEEN_IN_PICTURES
    }
    files = [file for thing in things for file in thing.files] + [one.file for one in given]
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr([told, sizes, things, given, stats]).encode()).hexdigest()[:16]
