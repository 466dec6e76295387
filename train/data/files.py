"""Sets whose pictures are files of their own: an index of annotations, and a look at the files."""

from __future__ import annotations

import io
import json
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image, UnidentifiedImageError

from reco_core.checks import quote
from reco_core.layout import Region
from train.data.sample import Problem, Sample, picture_file

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)  # EXIF: these turn a picture by a quarter


@dataclass(frozen=True)
class Entry:
    """What is said about a picture file; size: width and height if the annotations tell."""

    key: str
    path: Path
    captions: tuple[str, ...]
    regions: tuple[Region, ...]
    size: tuple[int, int] | None = None


class Index(Protocol):
    """The annotations of a set. clipped: how many boxes stuck out of their pictures."""

    problems: list[Problem]
    clipped: int

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
            open=picture_file(entry.path),
            version=version,
        )


def picture_size(file: Path | io.BytesIO) -> tuple[int, int]:
    """Width and height of a picture as `to_rgb` returns it, from its header.

    Raises OSError when it is missing or no picture.
    """
    try:
        image = Image.open(file)
    except UnidentifiedImageError:
        raise OSError("this is no picture in a form that can be read") from None
    with image:
        width, height = image.size
        # The base class's getexif: that of PNG files decodes the picture to look behind it.
        lying = Image.Image.getexif(image).get(_ORIENTATION) in _LYING
    return (height, width) if lying else (width, height)


def read_text(path: Path, what: str) -> str:
    """A whole UTF-8 file. Raises ValueError that says what was to be read."""
    try:
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
        return json.loads(text, object_hook=object_hook)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"the {what} {str(path)!r} is not JSON: {error}; it begins {quote(text[:80])}"
        ) from None


def folder_of(path: str, what: str) -> Path:
    """A folder that exists. Raises ValueError that says what it is for."""
    folder = Path(path).expanduser()
    if not path or not folder.is_dir():
        raise ValueError(f"path = {path!r} is not a folder: give the {what}")
    return folder


def _look(entry: Entry) -> tuple[int, int, str]:
    try:
        status = entry.path.stat()
        width, height = entry.size or picture_size(entry.path)
    except OSError as error:
        raise type(error)(f"{entry.key}: {error}") from None
    return width, height, f"{status.st_size} {status.st_mtime_ns}"
