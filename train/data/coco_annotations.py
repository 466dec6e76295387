"""COCO's annotations as columns, some 60 bytes each, so that large sets fit in memory."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from reco_core.checks import check_text, quote
from reco_core.coco import annotation_bbox, is_region, own_text
from train.data.problems import Unusable

ABSENT = -1
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d{0,17}))(?:\.0+)?")


def identity(value: Any, what: str) -> int | str:
    """An id as it is compared: 7, 7.0, "7" and "7.0" are the same. Raises ValueError for none."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip():
        whole = _WHOLE.fullmatch(value.strip())
        return int(whole[1]) if whole else value.strip()
    raise ValueError(f"{what} must be a number or a text, got {quote(value)}")


class Annotations:
    """Annotations of one thing each; `take` fits json.loads as object_hook.

    file: their file's name, for messages. crowds: how many were of many things. broken: image, why
    and which kind of problem, of those that cannot be used.
    """

    def __init__(self, file: str, own_texts: bool = True) -> None:
        self.file, self.own_texts = file, own_texts
        self.images: dict[Any, int] = {}
        self.categories: dict[Any, int] = {}
        self.texts: dict[str, int] = {}
        self.broken: list[tuple[Any, str, str]] = []
        self.seen = self.crowds = 0
        self.id_of = array("q")
        self.image_of, self.category_of, self.own_text_of = array("i"), array("i"), array("i")
        self.bbox = array("d")

    def take(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Keep an annotation's numbers and return None in its place; pass on what is none."""
        if "image_id" not in data or "file_name" in data:
            return data
        self.add(data)
        return None

    def add(self, annotation: Any) -> None:
        """Keep an annotation's numbers, or note why it cannot be used."""
        self.seen += 1
        image = None
        try:
            if not isinstance(annotation, Mapping) or "image_id" not in annotation:
                raise Unusable(f"has no image_id: {quote(annotation)}", "stray")
            image = identity(annotation["image_id"], "image_id")
            if is_region(annotation):
                self._keep(image, annotation)
            else:
                self.crowds += 1
        except ValueError as error:
            reason = f"{self._name(self._mark(annotation))} left out: {error}"
            self.broken.append((image, reason, getattr(error, "kind", "box")))

    def name(self, row: int) -> str:
        """What a message calls an annotation that was kept."""
        return self._name(self.id_of[row])

    def text_of(self, names: Mapping[Any, Any]) -> np.ndarray:
        """Of every annotation, its text's number in `texts`; ABSENT where there is none."""
        of_category = [self._text(names.get(category)) for category in self.categories]
        own = np.array(self.own_text_of, np.int32)
        by_category = np.array(of_category, np.int32)[np.array(self.category_of, np.int32)]
        return np.where(own == ABSENT, by_category, own)

    def _keep(self, image: int | str, annotation: Mapping[str, Any]) -> None:
        try:
            bbox = array("d", annotation_bbox(annotation))
        except (TypeError, OverflowError):
            written = quote(annotation["bbox"])
            raise ValueError(
                f"bbox {written} is not four finite numbers [x, y, width, height]"
            ) from None
        category = annotation.get("category_id")
        if category is not None:
            category = identity(category, "category_id")
        text = self._text(own_text(annotation)) if self.own_texts else ABSENT
        self.bbox.extend(bbox)
        self.id_of.append(self._mark(annotation))
        self.image_of.append(self.images.setdefault(image, len(self.images)))
        self.category_of.append(self.categories.setdefault(category, len(self.categories)))
        self.own_text_of.append(text)

    def _text(self, text: Any) -> int:
        if not isinstance(text, str) or not text.strip():
            return ABSENT
        try:
            check_text("text", text)
        except ValueError as error:
            raise Unusable(str(error), "text") from None
        return self.texts.setdefault(text, len(self.texts))

    def _mark(self, annotation: Any) -> int:
        """Its id where that is a number that an array holds, else minus its place, from 1."""
        id_ = annotation.get("id") if isinstance(annotation, Mapping) else None
        return id_ if type(id_) is int and 0 <= id_ < 2**62 else -self.seen

    def _name(self, mark: int) -> str:
        name = f"annotation {mark}" if mark >= 0 else f"annotation number {-mark} (from 1)"
        return f"{self.file}, {name}"
