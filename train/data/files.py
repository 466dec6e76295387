"""Sets whose pictures are files of their own: an index of annotations, and a look at the files."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from reco_core.checks import quote
from reco_core.layout import Region
from train.data.decode import PictureFile, UnreadablePicture, check_file, picture_size
from train.data.problems import Problem
from train.data.sample import Sample

_MAX_DIGITS = 4_000  # of a whole number; Python reads no more than 4,300


@dataclass(frozen=True)
class Entry:
    """What is said about a picture file; size: width and height if the annotations tell."""

    key: str
    path: Path
    captions: tuple[str, ...]
    regions: tuple[Region, ...]
    size: tuple[int, int] | None = None


class Index(Protocol):
    """The annotations of a set.

    clipped: how many boxes stuck out of their pictures. crowds: annotations that are no regions,
    since they are of many things.
    """

    problems: list[Problem]
    clipped: int
    crowds: int

    def __len__(self) -> int: ...

    def entry(self, index: int) -> Entry:
        """Entry `index`, made anew. Raises ValueError or OSError if it is not there any more."""


class FileSet:
    """A SampleSet of an index. Each file is looked at once; its size and time are remembered."""

    def __init__(self, index: Index):
        self.index, self.problems = index, index.problems
        self._seen: dict[int, tuple[int, int, str]] = {}

    def __len__(self) -> int:
        return len(self.index)

    @property
    def clipped(self) -> int:
        return self.index.clipped

    @property
    def crowds(self) -> int:
        return self.index.crowds

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`. Raises OSError when its picture is missing, or, where only the file
        tells its size, cannot be read."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        entry = self.index.entry(index)
        if index not in self._seen:
            self._seen[index] = _look(entry)
        width, height, version = self._seen[index]
        return Sample(
            key=entry.key,
            captions=entry.captions,
            regions=entry.regions,
            width=width,
            height=height,
            open=PictureFile(entry.path),
            version=version,
        )


def read_text(path: Path, what: str) -> str:
    """A whole UTF-8 file. Raises ValueError that says what was to be read."""
    try:
        check_file(path)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return str(data, "utf-8-sig")  # straight from the file: half the memory of reading it
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read the {what} {str(path)!r}: {error}") from error


def read_json_file(
    path: Path, what: str, object_hook: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """A parsed JSON file, NaN and infinities allowed. Raises ValueError that says what it was."""
    text = read_text(path, what)
    try:
        return parse_json(text, object_hook)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"the {what} {str(path)!r} is not JSON: {error}; it begins {quote(text[:80])}"
        ) from None


def parse_json(
    text: str | bytes, object_hook: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """Parsed JSON of samples: what one number is must not stop the others, so NaN and infinities
    are allowed, and a whole number of more digits than Python reads is infinite."""
    return json.loads(text, object_hook=object_hook, parse_int=_whole)


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def folder_of(path: str, what: str) -> Path:
    """A folder that exists. Raises ValueError that says what it is for."""
    folder = Path(path).expanduser()
    if not path or not folder.is_dir():
        raise ValueError(f"path = {path!r} is not a folder: give the {what}")
    return folder


def _look(entry: Entry) -> tuple[int, int, str]:
    try:
        status = check_file(entry.path).stat()
        width, height = entry.size or picture_size(entry.path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{entry.key}: {error}") from None
    except OSError as error:
        raise UnreadablePicture(f"{entry.key}: {error}") from None
    return width, height, f"{status.st_size} {status.st_mtime_ns}"
