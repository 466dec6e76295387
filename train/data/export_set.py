"""A set written as pictures and words on disk, in a form that other kinds and trainers read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

from reco_core.atomic import write_folder_atomically
from reco_core.layout import Box, Layout
from reco_core.sidecar import SUFFIX, layout_to_sidecar
from train.data.sample import Sample

Shown = tuple[Sample, Sequence[str]]
"""A sample, and the name of the thing in each of its regions."""


def export_set(samples: Iterable[Shown], folder: Path, form: str, things: Sequence[str]) -> int:
    """Write samples to a new folder, pictures as PNG; returns how many.

    form: json_lines: `set.jsonl` beside the pictures; bbox: X.bbox and X.txt beside each; coco:
        `instances.json`, with a category for each thing and the regions' texts as captions, and
        `captions.json`; voc: X.xml, with the regions' texts as names, and X.txt; yolo: X.txt, with
        the things as classes, which `classes.txt` names, and X.caption.
    things: the names of all, so that categories and classes are the same in every export.

    Raises:
        ValueError: an unknown form, or the folder is there already.
    """
    if form not in _WRITERS:
        raise ValueError(f"{form!r} is no form of set to write: choose from {', '.join(_WRITERS)}")
    if folder.exists():
        raise ValueError(f"{str(folder)!r} is there already: name a new folder")
    count = 0

    def write(new: Path) -> None:
        nonlocal count
        writer = _WRITERS[form](new, things)
        for count, (sample, shown) in enumerate(samples, 1):
            name = f"{count - 1:06d}.png"
            image = sample.open()
            image.save(new / name)
            writer.add(name, image, sample, shown)
        writer.finish()

    write_folder_atomically(folder, write)
    return count


class _JsonLines:
    def __init__(self, folder: Path, things: Sequence[str]):
        self.file = (folder / "set.jsonl").open("w", encoding="utf-8")

    def add(self, name: str, image: Image.Image, sample: Sample, shown: Sequence[str]) -> None:
        regions = [{"text": region.text, "box": _corners(region.box)} for region in sample.regions]
        line = {
            "image": name,
            "captions": sample.captions,
            "regions": regions,
            "width": image.width,
            "height": image.height,
        }
        self.file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        self.file.close()


class _Sidecars:
    def __init__(self, folder: Path, things: Sequence[str]):
        self.folder = folder

    def add(self, name: str, image: Image.Image, sample: Sample, shown: Sequence[str]) -> None:
        path = self.folder / name
        boxes = layout_to_sidecar(Layout("", sample.regions))
        path.with_suffix(SUFFIX).write_text(boxes, encoding="utf-8")
        path.with_suffix(".txt").write_text("\n".join(sample.captions) + "\n", encoding="utf-8")

    def finish(self) -> None:
        pass


class _Coco:
    def __init__(self, folder: Path, things: Sequence[str]):
        self.folder = folder
        self.categories = {name: number for number, name in enumerate(things, 1)}
        self.images: list[Any] = []
        self.annotations: list[Any] = []
        self.captions: list[Any] = []

    def add(self, name: str, image: Image.Image, sample: Sample, shown: Sequence[str]) -> None:
        number, (width, height) = len(self.images), image.size
        self.images.append({"id": number, "file_name": name, "width": width, "height": height})
        self.captions += [
            {"id": len(self.captions) + i, "image_id": number, "caption": caption}
            for i, caption in enumerate(sample.captions)
        ]
        for region, thing in zip(sample.regions, shown, strict=True):
            x0, y0, x1, y1 = _in_pixels(region.box, image)
            self.annotations.append(
                {
                    "id": len(self.annotations),
                    "image_id": number,
                    "category_id": self.categories[thing],
                    "caption": region.text,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )

    def finish(self) -> None:
        categories = [{"id": id_, "name": name} for name, id_ in self.categories.items()]
        told = {"images": self.images, "annotations": self.annotations, "categories": categories}
        captions = {"images": self.images, "annotations": self.captions}
        for name, content in (("instances", told), ("captions", captions)):
            text = json.dumps(content, ensure_ascii=False)
            (self.folder / f"{name}.json").write_text(text, encoding="utf-8")


class _Voc:
    def __init__(self, folder: Path, things: Sequence[str]):
        self.folder = folder

    def add(self, name: str, image: Image.Image, sample: Sample, shown: Sequence[str]) -> None:
        root = ElementTree.Element("annotation")
        _element(root, "filename", name)
        size = ElementTree.SubElement(root, "size")
        for side, pixels in (("width", image.width), ("height", image.height), ("depth", 3)):
            _element(size, side, pixels)
        for region in sample.regions:
            thing = ElementTree.SubElement(root, "object")
            _element(thing, "name", region.text)
            box = ElementTree.SubElement(thing, "bndbox")
            x0, y0, x1, y1 = _in_pixels(region.box, image)
            for side, place in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
                _element(box, side, f"{place:g}")
        path = self.folder / name
        ElementTree.indent(root)
        path.with_suffix(".xml").write_text(ElementTree.tostring(root, "unicode"), encoding="utf-8")
        path.with_suffix(".txt").write_text("\n".join(sample.captions) + "\n", encoding="utf-8")

    def finish(self) -> None:
        pass


class _Yolo:
    def __init__(self, folder: Path, things: Sequence[str]):
        self.folder = folder
        self.classes = {name: number for number, name in enumerate(things)}
        (folder / "classes.txt").write_text("\n".join(things) + "\n", encoding="utf-8")

    def add(self, name: str, image: Image.Image, sample: Sample, shown: Sequence[str]) -> None:
        lines = (
            f"{self.classes[thing]} {(box.x0 + box.x1) / 2:.8f} {(box.y0 + box.y1) / 2:.8f} "
            f"{box.x1 - box.x0:.8f} {box.y1 - box.y0:.8f}\n"
            for thing, box in zip(shown, (region.box for region in sample.regions), strict=True)
        )
        path = self.folder / name
        path.with_suffix(".txt").write_text("".join(lines), encoding="utf-8")
        captions = "\n".join(sample.captions) + "\n"
        path.with_suffix(".caption").write_text(captions, encoding="utf-8")

    def finish(self) -> None:
        pass


_WRITERS: dict[str, Callable[[Path, Sequence[str]], Any]] = {
    "json_lines": _JsonLines,
    "bbox": _Sidecars,
    "coco": _Coco,
    "voc": _Voc,
    "yolo": _Yolo,
}


def _corners(box: Box) -> list[float]:
    return [box.x0, box.y0, box.x1, box.y1]


def _in_pixels(box: Box, image: Image.Image) -> tuple[float, float, float, float]:
    return (
        box.x0 * image.width,
        box.y0 * image.height,
        box.x1 * image.width,
        box.y1 * image.height,
    )


def _element(parent: ElementTree.Element, name: str, value: object) -> None:
    ElementTree.SubElement(parent, name).text = str(value)
