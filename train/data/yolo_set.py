"""YOLO: folders of pictures, and of a text file for each with a class and a box a line."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from reco_core.yolo import read_yolo_line
from train.data.class_names import class_names
from train.data.files import FileSet, folder_of
from train.data.folder import FolderIndex, Said, decoded, in_folder_instead, read_captions
from train.data.names import Files, beside
from train.data.regions import FoundRegions, choose_captions, find_regions
from train.data.set_config import SetConfig
from train.options import Place, options


@options
class YoloConfig(SetConfig):
    """Pictures with YOLO's text files: beside them, or in labels/ for those in images/."""

    kind: Literal["yolo"] = "yolo"
    path: Place = ""
    """The folder, read with all folders in it."""
    split: str = ""
    """Only pictures in a folder of this name, as train; empty: all."""
    names: Place = ""
    """File of the classes' names; empty: data.yaml or classes.txt, in the folder or above it."""


def open_yolo(config: YoloConfig, size: int = 0) -> FileSet:
    """size: of pictures that are drawn, which these are not.

    Boxes are centre, width and height, or outlines, of which the extent is taken. Captions are the
    lines of X.caption beside a picture, and of X.txt where that does not hold the boxes.

    Raises ValueError when there is no such folder, or names of classes cannot be read.
    """
    folder = folder_of(config.path, "folder of pictures and YOLO's text files")
    reader = YoloReader(folder, config.names)

    def is_chosen(key: PurePosixPath) -> bool:
        return not config.split or config.split in key.parts[:-1]

    return FileSet(FolderIndex(folder, reader, config.samples, is_chosen))


class YoloReader:
    """Reads labels/X.txt of images/X.png, or X.txt beside it."""

    suffixes = (".txt", ".caption")

    def __init__(self, folder: Path, names: str = ""):
        self.folder, self.classes = folder, class_names(folder, names)

    def names(self, key: str) -> tuple[str, ...]:
        return self._labels(key), beside(key, ".txt"), beside(key, ".caption")

    def read(self, key: str, files: Files) -> Said:
        labels, text, caption = self._labels(key), beside(key, ".txt"), beside(key, ".caption")
        told = files.read(labels)
        captions = (caption,) if labels == text else (text, caption)
        found = self._boxes(key, *told) if told else FoundRegions()
        return Said(choose_captions(read_captions(files.read(*captions)), found), found)

    def _labels(self, key: str) -> str:
        """Where a picture's boxes are: in labels/ for images/, by the rule of Ultralytics' loaders,
        if there is such a folder, else beside it."""
        names = in_folder_instead(self.folder, key, "images", "labels", ".txt")
        there = (name for name in names if (self.folder / name).parent.is_dir())
        return next(there, beside(key, ".txt"))

    def _boxes(self, key: str, name: str, data: bytes) -> FoundRegions:
        lines = [line for line in decoded(name, data).splitlines() if line.strip()]
        names, keypoints = self.classes.names, self.classes.keypoints
        read = partial(read_yolo_line, names=names, keypoints=keypoints)
        return find_regions(key, lines, read, PurePosixPath(name).name)
