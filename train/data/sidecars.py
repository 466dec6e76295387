"""Folders of pictures with files beside them: X.bbox says where things are, X.txt what is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from reco_core import sidecar
from train.data.files import PICTURES, Entry, FileSet, folder_of
from train.data.json_lines import choose_captions
from train.data.regions import FoundRegions, find_regions
from train.data.sample import Problem
from train.data.set_config import SetConfig
from train.options import options

CAPTIONS = (".txt", ".caption")


@options
class SidecarsConfig(SetConfig):
    """A folder of pictures with X.bbox and X.txt beside them."""

    kind: Literal["bbox"] = "bbox"
    path: str = ""
    """The folder, read with all folders in it."""


def open_sidecars(config: SidecarsConfig, size: int = 0) -> FileSet:
    """size: of pictures that are drawn, which these are not.

    Every line of X.txt or X.caption is a caption. A picture without .bbox has no regions.
    Raises ValueError when there is no such folder.
    """
    folder = folder_of(config.path, "folder of pictures and .bbox files")
    return FileSet(SidecarIndex(folder, config.samples))


class SidecarIndex:
    """The pictures of a folder that something is said about, in the order of their names."""

    def __init__(self, folder: Path, limit: int = 0):
        self.folder = folder
        self.problems: list[Problem] = []
        self.clipped = 0
        self.keys: list[str] = []
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        pictures = [name for name in files if Path(name).suffix.lower() in PICTURES]
        self._name_lonely(files, pictures)
        for key in tqdm(pictures, desc=folder.name, unit="pictures", delay=2):
            self._take(key)
            if limit and len(self) == limit:
                break

    def __len__(self) -> int:
        return len(self.keys)

    def entry(self, index: int) -> Entry:
        key = self.keys[index]
        path = self.folder / key
        captions, found = read_sidecars(key, path)
        return Entry(key, path, captions, found.kept)

    def _take(self, key: str) -> None:
        try:
            _, found = read_sidecars(key, self.folder / key)
        except (ValueError, OSError) as error:
            self.problems.append(Problem(key, str(error)))
            return
        self.keys.append(key)
        self.problems += found.problems
        self.clipped += found.clipped

    def _name_lonely(self, files: list[str], pictures: list[str]) -> None:
        stems = {str(Path(name).with_suffix("")) for name in pictures}
        for name in files:
            path = Path(name)
            if path.suffix == sidecar.SUFFIX and str(path.with_suffix("")) not in stems:
                self.problems.append(Problem(name, "there is no picture of this name"))


def read_sidecars(key: str, picture: Path) -> tuple[tuple[str, ...], FoundRegions]:
    """Captions and regions of a picture. Raises ValueError when its files say nothing."""
    boxes = picture.with_suffix(sidecar.SUFFIX)
    found = parse_boxes(key, boxes.read_bytes()) if boxes.exists() else FoundRegions()
    files = (picture.with_suffix(suffix) for suffix in CAPTIONS)
    texts = (file.read_bytes() for file in files if file.exists())
    return choose_captions(parse_captions(next(texts, b"")), found), found


def parse_boxes(key: str, data: bytes) -> FoundRegions:
    """The regions of a .bbox file. Raises ValueError when it is none."""
    try:
        entries = sidecar.sidecar_entries(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"broken .bbox file: {error}") from None
    return find_regions(key, entries, sidecar.label_and_corners)


def parse_captions(data: bytes) -> tuple[str, ...]:
    """The captions of a text file, one a line. Raises ValueError when it is not UTF-8."""
    return tuple(line.strip() for line in data.decode("utf-8-sig").splitlines() if line.strip())
