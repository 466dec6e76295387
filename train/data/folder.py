"""Folders of pictures whose words are in files of the same names: what their kinds share."""

from __future__ import annotations

import codecs
import mimetypes
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from tqdm import tqdm

from train.data.decode import UNREADABLE, is_picture
from train.data.files import Entry
from train.data.names import Files, fold
from train.data.problems import Problem
from train.data.regions import FoundRegions

CAPTIONS = (".txt", ".caption")
CLASS_FILES = ("data.yaml", "data.yml", "classes.txt", "obj.names", "_darknet.labels")
"""Files that name classes, the first of which counts."""


@dataclass(frozen=True)
class Said:
    """What is said of a picture; size: width and height in pixels, if that is said."""

    captions: tuple[str, ...]
    found: FoundRegions
    size: tuple[int, int] | None = None


class Reader(Protocol):
    """Reads what files of a picture's name say of it; `key` is its path in the folder."""

    @property
    def suffixes(self) -> Collection[str]:
        """Of such files, in lower case."""

    def names(self, key: str) -> tuple[str, ...]:
        """Every file that may say something of a picture."""

    def read(self, key: str, files: Files) -> Said:
        """What they say. Raises one of UNREADABLE when that is nothing, or cannot be read."""


class FolderIndex:
    """The pictures of a folder that something is said about, in the order of their names."""

    def __init__(
        self,
        folder: Path,
        reader: Reader,
        limit: int = 0,
        is_chosen: Callable[[PurePosixPath], bool] = bool,
    ):
        """limit: at most so many pictures, 0 for all. is_chosen: of a picture's path in it."""
        self.folder, self.reader = folder, reader
        self.problems: list[Problem] = []
        self.clipped = self.crowds = 0
        self.keys: list[str] = []
        listed = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        self.files = Files(folder, listed)
        pictures = [name for name in listed if is_picture(name)]
        self._name_unread(listed, pictures)
        pictures = [name for name in pictures if is_chosen(PurePosixPath(name))]
        for key in tqdm(pictures, desc=folder.name, unit="pictures", delay=2):
            self._take(key)
            if limit and len(self) == limit:
                break

    def __len__(self) -> int:
        return len(self.keys)

    def entry(self, index: int) -> Entry:
        key = self.keys[index]
        said = self.reader.read(key, self.files)
        return Entry(key, self.folder / key, said.captions, said.found.kept, said.size)

    def _take(self, key: str) -> None:
        try:
            found = self.reader.read(key, self.files).found
        except UNREADABLE as error:
            self.problems.append(Problem.of(key, error))
            return
        self.keys.append(key)
        self.problems += found.problems
        self.clipped += found.clipped

    def _name_unread(self, listed: list[str], pictures: list[str]) -> None:
        """Name pictures of forms that are not read, and words that no picture goes with."""
        others = [name for name in listed if not is_picture(name) and _seems_picture(name)]
        for name in others:
            reason = "pictures of this form are not read: save it as PNG or JPEG"
            self.problems.append(Problem(name, reason, "unreadable"))
        used = {fold(name) for key in (*pictures, *others) for name in self.reader.names(key)}
        for name in listed:
            path = Path(name)
            is_words = path.suffix.lower() in self.reader.suffixes
            is_other = path.name in CLASS_FILES or path.name.lower().startswith("readme")
            if is_words and not is_other and fold(name) not in used:
                self.problems.append(Problem(name, "there is no picture of this name", "lonely"))


def in_folder_instead(
    folder: Path, key: str, pictures: str, words: str, suffix: str
) -> tuple[str, ...]:
    """The name of a file whose path has `words` where its picture's has the folder `pictures`, the
    last one; none where it has no such folder. Names are as Files.read takes them."""
    parts = (folder.resolve() / key).with_suffix(suffix).parts
    places = [place for place, part in enumerate(parts[:-1]) if part.lower() == pictures.lower()]
    if not places:
        return ()
    above, below = Path(*parts[: places[-1]]), parts[places[-1] + 1 :]
    place = above.joinpath(words, *below)
    return (os.path.relpath(place, folder.resolve()).replace(os.sep, "/"),)


def read_captions(found: tuple[str, bytes] | None) -> tuple[str, ...]:
    """The captions of a text file, one a line. found: its name and content, if there is one."""
    lines = decoded(*found).splitlines() if found else ()
    return tuple(line.strip() for line in lines if line.strip())


def decoded(name: str, data: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 that says so. Raises ValueError with its name."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 ({error.reason}): save it as UTF-8") from None


def _seems_picture(name: str) -> bool:
    kind = mimetypes.guess_type(name)[0] or ""
    return kind.startswith("image/")
