"""JSON lines: one object a line with image, captions and regions. Shards hold such objects too.

    {"image": "a.jpg", "caption": "two dogs", "regions": [{"text": "a dog", "box": [0, 0, 0.5, 1]}]}

Boxes are xyxy fractions of the picture. "captions" (a list) may stand for "caption", "width" and
"height" (pixels) spare a look at the picture, and "layout" may hold a layout as the nodes write it.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from reco_core.checks import pixel_side, quote
from train.data.files import Entry, FileSet, parse_json
from train.data.names import PictureFinder
from train.data.problems import Problem
from train.data.regions import FoundRegions, choose_captions, find_regions
from train.data.set_config import SetConfig
from train.options import Place, options


@dataclass(frozen=True)
class Record:
    """What an object says of a picture; size: width and height in pixels, if it says them."""

    captions: tuple[str, ...]
    found: FoundRegions
    size: tuple[int, int] | None


@options
class JsonLinesConfig(SetConfig):
    """A file with an object a line."""

    kind: Literal["json_lines"] = "json_lines"
    path: Place = ""
    """The .jsonl file, which pictures' names are relative to."""


def open_json_lines(config: JsonLinesConfig, size: int = 0) -> FileSet:
    """size: of pictures that are drawn, which these are not.

    Raises ValueError when there is no such file.
    """
    file = Path(config.path).expanduser()
    if not config.path or not file.is_file():
        raise ValueError(f"path = {config.path!r} is not a file: give the .jsonl file")
    return FileSet(JsonLinesIndex(file, config.samples))


class JsonLinesIndex:
    """Where in a file the lines of usable samples begin."""

    def __init__(self, file: Path, limit: int = 0):
        self.file, self.finder = file, PictureFinder(file.parent)
        self.problems: list[Problem] = []
        self.clipped = self.crowds = 0
        self.keys: list[str] = []
        self.starts = array("q")
        self._read(limit)

    def __len__(self) -> int:
        return len(self.starts)

    def entry(self, index: int) -> Entry:
        key = self.keys[index]
        with self.file.open("rb") as file:
            file.seek(self.starts[index])
            line = file.readline()
        try:
            image, record = _read_line(key, line)
        except ValueError as error:
            name = self.file.name
            raise ValueError(f"{key}: {name} changed since it was opened: {error}") from None
        path = self.finder.find(image)
        return Entry(key, path, record.captions, record.found.kept, record.size)

    def _read(self, limit: int) -> None:
        known: set[str] = set()
        total = self.file.stat().st_size
        bar = tqdm(total=total, desc=self.file.name, unit="B", unit_scale=True, delay=2)
        with self.file.open("rb") as file, bar:
            start = 0
            for number, line in enumerate(file, 1):
                if line.strip():
                    self._take(number, start, line, known)
                start += len(line)
                bar.update(len(line))
                if limit and len(self) == limit:
                    break

    def _take(self, number: int, start: int, line: bytes, known: set[str]) -> None:
        place = f"{self.file.name}:{number}"
        try:
            image, record = _read_line(place, line)
        except ValueError as error:
            self.problems.append(Problem.of(place, error))
            return
        key = f"{image}:{number}" if image in known else image
        known.add(key)
        self.keys.append(key)
        self.starts.append(start)
        self.problems += record.found.problems
        self.clipped += record.found.clipped


def parse_object(text: str | bytes) -> Mapping[str, Any]:
    """A JSON object, NaN and infinities allowed. Raises ValueError when it is none."""
    try:
        data = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}; it begins {quote(text[:80])}") from None
    if not isinstance(data, Mapping):
        raise ValueError(f"expected an object, got {quote(data)}")
    return data


def read_record(key: str, data: Mapping[str, Any]) -> Record:
    """What an object says of its picture. Regions that are not legal are named by `key`.

    Raises ValueError when it says nothing, or a part of it is of the wrong kind.
    """
    layout = data.get("layout")
    if layout is not None and not isinstance(layout, Mapping):
        raise ValueError(f"layout must be an object, got {quote(layout)}")
    words: Mapping[str, Any] = {**(layout or {}), **data}
    regions = words.get("regions", [])
    if not isinstance(regions, list):
        raise ValueError(f"regions must be a list, got {quote(regions)}")
    found = find_regions(key, regions, _text_and_box)
    return Record(choose_captions(_captions(words), found), found, _size(data))


def _read_line(place: str, line: bytes) -> tuple[str, Record]:
    data = parse_object(line)
    image = data.get("image")
    if not isinstance(image, str) or not image:
        raise ValueError(f'"image" must be a file\'s path, got {quote(image)}')
    return image, read_record(place, data)


def _captions(data: Mapping[str, Any]) -> tuple[str, ...]:
    captions = data["captions"] if "captions" in data else [data.get("caption", "")]
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        raise ValueError(f"captions must be texts, got {quote(captions)}")
    return tuple(text for text in captions if text.strip())


def _size(data: Mapping[str, Any]) -> tuple[int, int] | None:
    if "width" not in data or "height" not in data:
        return None
    return pixel_side("width", data["width"]), pixel_side("height", data["height"])


def _text_and_box(region: Any) -> tuple[Any, list[Any]]:
    corners = region.get("box") if isinstance(region, Mapping) else None
    if not isinstance(corners, list) or len(corners) != 4:
        raise ValueError(
            f'expected {{"text": "...", "box": [x0, y0, x1, y1]}}, got {quote(region)}'
        )
    return region.get("text"), corners
