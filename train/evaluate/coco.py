"""The COCO suite: real layouts, and measures of what is drawn from them.

The paper's (Yang et al. 2023, section 4; there: 30,000 pictures of COCO 2014 val, centre crop, PLMS
50 steps, guidance 4.0): FID, SceneFID, a detector's average precision. Not the paper's: what CLIP
says of crops, where the paper trains a classifier of them. Each is measured when its model is
named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from PIL import Image
from tqdm import tqdm

from reco_core.layout import Box, Layout
from train.data.coco import CocoConfig, CocoIndex, open_coco
from train.data.decode import UNREADABLE
from train.data.files import FileSet, read_json_file
from train.data.picture import read_picture
from train.data.region_texts import RetoldSet, check_met, read_region_texts
from train.data.sample import Problem, Sample
from train.data.transforms import View
from train.evaluate.clip_scores import ClipFeatures
from train.evaluate.coco_measures import (
    ClipMeasure,
    DetectorMeasure,
    FrechetMeasure,
    Measure,
    Shown,
    picture_score,
)
from train.evaluate.detection import Detector, open_detector
from train.evaluate.layouts import case_names, choose, seen_layout, square_view, usable
from train.evaluate.pretrained import batches, pick_device
from train.evaluate.suite import Case, Pictures, PictureScore, Result, Table
from train.options import Count, MaxRegions, Positive, Seed, Side, options

COLUMNS = {
    "clip_region_accuracy": ("CLIP region accuracy %", "--clip"),
    "ap": ("AP %", "--detector"),
    "ap50": ("AP50 %", "--detector"),
    "ap75": ("AP75 %", "--detector"),
    "scene_fid_stretched": ("SceneFID, stretched", "--inception"),
    "scene_fid_squared": ("SceneFID, squared", "--inception"),
    "fid": ("FID", "--inception"),
    "clip_score": ("CLIP score", "--clip"),
    "clip_cosine": ("CLIP cosine", "--clip"),
}
"""Figure -> the table's heading, and the option that it needs."""


@options
class CocoOptions:
    """COCO's layouts; what is not named is not measured."""

    images: str
    """Folder of the real pictures."""
    annotations: str
    """The instances file."""
    captions: str = ""
    """The captions file."""
    region_captions: str = ""
    """Written by `python -m train data caption`; else a region's text is its category."""
    layouts: Count = 0
    """How many; 0: all."""
    seed: Seed = 0
    """Layout i of the set starts from noise of seed + i."""
    size: Side = 512
    """Of the square pictures in pixels; left out, the command takes the checkpoint's."""
    max_regions: MaxRegions = 20
    """Of a layout, the largest."""
    clip: str = ""
    """CLIP model of transformers: folder or hub id."""
    detector: str = ""
    """Object detector of transformers: folder or hub id."""
    inception: str = ""
    """File of Inception's weights, for FID and SceneFID: see open_features in frechet.py."""
    real: bool = False
    """Measure the real pictures too, which no checkpoint is expected to surpass."""
    batch_size: Positive = 16
    """Pictures that are measured together."""
    device: str = ""
    """Left out: CUDA where there is some, else CPU."""


@dataclass(frozen=True)
class Truth:
    """Of a case: each region's category, and how to open the real picture."""

    classes: tuple[str | None, ...]
    sample: Sample
    view: View

    def open_real(self) -> Image.Image:
        return self.view.apply(self.sample.open())


@dataclass(frozen=True)
class Models:
    """What to measure with: those that were named."""

    device: str
    clip: ClipFeatures | None = None
    detector: Detector | None = None
    inception: str = ""
    features: Any = None

    def measures(self, categories: Sequence[str], batch_size: int) -> list[Measure]:
        """Measures that have taken no picture yet. Raises ValueError for a detector of other
        categories."""
        found: list[Measure] = []
        if self.clip:
            found.append(ClipMeasure(self.clip, categories))
        if self.detector:
            found.append(DetectorMeasure(self.detector, categories))
        if self.features:
            found.append(FrechetMeasure(self.inception, self.features, self.device, batch_size))
        return found


class CocoSuite:
    """Layouts of COCO. truth: by name of the case. real: measure the real pictures too."""

    name = "coco"
    left_out: Mapping[str, Sequence[Problem]] = {}

    def __init__(
        self,
        cases: Sequence[Case],
        truth: Mapping[str, Truth],
        measures: Callable[[], Sequence[Measure]],
        batch_size: int = 16,
        real: bool = False,
    ):
        self.cases, self.truth, self.real = cases, truth, real
        self.measures, self.batch_size = measures, batch_size

    def score(self, pictures: Pictures) -> Result:
        """Score all cases; pictures are opened batch by batch."""
        measures = self.measures()
        scores = self._measure(measures, pictures, "scoring")
        if not self.real:
            return _result(measures, scores)
        # Real pictures have no distance to themselves.
        of_real = [x for x in self.measures() if not isinstance(x, FrechetMeasure)]
        self._measure(of_real, lambda case: self.truth[case.name].open_real(), "real pictures")
        return _result(measures, scores, of_real)

    def _measure(
        self, measures: Sequence[Measure], pictures: Pictures, what: str
    ) -> list[PictureScore]:
        scores: list[PictureScore] = []
        with tqdm(total=len(self.cases), desc=what, unit="pictures") as bar:
            for cases in batches(self.cases, self.batch_size):
                batch = [self._shown(case, pictures(case)) for case in cases]
                for measure in measures:
                    measure.add(batch)
                scores += [PictureScore(x.case, picture_score(x.regions), x.regions) for x in batch]
                bar.update(len(batch))
        return scores

    def _shown(self, case: Case, picture: Image.Image) -> Shown:
        truth = self.truth[case.name]
        regions = [
            {"text": region.text, "class": name}
            for region, name in zip(case.layout.regions, truth.classes, strict=True)
        ]
        return Shown(case, truth.classes, picture, truth.open_real, regions)


def coco_suite(options: CocoOptions) -> CocoSuite:
    """Open the set, look at every layout and at the pictures that will be measured, then open the
    models that are named.

    Raises:
        ValueError: a file is missing or is not COCO's, nothing can be used, or a model is not
            there.
    """
    device = pick_device(options.device)
    categories = category_names(options.annotations)
    read, keys, left_out = open_layouts(options, categories)
    names = case_names(keys)
    found, problems = usable(keys, choose(len(keys), options.layouts), read)
    cases = [Case(names[n], layout, options.seed + n) for n, (layout, _) in found.items()]
    truth = {names[place]: own for place, (_, own) in found.items()}
    measures = partial(open_models(options, device).measures, categories, options.batch_size)
    measures()  # a detector that does not fit is to be told before anything is drawn
    suite = CocoSuite(cases, truth, measures, options.batch_size, options.real)
    suite.left_out = {"pictures": problems, "annotations": left_out}
    return suite


def open_models(options: CocoOptions, device: str) -> Models:
    """The models that are named: files first, then folders, then what may have to be fetched.

    Raises:
        ValueError: one is not there.
    """
    models = Models(device)
    if options.inception:
        from train.evaluate.frechet import open_features

        features = open_features(options.inception, device)
        models = replace(models, inception=Path(options.inception).name, features=features)
    pretrained: dict[str, tuple[str, Callable[..., Any]]] = {
        "clip": (options.clip, ClipFeatures),
        "detector": (options.detector, open_detector),
    }
    for name, (given, open_model) in sorted(
        pretrained.items(), key=lambda item: not Path(item[1][0]).expanduser().is_dir()
    ):
        if given:
            opened = open_model(given, device, options.batch_size)
            models = replace(models, **{name: opened})
    return models


def category_names(annotations: str) -> list[str]:
    """Names of a set's categories in their order. Raises ValueError when there are none."""

    def without_annotations(data: dict[str, Any]) -> dict[str, Any] | None:
        return None if "image_id" in data else data

    path = Path(annotations).expanduser()
    data = read_json_file(path, "instances file", without_annotations)
    listed = data.get("categories", []) if isinstance(data, dict) else []
    names = [category.get("name") for category in listed]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{annotations!r} has no categories with names: regions have no class")
    return list(dict.fromkeys(names))


def open_layouts(
    options: CocoOptions, categories: Sequence[str]
) -> tuple[Callable[[int], tuple[Layout, Truth]], list[str], list[Problem]]:
    """What reads layout 0, 1 ... of the set, their keys, and what the annotations lack.

    Reading raises what UNREADABLE lists where there is no picture, or, where pictures are measured
    too, one that cannot be decoded.
    """
    files = CocoConfig(
        path=options.images, annotations=options.annotations, captions=options.captions
    )
    described = open_coco(files)
    named = described
    if not set(_index(described).texts) <= set(categories):  # regions bring words of their own
        named = open_coco(files, own_texts=False)
    told: FileSet | RetoldSet = described
    if options.region_captions:
        path = Path(options.region_captions).expanduser()
        told = RetoldSet(described, *read_region_texts(path))
    classes = _categories_by_box(_index(named))
    is_measured = bool(options.inception or options.real)

    def read(place: int) -> tuple[Layout, Truth]:
        sample = told[place]
        own = [_take(classes.get((sample.key, region.box))) for region in sample.regions]
        view = square_view(sample, options.size)
        layout, seen = seen_layout(sample, view, own, options.max_regions)
        if is_measured:
            read_picture(sample, view)
        return layout, Truth(seen, sample, view)

    keys = [_index(described).key(place) for place in range(len(described))]
    if isinstance(told, RetoldSet) and keys:
        told.is_met = not told.texts.keys().isdisjoint(keys)
        check_met(told, keys[0])
    return read, keys, list(described.problems)


def _categories_by_box(index: CocoIndex) -> dict[tuple[str, Box], list[str]]:
    found: dict[tuple[str, Box], list[str]] = defaultdict(list)
    for place in range(len(index)):
        try:
            entry = index.entry(place)
        except UNREADABLE:  # whoever reads this layout is told why
            continue
        for region in entry.regions:
            found[entry.key, region.box].append(region.text)
    return found


def _take(names: list[str] | None) -> str | None:
    """The first of what is left, for boxes that lie upon each other."""
    return names.pop(0) if names else None


def _index(opened: FileSet) -> CocoIndex:
    return cast(CocoIndex, opened.index)


def _result(
    measures: Sequence[Measure],
    scores: Sequence[PictureScore],
    of_real: Sequence[Measure] | None = None,
) -> Result:
    """of_real: what measured the real pictures, if they were."""
    categories: dict[str, dict[str, float]] = defaultdict(dict)
    often = Counter(record["class"] for score in scores for record in score.regions)
    for name, count in often.items():
        if name is not None:
            categories[name]["regions"] = count
    for measure in measures:
        for name, figures in measure.by_category().items():
            categories[name] |= figures
    counts = {"pictures": len(scores), "regions": sum(len(score.regions) for score in scores)}
    measured = _figures(measures)
    result: dict[str, Any] = {**counts, **measured, "categories": dict(categories)}
    rows = [["drawn", *counts.values(), *_cells(measured, measures)]]
    if of_real is not None:
        result["real"] = _figures(of_real)
        rows.append(["real", *counts.values(), *(result["real"].get(name) for name in COLUMNS)])
    headings = ["of", *counts, *(heading for heading, _ in COLUMNS.values())]
    note = " ".join(note for measure in measures for note in measure.notes())
    tables = [Table("COCO", headings, rows, note), _category_table(categories)]
    warnings = [warning for measure in measures for warning in measure.warnings()]
    return Result(result, tables, scores, warnings)


def _figures(measures: Sequence[Measure]) -> dict[str, float]:
    return {name: figure for measure in measures for name, figure in measure.figures().items()}


def _cells(measured: Mapping[str, float], measures: Sequence[Measure]) -> list[float | str]:
    """A cell for each of COLUMNS: the figure, or why there is none."""
    tried = {name for measure in measures for name in measure.names}

    def why_not(name: str, option: str) -> str:
        return f"not measured: {'too few' if name in tried else f'give {option}'}"

    return [
        measured[name] if name in measured else why_not(name, option)
        for name, (_, option) in COLUMNS.items()
    ]


def _category_table(categories: Mapping[str, dict[str, float]]) -> Table:
    ordered = sorted(categories, key=lambda name: (-categories[name].get("regions", 0), name))
    rows = [
        [
            name,
            categories[name].get("regions", 0),
            categories[name].get("clip_region_accuracy"),
            categories[name].get("ap"),
        ]
        for name in ordered
    ]
    return Table("By category", ["category", "regions", "CLIP region accuracy %", "AP %"], rows)
