"""The suite of everyday things: unseen layouts of cutouts, scored by a trained judge."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from tqdm import tqdm

from reco_core.layout import Layout
from train.data.cutouts.cutouts_set import CutoutsConfig, Number, open_cutouts
from train.data.cutouts.scenes import Scene, enlarged, render
from train.data.cutouts.things import read_things
from train.data.shapeskills import BoxSide
from train.evaluate.judge.network import check_judge, read_judge
from train.evaluate.judge.scores import ThingScore, score_regions, things_there
from train.evaluate.suite import Case, Pictures, PictureScore, Result
from train.evaluate.things_tables import part_figures, regions_right, tables, things_found
from train.model.sampling import SecondPass
from train.options import Positive, Range, Seed, Side, Some, options

PARTS = ("mixed", "portrait", "landscape", "larger", "second_pass", "held_out", "caption")
"""mixed: things at random; portrait, landscape: 2:3 and 3:2, of the same area; larger: 1.25 times
the side; second_pass: drawn at the base size, enlarged to 1.5 times and drawn over; held_out: with
a tint or ground that training never shows with the thing; caption: drawn from the caption alone."""
ENLARGED = 1.5
"""By the second pass."""
SHAPES = {"portrait": (2 / 3, 1.0), "landscape": (3 / 2, 1.0), "larger": (1.0, 1.25)}
"""Width over height, and the root of the area over the base size."""


@options
class ThingsOptions:
    """Layouts of everyday things that no training sees, scored from pixels by a judge."""

    path: str
    """Folder of pictures with transparency, one thing each."""
    judge: str
    """File of `python -m train judge`, trained on the same things."""
    things: str = ""
    """TOML file that lists the things; empty: all of the folder's."""
    layouts: Positive = 200
    """How many of the mixed part."""
    part_layouts: Positive = 100
    """How many of each other part."""
    control_layouts: Positive = 100
    """How many, at most, the judge is measured on."""
    parts: Some[str] = PARTS
    """Which parts."""
    seed: Seed = 0
    """Of the layouts, and of the noise the first picture of a part starts from."""
    size: Side = 160
    """The base size in pixels; left out, the command takes the checkpoint's."""
    counts: Some[Number] = (1, 2, 3, 4)
    """Numbers of things in a picture, drawn evenly."""
    sides: tuple[BoxSide, BoxSide] = (0.22, 0.62)
    """Shortest and longest of a thing's longer side, as a share of the root of the area."""
    denoise: Annotated[float, Range(0.05, 1)] = 0.5
    """Of the second pass, as KSampler's."""

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown:
            raise ValueError(f"parts {list(self.parts)}: choose from {', '.join(PARTS)}")


@dataclass(frozen=True)
class ThingsCase(Case):
    """A layout of a part, and the scene that is its truth."""

    scene: Scene
    part: str


class ThingsSuite:
    """See train/evaluate/suite.py.

    Raises:
        ValueError: pictures that cannot be used, no judge, or one of other things.
    """

    name = "things"

    def __init__(self, options: ThingsOptions):
        self.options = options
        self.judge = read_judge(Path(options.judge).expanduser())
        self.things, problems = read_things(options.path, options.things)
        self.left_out = {"pictures": problems}
        check_judge(self.judge, self.things, Path(options.judge))

    @cached_property
    def cases(self) -> list[ThingsCase]:
        return [case for part in dict.fromkeys(self.options.parts) for case in self._part(part)]

    def score(self, pictures: Pictures) -> Result:
        scored = [
            self._score(case, pictures(case)) for case in tqdm(self.cases, desc="scoring", delay=2)
        ]
        by_part: dict[str, list[ScoredCase]] = defaultdict(list)
        for one in scored:
            by_part[one.case.part].append(one)
        figures: dict[str, Any] = {
            part: things_found([one.there for one in own])
            if part == "caption"
            else part_figures(part, [one.regions for one in own])
            for part, own in by_part.items()
        }
        figures["controls"] = self.controls(pictures)
        return Result(figures, tables(figures), [one.picture_score() for one in scored])

    def controls(self, pictures: Pictures) -> dict[str, dict[str, float]]:
        """The judge on rendered truth, on pictures without the things, and on the pictures against
        the next case's layout; for regions, and for captions alone."""
        boxed = [case for case in self.cases if case.layout.regions]
        first = [case for case in boxed if case.part == boxed[0].part]
        alone = [case for case in self.cases if not case.layout.regions]
        found: dict[str, dict[str, float]] = {}
        if first:
            found["regions"] = self._control(first[: self.options.control_layouts], pictures)
        if alone:
            found["captions"] = self._control(alone[: self.options.control_layouts], pictures)
        return found

    def _control(self, cases: Sequence[ThingsCase], pictures: Pictures) -> dict[str, float]:
        """Shares that are right, by what is judged instead of a case's own picture."""
        following = [*cases[1:], cases[0]]
        judged: dict[str, list[ScoredCase]] = defaultdict(list)
        for case, other in tqdm(list(zip(cases, following, strict=True)), desc="controls", delay=2):
            judged["rendered_truth"].append(self._score(case, render(case.scene)))
            judged["other_things"].append(self._score(case, render(self._others(case.scene))))
            empty = replace(case.scene, things=())
            judged["ground_alone"].append(self._score(case, render(empty)))
            judged["shuffled_layouts"].append(self._score(case, pictures(other)))
        return {
            name: regions_right([one.regions for one in scored])
            if cases[0].layout.regions
            else things_found([one.there for one in scored])["there"]
            for name, scored in judged.items()
        }

    def _others(self, scene: Scene) -> Scene:
        """The same boxes with things in them that the scene does not show."""
        shown = {thing.name for thing in scene.things}
        names = [thing.name for thing in self.things]
        drawn = []
        for thing in scene.things:
            start = names.index(thing.name) + 1
            order = [*self.things[start:], *self.things[:start]]
            other = next((one for one in order if one.name not in shown), None)
            if other:
                plain = replace(thing, name=other.name, file=other.files[0], tint=other.colour)
                drawn.append(replace(plain, colour=other.colour))
        return replace(scene, things=tuple(drawn))

    def _score(self, case: ThingsCase, image: Image.Image) -> ScoredCase:
        if case.layout.regions:
            return ScoredCase(
                case, score_regions(self.judge, image, case.scene, case.layout.regions), {}
            )
        return ScoredCase(case, [], things_there(self.judge, image, case.scene))

    def _part(self, part: str) -> Iterator[ThingsCase]:
        options = self.options
        config = CutoutsConfig(
            path=options.path,
            things=options.things,
            split="held_out" if part == "held_out" else "test",
            samples=options.layouts if part == "mixed" else options.part_layouts,
            seed=options.seed,
            counts=options.counts,
            sides=options.sides,
            sizes=(size_of(part, options.size),),
        )
        drawn = open_cutouts(config, options.size)
        for index in range(len(drawn)):
            scene, captions, regions = drawn.draw(index)
            layout = Layout(captions[0], () if part == "caption" else regions, *scene.size)
            name, seed = f"{part}-{index:04d}", options.seed + index
            if part != "second_pass":
                yield ThingsCase(name, layout, seed, scene, part)
                continue
            second = SecondPass(ENLARGED, options.denoise)
            large = enlarged(scene, second.size_of(scene.size))
            yield ThingsCase(name, layout, seed, large, part, second=second)


@dataclass(frozen=True)
class ScoredCase:
    """A case with what was found in its picture.

    there: which of its things were found anywhere, where it is drawn from its caption alone.
    """

    case: ThingsCase
    regions: Sequence[ThingScore]
    there: Mapping[str, bool]

    def picture_score(self) -> PictureScore:
        """As the report lists it; ranked by what is right, then by how well boxes are met."""
        if not self.regions:
            score = statistics.fmean(self.there.values())
            return PictureScore(self.case, score, (), {"part": self.case.part, "there": self.there})
        share = statistics.fmean(region.right for region in self.regions)
        iou = statistics.fmean(region.iou for region in self.regions)
        regions = [region.to_dict() for region in self.regions]
        details = {"part": self.case.part}
        return PictureScore(self.case, 0.9 * share + 0.1 * iou, regions, details)


def size_of(part: str, side: int) -> tuple[int, int]:
    """Width and height of a part's pictures, multiples of 8."""
    aspect, scale = SHAPES.get(part, (1.0, 1.0))
    width, height = (side * scale * aspect**power for power in (0.5, -0.5))
    return int(width / 8 + 0.5) * 8, int(height / 8 + 0.5) * 8
