"""COCO's pictures with their annotations: what a FileSet of them reads from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reco_core.boxes import box_inside
from reco_core.checks import pixel_side, quote
from reco_core.layout import Region
from train.data.coco_annotations import ABSENT, Annotations, identity
from train.data.decode import UNREADABLE, picture_size
from train.data.files import Entry
from train.data.names import PictureFinder
from train.data.problems import Problem
from train.data.regions import listing, sticks_out


class CocoIndex:
    """Annotations grouped by picture, without those that are not legal.

    images: COCO's image objects. names: of categories. captions: by image id.
    """

    def __init__(
        self,
        folder: Path,
        images: Sequence[Any],
        found: Annotations,
        names: Mapping[Any, Any],
        captions: Mapping[Any, Sequence[str]],
        limit: int = 0,
    ):
        self.folder, self.finder, self.file = folder, PictureFinder(folder), found.file
        self.problems: list[Problem] = []
        self.clipped, self.crowds = 0, found.crowds
        self._unknown = set(found.images)
        ids = self._read_pictures(images, limit)
        self._group(found, names, {id_: place for place, id_ in enumerate(ids)})
        self.captions = [tuple(captions.get(id_, ())) for id_ in ids]
        self.order = [place for place in range(len(ids)) if self._is_described(place)]

    def __len__(self) -> int:
        return len(self.order)

    def key(self, index: int) -> str:
        """Of entry `index`, whether or not its picture is there."""
        return self.names[self.order[index]]

    def entry(self, index: int) -> Entry:
        place = self.order[index]
        width, height = self.sizes[place]
        rows = slice(self.starts[place], self.starts[place + 1])
        regions = []
        for bbox, text in zip(self.bbox[rows].tolist(), self.text[rows].tolist(), strict=True):
            box = box_inside(*_fractions(bbox, width, height))
            if box is not None:  # those without area are not in the index
                regions.append(Region(self.texts[text], box))
        captions = self.captions[place] or (listing(region.text for region in regions),)
        name = self.names[place]
        return Entry(name, self.finder.find(name), captions, tuple(regions), (width, height))

    def _read_pictures(self, images: Sequence[Any], limit: int) -> list[Any]:
        """Names and sizes of the first pictures; returns their ids."""
        self.names: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        ids: dict[Any, None] = {}
        for number, image in enumerate(images, 1):
            name = f"{self.file}, image number {number} (from 1)"
            try:
                id_, file_name = _id_and_name(image)
                self._unknown.discard(id_)
                if limit and number > limit:
                    continue
                name = file_name
                if id_ in ids:
                    raise ValueError(f"another picture in {self.file} has the same id, {id_!r}")
                size = self._size(image, name)
            except UNREADABLE as error:
                self.problems.append(Problem.of(name, error))
                continue
            ids[id_] = None
            self.names.append(name)
            self.sizes.append(size)
        return list(ids)

    def _size(self, image: Mapping[str, Any], name: str) -> tuple[int, int]:
        """Width and height that an entry says; where it does not, those of the picture."""
        told = image.get("width"), image.get("height")
        if not all(told):
            return picture_size(self.finder.find(name))
        return _side("width", told[0]), _side("height", told[1])

    def _group(
        self, found: Annotations, names: Mapping[Any, Any], places: Mapping[Any, int]
    ) -> None:
        """Sort the legal annotations by picture; note why others are left out."""
        for image, reason, kind in found.broken:
            self._leave_out(image, places, reason, kind)
        text, bbox = found.text_of(names), np.array(found.bbox).reshape(-1, 4)
        self.texts = list(found.texts)
        place_of = np.array([places.get(image, ABSENT) for image in found.images], np.int32)
        place = place_of[np.array(found.image_of, np.int32)]
        legal = place != ABSENT
        images = list(found.images)
        for row in np.flatnonzero(self._is_doubtful(bbox, text, place)).tolist():
            image = images[found.image_of[row]]
            reason, kind = self._fault(image, bbox[row].tolist(), int(text[row]), places)
            if kind:
                legal[row] = False
                self._leave_out(image, places, f"{found.name(row)} left out: {reason}", kind)
        order = np.flatnonzero(legal)[np.argsort(place[legal], kind="stable")]
        self.bbox, self.text = bbox[order], text[order]
        self.starts = np.searchsorted(place[order], np.arange(len(places) + 1)).tolist()

    def _is_doubtful(self, bbox: np.ndarray, text: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Rows to look at one by one: all but boxes of known pictures that lie inside them."""
        sizes = np.array(self.sizes, float).reshape(-1, 2)
        size = sizes[place] if len(sizes) else np.zeros((len(place), 2))
        inside = (bbox[:, :2] >= 0) & (bbox[:, 2:] > 0) & (bbox[:, :2] + bbox[:, 2:] <= size)
        return ~inside.all(axis=1) | (text == ABSENT) | (place == ABSENT)

    def _fault(
        self, image: Any, bbox: list[float], text: int, places: Mapping[Any, int]
    ) -> tuple[str, str]:
        """Why a doubtful annotation cannot be used, and the kind of problem; empty if it can."""
        if image not in places:
            return "", "stray"
        if text == ABSENT:
            return f"bbox {bbox} has neither a text nor a category with a name", "text"
        width, height = self.sizes[places[image]]
        corners = _fractions(bbox, width, height)
        try:
            if box_inside(*corners) is None:
                return f"bbox {bbox} has no area in a picture of {width} x {height} pixels", "area"
        except ValueError:
            return f"bbox {bbox} is not four finite numbers [x, y, width, height]", "box"
        self.clipped += sticks_out(corners)
        return "", ""

    def _leave_out(self, image: Any, places: Mapping[Any, int], reason: str, kind: str) -> None:
        """Note why an annotation is left out; those of pictures that are not wanted are not."""
        if image in places:
            self.problems.append(Problem(self.names[places[image]], reason, kind))
        elif image is None:
            self.problems.append(Problem(self.file, reason, kind))
        elif image in self._unknown:
            reason = f"is annotated, but {self.file} has no image of this id"
            self.problems.append(Problem(f"image {image!r}", reason, "stray"))

    def _is_described(self, place: int) -> bool:
        if self.captions[place] or self.starts[place] < self.starts[place + 1]:
            return True
        reason = "has neither a caption nor a region"
        self.problems.append(Problem(self.names[place], reason, "silent"))
        return False


def _id_and_name(image: Any) -> tuple[int | str, str]:
    if not isinstance(image, Mapping):
        raise ValueError(f"is no object, but {quote(image)}")
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"has no file_name: {quote(image)}")
    return identity(image.get("id"), f"id of {quote(name)}"), name


def _side(name: str, value: Any) -> int:
    """Pixels as exporters write them: 640, 640.0, "640"."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    return pixel_side(name, value)


def _fractions(bbox: Sequence[float], width: int, height: int) -> tuple[float, ...]:
    x, y, w, h = bbox
    return x / width, y / height, (x + w) / width, (y + h) / height
