"""The PaintSkills suite: object, count, colour and spatial accuracy, judged by a detector.

Layouts are the scenes of PaintSkills (Cho et al. 2023, "DALL-Eval"): the text and the boxes that
its simulator drew. The rules are in paintskills_rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from train.data.coco_index import CocoIndex
from train.data.paintskills import (
    PaintSkillsConfig,
    Split,
    open_paintskills,
    open_scenes,
    shape_words,
)
from train.data.sample import Problem, Sample
from train.evaluate.coco_measures import CONFIDENT, best_iou, mean
from train.evaluate.detection import Detections, Detector, open_detector
from train.evaluate.layouts import case_names, choose, seen_layout, square_view, usable
from train.evaluate.paintskills_rules import SKILLS, Asked, judge, plain_detections, read_scene
from train.evaluate.pretrained import batches, pick_device
from train.evaluate.suite import Case, Pictures, PictureScore, Result, Table
from train.options import Count, MaxRegions, Positive, Seed, Side, Some, options

SHOWN = {"color": "colour"}
"""Skills whose name in figures and options is not that of their folder."""
PARTS = {SHOWN.get(skill, skill): skill for skill in SKILLS}
"""Name of a part -> its skill, the name of its folder."""


@options
class PaintSkillsOptions:
    """PaintSkills' scenes, judged by a detector."""

    path: str
    """Folder that holds the skills' folders."""
    parts: Some[str] = tuple(PARTS)
    """Which skills."""
    split: Split = "val"
    """val or train."""
    layouts: Count = 0
    """How many of each skill; 0: all."""
    seed: Seed = 0
    """Layout i of a skill starts from noise of seed + i."""
    size: Side = 512
    """Of the square pictures in pixels; left out, the command takes the checkpoint's."""
    max_regions: MaxRegions = 20
    """Of a layout, the largest."""
    detector: str = ""
    """Object detector of transformers that knows the objects: folder or hub id."""
    batch_size: Positive = 16
    """Pictures that are judged together."""
    device: str = ""
    """Left out: CUDA where there is some, else CPU."""

    def __post_init__(self) -> None:
        if not set(self.parts) <= PARTS.keys():
            raise ValueError(f"parts {list(self.parts)}: choose from {', '.join(PARTS)}")


@dataclass(frozen=True)
class Truth:
    """Of a case: what its scene asks for, and the labels that fit each region."""

    asked: Asked
    labels: tuple[frozenset[str], ...]


class PaintSkillsSuite:
    """Scenes of PaintSkills. truth: by name of the case."""

    name = "paintskills"
    left_out: Mapping[str, Sequence[Problem]] = {}

    def __init__(
        self,
        cases: Sequence[Case],
        truth: Mapping[str, Truth],
        detector: Detector,
        batch_size: int = 16,
    ):
        self.cases, self.truth = cases, truth
        self.detector, self.batch_size = detector, batch_size

    def score(self, pictures: Pictures) -> Result:
        """Judge all cases; pictures are opened batch by batch."""
        scores: list[PictureScore] = []
        with tqdm(total=len(self.cases), desc="judging", unit="pictures") as bar:
            for cases in batches(self.cases, self.batch_size):
                drawn = [pictures(case) for case in cases]
                found = self.detector.detect(drawn)
                for case, picture, detected in zip(cases, drawn, found, strict=True):
                    detections = plain_detections(detected)
                    truth = self.truth[case.name]
                    verdict = judge(truth.asked, detections, picture)
                    details = {"skill": shown(truth.asked.skill), "right": verdict.right}
                    regions = found_regions(case, truth, detections)
                    score = picture_score(verdict.right, regions)
                    scores.append(
                        PictureScore(case, score, regions, {**details, **verdict.details})
                    )
                bar.update(len(cases))
        asked = [self.truth[score.case.name].asked for score in scores]
        return summary(scores, asked, self._note())

    def _note(self) -> str:
        known = {shape_words(label) for label in self.detector.labels}
        objects = {x for truth in self.truth.values() for x in truth.asked.objects}
        lacking = sorted(min(labels) for labels in objects if not labels & known)
        note = f"Judged by {self.detector.name}."
        return f"{note} It cannot find: {', '.join(lacking)}." if lacking else note


def paintskills_suite(options: PaintSkillsOptions) -> PaintSkillsSuite:
    """Open the skills' scenes, look at each, then open the detector.

    Raises:
        ValueError: a file is missing or is not PaintSkills', no scene of a skill can be judged, or
            the detector is not there.
    """
    if not options.detector:
        raise ValueError(
            "paintskills needs a detector: give --detector FOLDER or a hub id, for instance "
            "facebook/detr-resnet-50"
        )
    device = pick_device(options.device)
    cases, truth = [], {}
    left_out: dict[str, list[Problem]] = {"pictures": [], "annotations": []}
    for skill in map(PARTS.__getitem__, options.parts):
        for case, own in _open_skill(options, skill, left_out):
            cases.append(case)
            truth[case.name] = own
    detector = open_detector(options.detector, device, options.batch_size)
    suite = PaintSkillsSuite(cases, truth, detector, options.batch_size)
    suite.left_out = left_out
    return suite


def _open_skill(
    options: PaintSkillsOptions, skill: str, left_out: Mapping[str, list[Problem]]
) -> list[tuple[Case, Truth]]:
    """The cases of a skill; notes what of it cannot be used."""
    path = str(Path(options.path).expanduser() / skill)
    scenes = open_scenes(path, options.split)
    opened = open_paintskills(PaintSkillsConfig(path=path, split=options.split))
    index = cast(CocoIndex, opened.index)
    keys = [index.key(place) for place in range(len(opened))]
    names = case_names(keys)

    def read(place: int) -> tuple[Case, Truth]:
        sample = opened[place]
        asked = read_scene(scenes[sample.key], skill)
        view = square_view(sample, options.size)
        layout, labels = seen_layout(sample, view, _labels(sample, asked), options.max_regions)
        return Case(names[place], layout, options.seed + place), Truth(asked, labels)

    try:
        found, problems = usable(keys, choose(len(opened), options.layouts), read)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    left_out["pictures"].extend(problems)
    left_out["annotations"].extend(opened.problems)
    return list(found.values())


def _labels(sample: Sample, asked: Asked) -> Sequence[frozenset[str]]:
    """Labels of each region. The simulator writes boxes in the scene's order; where some are
    missing it is not known whose are left."""
    if len(asked.objects) == len(sample.regions):
        return asked.objects
    same = asked.objects[0] if len(set(asked.objects)) == 1 else frozenset[str]()
    return [same] * len(sample.regions)


def found_regions(case: Case, truth: Truth, detections: Detections) -> list[dict[str, Any]]:
    """Of every region, the best overlap with a detection of its object."""
    return [
        {"text": region.text, "iou": best_iou(detections, labels, region.box, CONFIDENT)}
        for region, labels in zip(case.layout.regions, truth.labels, strict=True)
    ]


def picture_score(right: bool, regions: Sequence[Mapping[str, Any]]) -> float:
    """By which pictures are ranked, 0 to 1: those that are right come first, and among them, as
    among the others, those whose things are where they were asked for."""
    placed = mean([region["iou"] for region in regions]) if regions else 0.0
    return (right + placed) / 2


def shown(skill: str) -> str:
    """The skill's name in figures and tables."""
    return SHOWN.get(skill, skill)


def summary(scores: Sequence[PictureScore], asked: Sequence[Asked], note: str = "") -> Result:
    """Accuracy by skill, their mean, and by what each skill varies. asked: of each score."""
    right: dict[str, list[bool]] = defaultdict(list)
    parts: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for score, own in zip(scores, asked, strict=True):
        is_right = bool((score.details or {})["right"])
        right[shown(own.skill)].append(is_right)
        parts[shown(own.skill)][_PART[own.skill](own)].append(is_right)
    accuracy = {skill: mean(values) for skill, values in right.items()}
    average = {"average": mean(list(accuracy.values()))} if accuracy else {}
    by_part = {
        skill: {part: mean(values) for part, values in sorted(own.items())}
        for skill, own in parts.items()
    }
    rows = [[skill, accuracy[skill], len(values)] for skill, values in right.items()]
    rows += [["average", figure, len(scores)] for figure in average.values()]
    part_rows = [
        [skill, part, figure, len(parts[skill][part])]
        for skill, own in by_part.items()
        for part, figure in own.items()
    ]
    tables = [
        Table("PaintSkills", ["skill", "accuracy %", "pictures"], rows, note),
        Table("PaintSkills in parts", ["skill", "asked", "accuracy %", "pictures"], part_rows),
    ]
    return Result(
        {"pictures": len(scores), **accuracy, **average, "parts": by_part}, tables, scores
    )


_PART: dict[str, Callable[[Asked], str]] = {
    "object": lambda asked: min(asked.objects[0]),
    "count": lambda asked: str(len(asked.objects)),
    "color": lambda asked: str(asked.colour),
    "spatial": lambda asked: str(asked.relation),
}
"""By what a skill's accuracy is told apart."""
