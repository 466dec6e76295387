"""Average precision of detected boxes, as COCO defines it: pycocotools' COCOeval.

AP is the mean over intersections over union from 0.5 to 0.95 and over categories; AP50 and AP75
are those at one threshold. The boxes of the layout are the truth.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from reco_core.layout import Box
from train.evaluate.detection import Detections

TrueBox = tuple[str, Box]
"""A category and where it is to be, as fractions of the picture."""


@dataclass(frozen=True)
class AveragePrecision:
    """All from 0 to 1. by_category: AP of each category that is in the truth."""

    ap: float
    ap50: float
    ap75: float
    by_category: Mapping[str, float]


def average_precision(
    detections: Sequence[Detections],
    truth: Sequence[Sequence[TrueBox]],
    categories: Sequence[str],
    size: tuple[int, int] = (512, 512),
) -> AveragePrecision | None:
    """Average precision over pictures of a size: width, height in pixels; see PrecisionTally."""
    tally = PrecisionTally(categories)
    for found, boxes in zip(detections, truth, strict=True):
        tally.add(found, boxes, size)
    return tally.result()


class PrecisionTally:
    """Takes pictures one after the other and keeps numbers only.

    categories: what is counted; detections and true boxes of other labels are not. Labels are
    compared without regard to case.
    min_score: weaker detections are left out, which saves memory on large sets.
    """

    def __init__(self, categories: Sequence[str], min_score: float = 0.0):
        self.categories, self.min_score = list(categories), min_score
        self._ids = {name.lower(): number for number, name in enumerate(categories, start=1)}
        self._images: list[dict[str, Any]] = []
        self._truth: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []

    def add(self, detections: Detections, truth: Sequence[TrueBox], size: tuple[int, int]) -> None:
        """A picture: what was found in it, what is to be in it, its width and height in pixels."""
        self._images.append({"id": len(self._images) + 1})
        for label, box in truth:
            self._append(self._truth, label, box, size)
        for detection in detections:
            if detection.score >= self.min_score:
                self._append(
                    self._found, detection.label, detection.box, size, score=detection.score
                )

    def result(self) -> AveragePrecision | None:
        """The figures; None when no true box is of a category that is counted."""
        if not self._truth:
            return None
        from pycocotools.cocoeval import COCOeval

        with redirect_stdout(io.StringIO()):  # it prints as it goes
            evaluation = COCOeval(self._coco(self._truth), self._coco(self._found), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        # (thresholds, recalls, categories, areas, numbers of detections); -1 where there is none
        precision = evaluation.eval["precision"][:, :, :, 0, -1]
        by_category = {
            self.categories[place]: float(own[own > -1].mean())
            for place in range(len(self.categories))
            if (own := precision[:, :, place]).max() > -1
        }
        ap, ap50, ap75 = (float(figure) for figure in evaluation.stats[:3])
        return AveragePrecision(ap, ap50, ap75, by_category)

    def _append(
        self,
        rows: list[dict[str, Any]],
        label: str,
        box: Box,
        size: tuple[int, int],
        **more: float,
    ) -> None:
        category = self._ids.get(label.lower())
        if category is None:
            return
        x0, y0, x1, y1 = box.to_pixels(*size)
        rows.append(
            {
                "id": len(rows) + 1,
                "image_id": len(self._images),
                "category_id": category,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
                **more,
            }
        )

    def _coco(self, rows: list[dict[str, Any]]) -> Any:
        from pycocotools.coco import COCO

        coco = COCO()
        categories = [{"id": number, "name": name} for name, number in self._ids.items()]
        coco.dataset = {"images": self._images, "categories": categories, "annotations": rows}
        coco.createIndex()
        return coco
