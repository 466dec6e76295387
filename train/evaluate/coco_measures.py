"""The measures of the COCO suite: each takes drawn pictures in batches and keeps what it needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from reco_core.score import box_iou
from train.evaluate.average_precision import PrecisionTally
from train.evaluate.clip_scores import PROMPT, ClipFeatures, clip_score, cosines, nearest_categories
from train.evaluate.detection import Detections, Detector
from train.evaluate.suite import Case

MIN_SCORE = 0.01
"""Detections below this score are left out of average precision; it hardly moves by them."""
CONFIDENT = 0.5
"""Score from which a detection counts for a region's own IoU."""


@dataclass(frozen=True)
class Shown:
    """A drawn picture and its truth.

    classes: of each region of the case's layout, the category's name; None where it has none.
    open_real: the real picture as the suite shows it, of the same size.
    regions: what is found of each region is written here.
    """

    case: Case
    classes: Sequence[str | None]
    picture: Image.Image
    open_real: Callable[[], Image.Image]
    regions: Sequence[dict[str, Any]]

    def crops(self, picture: Image.Image) -> list[Image.Image]:
        """What the boxes show of the drawn or the real picture."""
        return [
            picture.crop(region.box.covered_pixels(*picture.size))
            for region in self.case.layout.regions
        ]


class Measure(Protocol):
    """names: of its figures, the ones it has when there is enough to measure."""

    names: Sequence[str]

    def add(self, batch: Sequence[Shown]) -> None:
        """Take pictures; may write into their regions."""

    def figures(self) -> dict[str, float]:
        """Name -> figure, of all that was taken; without those that nothing could be said of."""

    def by_category(self) -> dict[str, dict[str, float]]:
        """Category -> name -> figure."""

    def notes(self) -> list[str]:
        """What a reader should know of how it was measured."""

    def warnings(self) -> list[str]:
        """Of figures that say less than they seem to, and why."""


class FrechetMeasure:
    """`fid` of whole pictures, and of crops: `scene_fid_stretched` of the whole boxes, and
    `scene_fid_squared` of their middles, as the released code (cleanfid_call.py) cuts them.

    name: of the network. features: as open_features gives it.
    """

    names: Sequence[str] = ("fid", "scene_fid_stretched", "scene_fid_squared")

    def __init__(self, name: str, features: Any, device: str, batch_size: int):
        from train.evaluate.frechet import FrechetDistance

        self.name = name
        self.distances = {
            measured: FrechetDistance(features, device, batch_size) for measured in self.names
        }

    def add(self, batch: Sequence[Shown]) -> None:
        for real in (True, False):
            pictures = [shown.open_real() if real else shown.picture for shown in batch]
            crops = [
                crop
                for shown, picture in zip(batch, pictures, strict=True)
                for crop in shown.crops(picture)
            ]
            shown = {"fid": pictures, "scene_fid_stretched": crops}
            shown["scene_fid_squared"] = [middle_square(crop) for crop in crops]
            for measured, distance in self.distances.items():
                distance.add(shown[measured], real)

    def figures(self) -> dict[str, float]:
        found = {name: distance.result() for name, distance in self.distances.items()}
        return {name: figure for name, figure in found.items() if figure is not None}

    def by_category(self) -> dict[str, dict[str, float]]:
        return {}

    def notes(self) -> list[str]:
        whole, crops = (self.distances[name].count for name in self.names[:2])
        return [
            f"FID of {whole} pictures and SceneFID of {crops} crops, drawn and real, of the same "
            f"layouts, by {self.name}. Stretched: each box resized to a square; squared: only its "
            "middle square, as the released code does."
        ]

    def warnings(self) -> list[str]:
        shown = {"fid": ("FID", "pictures")}
        few = [
            f"{title} of {distance.count} {what} in {distance.dimensions} features is no estimate: "
            "with fewer than there are features their covariance is singular, and the figure says "
            f"more of the number than of the {what}; take at least {distance.dimensions}, and "
            "compare it only with figures of as many (the paper: 30,000 pictures)"
            for name, distance in self.distances.items()
            for title, what in [shown.get(name, (f"SceneFID {name.split('_')[-1]}", "crops"))]
            if 1 < distance.count < distance.dimensions
        ]
        return few


class ClipMeasure:
    """`clip_region_accuracy`: crops whose nearest category, by CLIP, is theirs, among all
    categories; `clip_cosine`, `clip_score`: of crops with their region texts."""

    names: Sequence[str] = ("clip_region_accuracy", "clip_score", "clip_cosine")

    def __init__(self, clip: ClipFeatures, categories: Sequence[str]):
        self.clip, self.categories = clip, list(categories)
        self.prompts = clip.of_texts([PROMPT.format(name=name) for name in categories])
        self._right: dict[str, list[bool]] = defaultdict(list)
        self._cosines: list[float] = []

    def add(self, batch: Sequence[Shown]) -> None:
        crops = self.clip.of_pictures([x for shown in batch for x in shown.crops(shown.picture)])
        texts = [region.text for shown in batch for region in shown.case.layout.regions]
        unlike = list(dict.fromkeys(texts))
        places = {text: place for place, text in enumerate(unlike)}
        text_features = self.clip.of_texts(unlike)[[places[text] for text in texts]]
        self.take(
            [region for shown in batch for region in shown.regions],
            [name for shown in batch for name in shown.classes],
            nearest_categories(crops, self.prompts),
            cosines(crops, text_features),
        )

    def take(
        self,
        regions: Sequence[dict[str, Any]],
        classes: Sequence[str | None],
        nearest: Sequence[int],
        similar: Sequence[float],
    ) -> None:
        """What was found of crops: the place of the nearest category, the cosine with the text."""
        for region, name, place, cosine in zip(regions, classes, nearest, similar, strict=True):
            region["clip_class"] = self.categories[place]
            region["clip_cosine"], region["clip_score"] = cosine, clip_score(cosine)
            self._cosines.append(cosine)
            if name is not None:
                region["class_right"] = self.categories[place] == name
                self._right[name].append(region["class_right"])

    def figures(self) -> dict[str, float]:
        found = {}
        if right := [x for some in self._right.values() for x in some]:
            found["clip_region_accuracy"] = mean(right)
        if self._cosines:
            found["clip_cosine"] = mean(self._cosines)
            found["clip_score"] = mean([clip_score(x) for x in self._cosines])
        return found

    def by_category(self) -> dict[str, dict[str, float]]:
        return {name: {"clip_region_accuracy": mean(right)} for name, right in self._right.items()}

    def notes(self) -> list[str]:
        return [
            f"By CLIP {self.clip.name}. CLIP region accuracy: the nearest of "
            f'{len(self.categories)} prompts "{PROMPT}" to the crop; the paper\'s region '
            "classification accuracy is that of a trained classifier, another figure. CLIP score: "
            "100 times the cosine of crop and region text, at least 0."
        ]

    def warnings(self) -> list[str]:
        return []


class DetectorMeasure:
    """`ap`, `ap50`, `ap75`: of a detector's boxes, the layout's being the truth; each region's
    `iou` is that with the best detection of its category with a score of CONFIDENT or more."""

    names: Sequence[str] = ("ap", "ap50", "ap75")

    def __init__(self, detector: Detector, categories: Sequence[str]):
        self.detector = detector
        known = {label.lower() for label in detector.labels}
        self.lacking = [name for name in categories if name.lower() not in known]
        self.known = [name for name in categories if name.lower() in known]
        if not self.known:
            raise ValueError(
                "the detector knows none of the set's categories "
                f"({', '.join(list(categories)[:5])}, ...): give one that was trained on them; "
                f"its labels begin with {', '.join(sorted(detector.labels)[:5])}"
            )
        self.tally = PrecisionTally(self.known, MIN_SCORE)

    def add(self, batch: Sequence[Shown]) -> None:
        found = self.detector.detect([shown.picture for shown in batch])
        for shown, detections in zip(batch, found, strict=True):
            self.take(shown, detections)

    def take(self, shown: Shown, detections: Detections) -> None:
        """What was detected in a picture."""
        layout = shown.case.layout
        named = [
            (name, region.box)
            for name, region in zip(shown.classes, layout.regions, strict=True)
            if name is not None
        ]
        self.tally.add(detections, named, (layout.width, layout.height))
        lacking = {name.lower() for name in self.lacking}
        for record, name, region in zip(shown.regions, shown.classes, layout.regions, strict=True):
            if name is not None and name.lower() not in lacking:
                record["iou"] = best_iou(detections, {name.lower()}, region.box, CONFIDENT)

    def figures(self) -> dict[str, float]:
        result = self.tally.result()
        if result is None:
            return {}
        return {"ap": result.ap, "ap50": result.ap50, "ap75": result.ap75}

    def by_category(self) -> dict[str, dict[str, float]]:
        result = self.tally.result()
        return {name: {"ap": ap} for name, ap in result.by_category.items()} if result else {}

    def notes(self) -> list[str]:
        notes = [
            f"By detector {self.detector.name}. AP: the mean over categories and IoU from 0.5 to "
            f"0.95, detections below {MIN_SCORE} left out."
        ]
        if self.lacking:
            notes.append(f"The detector lacks and AP leaves out: {', '.join(self.lacking)}.")
        return notes

    def warnings(self) -> list[str]:
        return []


def middle_square(picture: Image.Image) -> Image.Image:
    """As much of the middle as fits into a square of the shorter side."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def best_iou(
    detections: Detections, labels: set[str] | frozenset[str], box: Any, min_score: float
) -> float:
    """The best intersection over union with a detection of one of the (lower-case) labels."""
    fitting = (x for x in detections if x.label.lower() in labels and x.score >= min_score)
    return max((box_iou(x.box, box) for x in fitting), default=0.0)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def picture_score(regions: Sequence[Mapping[str, Any]]) -> float:
    """By which pictures are ranked, 0 to 1: the mean of the regions' `class_right` and `iou`, as
    far as measured; 0.5, neither among best nor worst, where there is nothing to go by."""
    values = [
        float(region[name])
        for region in regions
        for name in ("class_right", "iou")
        if name in region
    ]
    return mean(values) if values else 0.5
