"""Region captions: what a GIT or BLIP model sees in the boxes of a data set (data caption).

The paper trains on captions that GIT wrote for the crop of each box. Where such a caption holds a
double quote, which GIT writes around text it believes to read, the caption of a padded crop is
taken instead (released code).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image
from tqdm import tqdm

from reco_core.checks import quote
from reco_core.layout import Box
from train.data.caption_model import Describe
from train.data.decode import UNREADABLE
from train.data.problems import Problem
from train.data.sample import Sample, SampleSet, SampleStream, each_sample, is_stream, picture_of

PADDING = 0.2
"""Of a box's width and height, added on each side for the padded crop. The released annotations
hold the finished captions only, so the share the authors used is not known."""
MIN_SIDE = 16
"""Pixels of a crop's side; boxes that are smaller get that much of their surroundings."""

_LINE_START = b'{"key": '


@dataclass(frozen=True)
class Crop:
    """A region that has no caption yet, and the picture it is in."""

    key: str
    index: int
    box: Box
    picture: Image.Image

    def cut(self, padding: float = 0.0) -> Image.Image:
        """What the box shows. padding: share of its sides that is added around it."""
        return self.picture.crop(crop_pixels(self.box, *self.picture.size, padding))

    def line(self, text: str) -> bytes:
        """The caption as it is written: one line of JSON."""
        box = self.box
        corners = [box.x0, box.y0, box.x1, box.y1]
        entry = {"key": self.key, "index": self.index, "text": text, "box": corners}
        return json.dumps(entry, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class CaptionReport:
    """written: captions of this run; before: regions that had theirs; problems: what was left."""

    written: int
    before: int
    problems: tuple[Problem, ...]


def write_captions(
    opened: SampleSet | SampleStream, describe: Describe, output: Path, batch_size: int = 32
) -> CaptionReport:
    """Append a caption for every region that `output` has none for.

    Each batch is synced to disk before the next begins, so a run that was killed loses one batch
    at most, and the same call continues it. A region whose box has changed is captioned again;
    who reads the file takes the last caption of a region.

    Raises:
        ValueError: output holds something else than captions.
    """
    done = read_done(output)
    problems: list[Problem] = []
    before = len(done)
    written = 0
    total = None if is_stream(opened) else len(cast(SampleSet, opened))
    samples = tqdm(each_sample(opened, problems), "captioning", total, unit="pictures")
    crops = _missing(samples, done, problems)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as file:
        while batch := list(islice(crops, batch_size)):
            written += _append(file, batch, describe, problems)
    return CaptionReport(written, before, (*opened.problems, *problems))


def read_done(output: Path) -> set[int]:
    """Hashes of key, index and box of the regions that have a caption in a file.

    A last line that was torn by a kill is cut off the file.
    Raises ValueError when another line is not a caption.
    """
    done: set[int] = set()
    if not output.exists():
        return done
    end = 0
    with output.open("rb+") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n") and _LINE_START.startswith(line[: len(_LINE_START)]):
                break
            done.add(_done_line(output, number, line))
            end += len(line)
        file.truncate(end)
    return done


def crop_pixels(
    box: Box, width: int, height: int, padding: float = 0.0
) -> tuple[int, int, int, int]:
    """The pixels to show of a width x height picture for a box: xyxy, right and bottom outside.

    padding: share of the box's sides that is added on each; at least MIN_SIDE pixels are shown
    where the picture has them.
    """
    x0, x1 = _crop_side(box.x0 * width, box.x1 * width, width, padding)
    y0, y1 = _crop_side(box.y0 * height, box.y1 * height, height, padding)
    return x0, y0, x1, y1


def _missing(samples: Iterable[Sample], done: set[int], problems: list[Problem]) -> Iterator[Crop]:
    """The regions without caption; a picture is opened when one of its regions is."""
    for sample in samples:
        missing = [
            (index, region.box)
            for index, region in enumerate(sample.regions)
            if _mark(sample.key, index, region.box) not in done
        ]
        if not missing:
            continue
        try:
            picture = picture_of(sample)
        except UNREADABLE as error:
            problems.append(Problem.of(sample.key, error, "unreadable"))
            continue
        yield from (Crop(sample.key, index, box, picture) for index, box in missing)


def _append(
    file: BinaryIO, batch: Sequence[Crop], describe: Describe, problems: list[Problem]
) -> int:
    """Caption a batch and bring it to disk; returns the number of captions."""
    texts = describe([crop.cut() for crop in batch])
    again = [i for i, text in enumerate(texts) if '"' in text or not text]
    if again:
        padded = describe([batch[i].cut(PADDING) for i in again])
        for i, text in zip(again, padded, strict=True):
            texts[i] = text or texts[i]
    lines = [crop.line(text) for crop, text in zip(batch, texts, strict=True) if text]
    for crop, text in zip(batch, texts, strict=True):
        if not text:
            problems.append(
                Problem(crop.key, f"region {crop.index + 1}: the model said nothing", "words")
            )
    file.write(b"".join(lines))
    file.flush()
    os.fsync(file.fileno())
    return len(lines)


def _done_line(output: Path, number: int, line: bytes) -> int:
    try:
        entry = json.loads(line)
        return _mark(entry["key"], entry["index"], Box(*entry["box"]))
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"line {number} of {str(output)!r} is not a region caption: {quote(line[:80])}; "
            "name another --output, or remove that line"
        ) from None


def _mark(key: str, index: int, box: Box) -> int:
    """Stands for a region's captioned box: a number, so that millions fit in memory."""
    return hash((key, index, box))


def _crop_side(low: float, high: float, side: int, padding: float) -> tuple[int, int]:
    around = padding * (high - low)
    start, stop = max(math.floor(low - around), 0), min(math.ceil(high + around), side)
    smallest = min(MIN_SIDE, side)
    if stop - start >= smallest:
        return start, stop
    start = min(max(start - (smallest - (stop - start)) // 2, 0), side - smallest)
    return start, start + smallest
