"""The suite of ShapeSkills: unseen layouts, whose pictures are scored from their pixels."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image
from tqdm import tqdm

from train.data.sample import Problem
from train.data.shape_boxes import SIDES
from train.data.shape_looks import LookName
from train.data.shapeskills import (
    COUNTS,
    HELD_OUT,
    BoxSide,
    DescribedScene,
    Scene,
    Split,
    Things,
    check_scenes,
    render,
    sample,
    swap_attributes,
)
from train.evaluate.shape_finder import (
    MIN_IOU,
    ShapeScore,
    distance_to_look,
    find_things,
    region_accuracy,
    score_scene,
)
from train.evaluate.skills import SKILL_RULES
from train.evaluate.suite import Case, Pictures, PictureScore, Result, Table
from train.options import Positive, Seed, Side, Some, options

PARTS = ("mixed", *SKILL_RULES, "binding", "held_out", "five", "six", "border")
"""mixed: things at random; the four skills; binding: two things, and the same boxes with their
attributes swapped; held_out: with a colour-shape pair that training never showed; five and six
things, of sides that leave them room; border: every box at an edge."""
CROWDED = {"five": 5, "six": 6}
CROWDED_SIDE = 0.30
"""Longest side of a box among five or six, as a fraction of the picture."""


@options
class ShapeSkillsOptions:
    """Layouts of coloured shapes that no training sees, scored from pixels."""

    layouts: Positive = 200
    """How many of the mixed part."""
    skill_layouts: Positive = 100
    """How many of each other part."""
    parts: Some[str] = PARTS
    """Which parts."""
    seed: Seed = 0
    """Of the layouts, and of the noise the first picture of a part starts from."""
    size: Side = 128
    """Of the square pictures in pixels; left out, the command takes the checkpoint's."""
    counts: Some[Things] = COUNTS
    """Numbers of things in a picture of the mixed part, drawn evenly."""
    sides: tuple[BoxSide, BoxSide] = SIDES
    """Shortest and longest side of a box, as fractions of the picture."""
    looks: Some[LookName] = ("plain",)
    """A region is right in the colours of any; of several, the distance to each is told."""

    def __post_init__(self) -> None:
        check_scenes(self.counts, self.sides)
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown:
            raise ValueError(f"parts {list(self.parts)}: choose from {', '.join(PARTS)}")


@dataclass(frozen=True)
class SceneCase(Case):
    """A layout of a part, and the scene that is its truth."""

    scene: Scene
    part: str


class ShapeSkillsSuite:
    """See train/evaluate/suite.py."""

    name = "shapeskills"
    left_out: Mapping[str, Sequence[Problem]] = {}

    def __init__(self, options: ShapeSkillsOptions):
        self.options = options

    @cached_property
    def cases(self) -> list[SceneCase]:
        parts = [self._part(part) for part in self.options.parts]
        return [case for part in tqdm(parts, desc="layouts", delay=2) for case in part]

    def score(self, pictures: Pictures) -> Result:
        scored = [
            ScoredCase.of(case, pictures(case), self.options.looks)
            for case in tqdm(self.cases, desc="scoring", delay=2)
        ]
        by_part: dict[str, list[ScoredCase]] = defaultdict(list)
        for one in scored:
            by_part[one.case.part].append(one)
        figures = {part: part_figures(part, own) for part, own in by_part.items()}
        figures["controls"] = self._controls(pictures)
        return Result(figures, _tables(figures), [one.picture_score() for one in scored])

    def _part(self, part: str) -> Iterable[SceneCase]:
        options = self.options
        count = options.layouts if part == "mixed" else options.skill_layouts
        for index in range(count):
            drawn = _draw(options, part, index)
            name, seed = f"{part}-{index:04d}", options.seed + index
            yield SceneCase(name, drawn.layout, seed, drawn.scene, part)
            if part == "binding":
                other = swap_attributes(drawn)
                yield SceneCase(f"{name}-swapped", other.layout, seed, other.scene, part)

    def _controls(self, pictures: Pictures) -> dict[str, Any]:
        """The scorer on rendered truth, and on the pictures against the next case's layout."""
        own = [case for case in self.cases if case.part == self.options.parts[0]]
        truth = [score_scene(render(case.scene), case.scene) for case in own]
        shuffled = [
            score_scene(pictures(case), other.scene, self.options.looks)
            for case, other in zip(own, [*own[1:], own[0]], strict=True)
        ]
        return {
            "rendered_truth": region_accuracy(truth),
            "shuffled_layouts": region_accuracy(shuffled),
        }


@dataclass(frozen=True)
class ScoredCase:
    """A case with what was found in its picture.

    skill: whether it was done, where one is asked. distances: as of distance_to_look.
    """

    case: SceneCase
    regions: Sequence[ShapeScore]
    skill: bool | None
    distances: Mapping[LookName, float]

    @classmethod
    def of(
        cls, case: SceneCase, image: Image.Image, looks: Sequence[LookName] = ("plain",)
    ) -> ScoredCase:
        """Score a picture (RGB) of the case."""
        rule = SKILL_RULES.get(case.part)
        skill = rule(find_things(image, looks), case.scene) if rule else None
        distances = {look: distance_to_look(image, look) for look in looks}
        return cls(case, score_scene(image, case.scene, looks), skill, distances)

    @property
    def right(self) -> bool:
        return all(region.right for region in self.regions)

    def picture_score(self) -> PictureScore:
        """As the report lists it; ranked by regions, then by how well boxes are met."""
        share = _share(region.right for region in self.regions)
        iou = statistics.fmean(region.iou for region in self.regions)
        details: dict[str, Any] = {"part": self.case.part}
        if self.skill is not None:
            details["skill"] = self.skill
        regions = [region.to_dict() for region in self.regions]
        return PictureScore(self.case, 0.9 * share + 0.1 * iou, regions, details)


def part_figures(part: str, scored: Sequence[ScoredCase]) -> dict[str, Any]:
    """All that is counted in a part's pictures."""
    scenes = [one.regions for one in scored]
    regions = [region for scene in scenes for region in scene]
    figures: dict[str, Any] = {
        "pictures": len(scored),
        "regions": len(regions),
        "region_accuracy": region_accuracy(scenes),
        "located": _share(region.iou >= MIN_IOU for region in regions),
        "picture_accuracy": _share(one.right for one in scored),
        "mean_iou": statistics.fmean(region.iou for region in regions),
        "leakage": statistics.fmean(region.leakage for region in regions),
        "distances": {
            look: statistics.fmean(one.distances[look] for one in scored)
            for look in scored[0].distances
        },
    }
    if part in SKILL_RULES:
        figures["skill"] = _share(one.skill for one in scored)
    if part == "binding":
        pairs = list(zip(scored[::2], scored[1::2], strict=True))
        figures["skill"] = _share(one.right and other.right for one, other in pairs)
    if part == "held_out":
        unseen = [x for x in regions if (x.colour, x.shape) in HELD_OUT]
        figures |= {"unseen_pairs": _share(x.right for x in unseen), "unseen_regions": len(unseen)}
    if part == "mixed":
        figures["by_things"] = {
            count: region_accuracy([scene for scene in scenes if len(scene) == count])
            for count in sorted({len(scene) for scene in scenes})
        }
    return figures


def _draw(options: ShapeSkillsOptions, part: str, index: int) -> DescribedScene:
    counts, sides = options.counts, options.sides
    if part in CROWDED:
        counts, sides = (CROWDED[part],), (sides[0], min(sides[1], CROWDED_SIDE))
    split = Split.HELD_OUT if part == "held_out" else Split.TEST
    skill = part if part in (*SKILL_RULES, "binding", "border") else "mixed"
    return sample(index, options.seed, split, options.size, counts, (skill,), sides)


def _share(values: Iterable[bool | None]) -> float:
    return statistics.fmean(map(bool, values))


def _tables(figures: Mapping[str, Any]) -> list[Table]:
    parts = [part for part in PARTS if part in figures]
    scores = [
        (part, figures[part]["skill"], figures[part]["pictures"] // (2 if part == "binding" else 1))
        for part in parts
        if "skill" in figures[part]
    ]
    boxes = [
        (
            part,
            figures[part]["region_accuracy"],
            figures[part]["located"],
            figures[part]["picture_accuracy"],
            round(figures[part]["mean_iou"], 3),
            round(figures[part]["leakage"], 4),
            figures[part]["regions"],
        )
        for part in parts
    ]
    tables = [
        Table(
            "Regions",
            (
                "part",
                "regions right %",
                "boxes met %",
                "pictures right %",
                "mean IoU",
                "leakage",
                "regions",
            ),
            boxes,
            "A region is right when a thing of its colour meets its box with an IoU of at least "
            "0.5 (the box is met) and has its shape. Leakage: pixels of a region's colour outside "
            "of all boxes of that colour, over the area of its box.",
        )
    ]
    if scores:
        note = (
            "As PaintSkills asks, wherever in the picture; binding: both pictures right, in which "
            "two boxes swap their texts."
        )
        tables.append(Table("Skills", ("skill", "done %", "layouts"), scores, note))
    looks = list(figures[parts[0]]["distances"])
    if len(looks) > 1:
        distances = [
            (part, *(round(figures[part]["distances"][look], 1) for look in looks))
            for part in parts
        ]
        note = "Mean distance of all pixels to the nearest colour of a look, in RGB of 0 to 255."
        tables.append(Table("Distance to looks", ("part", *looks), distances, note))
    if by_things := figures.get("mixed", {}).get("by_things"):
        rows = [(count, accuracy) for count, accuracy in by_things.items()]
        tables.append(Table("By number of things", ("things", "regions right %"), rows))
    controls = figures["controls"]
    rows = [
        ("rendered truth", controls["rendered_truth"]),
        ("pictures against other layouts", controls["shuffled_layouts"]),
    ]
    tables.append(Table("Controls of the scorer", ("control", "regions right %"), rows))
    return tables
