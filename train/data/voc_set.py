"""Pascal VOC: an XML file for each picture, beside it, or in Annotations/ for JPEGImages/."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal
from xml.etree import ElementTree

from reco_core.checks import pixel_side, quote
from reco_core.limits import MAX_DOCUMENT
from train.data.decode import picture_size
from train.data.files import FileSet, folder_of
from train.data.folder import CAPTIONS, FolderIndex, Said, decoded, in_folder_instead, read_captions
from train.data.names import Files, beside
from train.data.problems import Unusable
from train.data.regions import FoundRegions, choose_captions, find_regions
from train.data.set_config import SetConfig
from train.options import Place, options

_SIDES = ("xmin", "ymin", "xmax", "ymax")


@options
class VocConfig(SetConfig):
    """Pictures with Pascal VOC's XML files, as LabelImg, CVAT and Roboflow write them too."""

    kind: Literal["voc"] = "voc"
    path: Place = ""
    """The folder, read with all folders in it."""
    split: str = ""
    """Only pictures that ImageSets/Main/SPLIT.txt lists; empty: all."""


def open_voc(config: VocConfig, size: int = 0) -> FileSet:
    """size: of pictures that are drawn, which these are not.

    A region's text is its object's name. Captions are the lines of X.txt or X.caption beside a
    picture. Pixels are counted from 1, as VOC does: a box begins at xmin - 1.

    Raises ValueError when there is no such folder or split.
    """
    folder = folder_of(config.path, "folder of pictures and VOC's XML files")
    stems = _split(folder, config.split) if config.split else frozenset()

    def is_chosen(key: PurePosixPath) -> bool:
        return not config.split or key.stem in stems

    return FileSet(FolderIndex(folder, VocReader(folder), config.samples, is_chosen))


class VocReader:
    """Reads Annotations/X.xml of JPEGImages/X.jpg, or X.xml beside it."""

    suffixes = (".xml", *CAPTIONS)

    def __init__(self, folder: Path):
        self.folder = folder

    def names(self, key: str) -> tuple[str, ...]:
        return (*self._annotations(key), *(beside(key, suffix) for suffix in CAPTIONS))

    def read(self, key: str, files: Files) -> Said:
        told = files.read(*self._annotations(key))
        found, size = self._objects(key, *told) if told else (FoundRegions(), None)
        captions = read_captions(files.read(*(beside(key, suffix) for suffix in CAPTIONS)))
        return Said(choose_captions(captions, found), found, size)

    def _annotations(self, key: str) -> tuple[str, ...]:
        swaps = (("JPEGImages", "Annotations"), ("images", "annotations"))
        elsewhere = (in_folder_instead(self.folder, key, *swap, ".xml") for swap in swaps)
        return (*(name for names in elsewhere for name in names), beside(key, ".xml"))

    def _objects(self, key: str, name: str, data: bytes) -> tuple[FoundRegions, tuple[int, int]]:
        root = parse_xml(name, decoded(name, data))
        size = _size(root) or picture_size(self.folder / key)
        read = partial(_object, width=size[0], height=size[1])
        return find_regions(key, root.findall("object"), read, PurePosixPath(name).name), size


def parse_xml(name: str, text: str) -> ElementTree.Element:
    """The root of an XML file. One that declares entities is refused: they may expand without end.

    Raises ValueError, with the file's name.
    """
    if len(text) > MAX_DOCUMENT:
        raise ValueError(f"{name} has more than {MAX_DOCUMENT:,} characters: it is no VOC file")
    if "<!DOCTYPE" in text:
        raise ValueError(f"{name} has a DOCTYPE, which VOC's files have not: take it out")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{name} is not XML ({error}): correct or remove it") from None


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Width and height that a file says; None where it says none, or 0."""
    told = [(root.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    numbers = [float(text) if text.replace(".", "", 1).isdecimal() else 0.0 for text in told]
    if not all(numbers):
        return None
    sides = (int(number) if number.is_integer() else number for number in numbers)
    width, height = (pixel_side(*side) for side in zip(("width", "height"), sides, strict=True))
    return width, height


def _object(
    element: ElementTree.Element, width: int, height: int
) -> tuple[str | None, tuple[float, ...]]:
    """An object's name and its corners, as fractions of a picture of so many pixels."""
    name, box = element.findtext("name"), element.find("bndbox")
    if box is None:
        raise ValueError(f"object {quote(name)} has no bndbox: give it one")
    told = [(box.findtext(side) or "").strip() for side in _SIDES]
    try:
        x0, y0, x1, y1 = map(float, told)
    except ValueError:
        raise ValueError(
            f"bndbox of {quote(name)} has {quote(told)} as {', '.join(_SIDES)}: give four numbers"
        ) from None
    if not (name or "").strip():
        raise Unusable("object has no name: give it one", "text")
    x0, y0 = (start - 1 if start >= 1 else start for start in (x0, y0))
    return name, (x0 / width, y0 / height, x1 / width, y1 / height)


def _split(folder: Path, split: str) -> frozenset[str]:
    """The stems of a split's pictures."""
    places = sorted(folder.rglob(f"ImageSets/Main/{split}.txt"))
    if not places:
        raise ValueError(f"split = {split!r}: there is no ImageSets/Main/{split}.txt in {folder}")
    lines = decoded(places[0].name, places[0].read_bytes()).splitlines()
    return frozenset(line.split()[0] for line in lines if line.split())
