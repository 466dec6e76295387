"""COCO: an instances file, a captions file, a folder of pictures.

Annotations are kept as arrays, some 50 bytes each, so that large sets fit and reach reading
processes quickly. What a legal annotation is, reco_core.coco and reco_core.boxes say.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reco_core.boxes import box_inside
from reco_core.checks import pixel_side, quote
from reco_core.coco import annotation_bbox, is_region, own_text
from reco_core.layout import Region
from train.data.files import Entry, FileSet, folder_of, picture_size, read_json_file
from train.data.regions import listing, sticks_out
from train.data.sample import Problem
from train.data.set_config import SetConfig
from train.options import options

_ABSENT = -1


@options
class CocoConfig(SetConfig):
    """A folder of pictures with COCO's files."""

    kind: Literal["coco"] = "coco"
    path: str = ""
    """Folder of pictures."""
    annotations: str = ""
    """The instances file."""
    captions: str = ""
    """The captions file; without one, the caption lists what is in the picture."""


def open_coco(config: CocoConfig, size: int = 0, own_texts: bool = True) -> FileSet:
    """size: of pictures that are drawn, which these are not.

    own_texts: whether words that an annotation brings go before its category's name.

    A region's text is what its annotation says, else its category's name; crowds are no regions. A
    picture without caption gets the list of its texts as one.

    Raises:
        ValueError: a file cannot be read, or is not COCO's.
    """
    folder, annotations = folder_of(config.path, "folder of COCO's pictures"), config.annotations
    if not annotations:
        raise ValueError("annotations is empty: name COCO's instances file")
    found = Annotations(own_texts)
    data = read_json_file(Path(annotations).expanduser(), "instances file", found.take)
    if not isinstance(data, Mapping) or not isinstance(data.get("images"), list):
        raise ValueError(f"{annotations!r} is not COCO's instances file: it has no list of images")
    names = {c.get("id"): c.get("name") for c in data.get("categories", [])}
    words = read_captions(Path(config.captions).expanduser()) if config.captions else {}
    return FileSet(CocoIndex(folder, data["images"], found, names, words, config.samples))


def read_captions(path: Path) -> dict[Any, list[str]]:
    """The captions of every image id. Raises ValueError when it is no captions file."""
    captions = defaultdict(list)

    def take(data: dict[str, Any]) -> dict[str, Any] | None:
        if "image_id" not in data:
            return data
        text = data.get("caption")
        if isinstance(text, str) and text.strip():
            captions[data["image_id"]].append(text)
        return None

    data = read_json_file(path, "captions file", take)
    if not isinstance(data, Mapping) or "annotations" not in data:
        raise ValueError(f"{str(path)!r} is not COCO's captions file: it has no annotations")
    return dict(captions)


class Annotations:
    """Annotations of one thing each, as columns; `take` fits json.loads as object_hook."""

    def __init__(self, own_texts: bool = True) -> None:
        self.own_texts = own_texts
        self.images: dict[Any, int] = {}
        self.categories: dict[Any, int] = {}
        self.texts: dict[str, int] = {}
        self.broken: list[tuple[Any, str]] = []
        self.image_of, self.category_of, self.own_text_of = array("i"), array("i"), array("i")
        self.bbox = array("d")

    def take(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Keep an annotation's numbers and return None in its place; pass on what is none."""
        if "image_id" not in data:
            return data
        if is_region(data):
            self.add(data)
        return None

    def add(self, annotation: Mapping[str, Any]) -> None:
        image = annotation["image_id"]
        try:
            bbox = array("d", annotation_bbox(annotation))
        except (ValueError, TypeError) as error:
            self.broken.append((image, str(error)))
            return
        text = own_text(annotation) if self.own_texts else None
        category = annotation.get("category_id")
        self.bbox.extend(bbox)
        self.image_of.append(self.images.setdefault(image, len(self.images)))
        self.category_of.append(self.categories.setdefault(category, len(self.categories)))
        self.own_text_of.append(_ABSENT if text is None else self._text(text))

    def text_of(self, names: Mapping[Any, Any]) -> np.ndarray:
        """Of every annotation, its text's number in `texts`; -1 where there is none."""
        of_category = [self._text(names.get(category)) for category in self.categories]
        own = np.array(self.own_text_of, np.int32)
        by_category = np.array(of_category, np.int32)[np.array(self.category_of, np.int32)]
        return np.where(own == _ABSENT, by_category, own)

    def _text(self, text: Any) -> int:
        if not isinstance(text, str) or not text.strip():
            return _ABSENT
        return self.texts.setdefault(text, len(self.texts))


class CocoIndex:
    """Annotations grouped by picture, without those that are not legal.

    images: COCO's image objects. names: of categories. captions: by image id.
    """

    def __init__(
        self,
        folder: Path,
        images: Sequence[Mapping[str, Any]],
        found: Annotations,
        names: Mapping[Any, Any],
        captions: Mapping[Any, list[str]],
        limit: int = 0,
    ):
        self.folder = folder
        self.problems: list[Problem] = []
        self.clipped = 0
        self._known = {image.get("id") for image in images}
        ids = self._read_pictures(images[: limit or None])
        self._group(found, names, {id_: place for place, id_ in enumerate(ids)})
        self.captions = [tuple(captions.get(id_, ())) for id_ in ids]
        self.order = [place for place in range(len(ids)) if self._is_described(place)]

    def __len__(self) -> int:
        return len(self.order)

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
        return Entry(name, self.folder / name, captions, tuple(regions), (width, height))

    def _read_pictures(self, images: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Names and sizes of the pictures; returns their ids."""
        self.names: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        ids: dict[Any, None] = {}
        for image in images:
            id_, name = image.get("id"), image.get("file_name")
            try:
                if not isinstance(name, str) or not name:
                    raise ValueError(f"has no file_name: {quote(image)}")
                if id_ in ids:
                    raise ValueError(f"another picture has the same id, {id_!r}")
                size = self._size(image, self.folder / name)
            except (ValueError, OSError) as error:
                self.problems.append(Problem(name or f"image {id_!r}", str(error)))
                continue
            ids[id_] = None
            self.names.append(name)
            self.sizes.append(size)
        return list(ids)

    @staticmethod
    def _size(image: Mapping[str, Any], path: Path) -> tuple[int, int]:
        if "width" not in image or "height" not in image:
            return picture_size(path)
        return pixel_side("width", image["width"]), pixel_side("height", image["height"])

    def _group(
        self, found: Annotations, names: Mapping[Any, Any], places: Mapping[Any, int]
    ) -> None:
        """Sort the legal annotations by picture; note why others are left out."""
        for image, reason in found.broken:
            self._leave_out(image, places, reason)
        text, bbox = found.text_of(names), np.array(found.bbox).reshape(-1, 4)
        self.texts = list(found.texts)
        place_of = np.array([places.get(image, _ABSENT) for image in found.images], np.int32)
        place = place_of[np.array(found.image_of, np.int32)]
        legal = place != _ABSENT
        images = list(found.images)
        for row in np.flatnonzero(self._is_doubtful(bbox, text, place)):
            image = images[found.image_of[row]]
            legal[row] = self._check(image, bbox[row].tolist(), int(text[row]), places)
        order = np.flatnonzero(legal)[np.argsort(place[legal], kind="stable")]
        self.bbox, self.text = bbox[order], text[order]
        self.starts = np.searchsorted(place[order], np.arange(len(places) + 1)).tolist()

    def _is_doubtful(self, bbox: np.ndarray, text: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Rows to look at one by one: all but boxes of known pictures that lie inside them."""
        sizes = np.array(self.sizes, float).reshape(-1, 2)
        size = sizes[place] if len(sizes) else np.zeros((len(place), 2))
        inside = (bbox[:, :2] >= 0) & (bbox[:, 2:] > 0) & (bbox[:, :2] + bbox[:, 2:] <= size)
        return ~inside.all(axis=1) | (text == _ABSENT) | (place == _ABSENT)

    def _check(self, image: Any, bbox: list[float], text: int, places: Mapping[Any, int]) -> bool:
        """Whether a doubtful annotation can be used."""
        if image not in places or text == _ABSENT:
            reason = f"bbox {bbox} has neither a text nor a category with a name"
            return self._leave_out(image, places, reason)
        width, height = self.sizes[places[image]]
        corners = _fractions(bbox, width, height)
        try:
            if box_inside(*corners) is None:
                reason = f"bbox {bbox} has no area in a picture of {width} x {height} pixels"
                return self._leave_out(image, places, reason)
        except ValueError:
            reason = f"bbox {bbox} is not four finite numbers [x, y, width, height]"
            return self._leave_out(image, places, reason)
        self.clipped += sticks_out(corners)
        return True

    def _leave_out(self, image: Any, places: Mapping[Any, int], reason: str) -> bool:
        """Note why an annotation is left out; those of pictures that are not wanted are not."""
        if image in places:
            self.problems.append(Problem(self.names[places[image]], f"region left out: {reason}"))
        elif image not in self._known:
            self.problems.append(Problem(f"image {image!r}", "is annotated, but not in the file"))
        return False

    def _is_described(self, place: int) -> bool:
        if self.captions[place] or self.starts[place] < self.starts[place + 1]:
            return True
        self.problems.append(Problem(self.names[place], "has neither a caption nor a region"))
        return False


def _fractions(bbox: Sequence[float], width: int, height: int) -> tuple[float, ...]:
    x, y, w, h = bbox
    return x / width, y / height, (x + w) / width, (y + h) / height
