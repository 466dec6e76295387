"""Folders of pictures with files beside them: X.bbox says where things are, X.txt what is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from reco_core import sidecar
from train.data.class_names import class_names
from train.data.files import FileSet, folder_of, parse_json
from train.data.folder import CAPTIONS, FolderIndex, Said, decoded, read_captions
from train.data.names import Files, beside
from train.data.regions import FoundRegions, choose_captions, find_regions
from train.data.set_config import SetConfig
from train.options import Place, options


@options
class SidecarsConfig(SetConfig):
    """A folder of pictures with X.bbox and X.txt beside them."""

    kind: Literal["bbox"] = "bbox"
    path: Place = ""
    """The folder, read with all folders in it."""


def open_sidecars(config: SidecarsConfig, size: int = 0) -> FileSet:
    """size: of pictures that are drawn, which these are not.

    Every line of X.txt or X.caption is a caption. A picture without .bbox has no regions. Where
    X.bbox has YOLO's lines, their classes have names in data.yaml or classes.txt.
    Raises ValueError when there is no such folder.
    """
    folder = folder_of(config.path, "folder of pictures and .bbox files")
    return FileSet(FolderIndex(folder, SidecarReader(folder), config.samples))


class SidecarReader:
    """Reads X.bbox, and X.txt or X.caption, of X.png."""

    suffixes = (sidecar.SUFFIX, *CAPTIONS)

    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def class_names(self) -> Mapping[int, str]:
        """Looked for when there are YOLO's lines to read."""
        return class_names(self.folder).names

    def names(self, key: str) -> tuple[str, ...]:
        return tuple(beside(key, suffix) for suffix in self.suffixes)

    def read(self, key: str, files: Files) -> Said:
        boxes, *captions = self.names(key)
        told = files.read(boxes)
        found = parse_boxes(key, *told, lambda: self.class_names) if told else FoundRegions()
        return Said(choose_captions(read_captions(files.read(*captions)), found), found)


def parse_boxes(
    key: str, name: str, data: bytes, names: Callable[[], Mapping[int, str]] = dict
) -> FoundRegions:
    """The regions of a .bbox file in any of its forms. Raises ValueError when it is none.

    names: of classes, asked for where there are YOLO's lines.
    """
    try:
        entries = sidecar.sidecar_entries(decoded(name, data), parse_json)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"broken .bbox file: {error}; correct or remove {name}") from None
    has_lines = any(isinstance(entry, str) for entry in entries)
    read = partial(sidecar.label_and_corners, names=names() if has_lines else {})
    return find_regions(key, entries, read, Path(name).name)
