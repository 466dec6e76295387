"""A set of any kind written as a packed set: pictures as they are stored, words as JSON."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from tqdm import tqdm

from reco_core.atomic import require_space, write_folder_atomically
from train.data.ahead import ahead
from train.data.decode import UNREADABLE, PictureBytes, suffix_of
from train.data.packed_index import MAX_WORDS, Shard, shard_path, write_index
from train.data.problems import Problem, Unusable, check_losses
from train.data.region_texts import check_met
from train.data.sample import Sample, SampleSet, SampleStream, each_sample, is_stream, picture_of

_TAR_BLOCK = 512  # bytes; a member begins at such a place, with a header of that size
_LOOKED_AT = 32  # samples that tell how large a set will be


@dataclass(frozen=True)
class PackReport:
    """What was written, and what of the set was left out."""

    samples: int
    shards: int
    bytes: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Members:
    """The two files of a sample: its picture, of that suffix, and its words in JSON."""

    suffix: str
    picture: bytes
    words: bytes

    @property
    def size(self) -> int:
        return len(self.picture) + len(self.words) + 4 * _TAR_BLOCK


def pack_set(
    opened: SampleSet | SampleStream, folder: Path, shard_bytes: int, name: str, threads: int = 0
) -> PackReport:
    """Write the samples that can be used to a new folder, which appears when it is whole.

    shard_bytes: a shard ends once it has so many. name: of the set, for errors. threads: that read
        and decode pictures (0: one for each core).

    Raises:
        ValueError: the folder is there already, the disk has no room, nothing of the set can be
            used, or no region of those it has.
    """
    if folder.exists():
        raise ValueError(f"{str(folder)!r} is there already: name a new folder")
    if not is_stream(opened):
        require_space(folder, _expected_bytes(cast(SampleSet, opened)))
    problems: list[Problem] = []
    total = None if is_stream(opened) else len(cast(SampleSet, opened))
    bar = tqdm(each_sample(opened, problems), "packing", total, unit="samples", delay=2)
    shards: list[Shard] = []

    def write(new: Path) -> None:
        rows: list[tuple[int, ...]] = []
        regions, key = 0, ""
        with _Shards(new, shard_bytes, shards) as writer:
            for sample, made in ahead(bar, _members, threads):
                if isinstance(made, Problem):
                    problems.append(made)
                    continue
                rows.append((*writer.add(made), sample.width, sample.height))
                regions, key = regions + len(sample.regions), sample.key
        if key:
            check_met(opened, key)
        problems[:0] = opened.problems  # which grow as a stream is read
        check_losses(name, len(rows), regions, problems, getattr(opened, "crowds", 0))
        write_index(new, shards, rows)

    write_folder_atomically(folder, write)
    size = sum(shard.bytes for shard in shards)
    return PackReport(sum(s.samples for s in shards), len(shards), size, tuple(problems))


class _Shards:
    """Writes members to one shard after the other; `done` grows by each that is whole."""

    def __init__(self, folder: Path, shard_bytes: int, done: list[Shard]):
        self.folder, self.shard_bytes, self.done = folder, shard_bytes, done
        self.count = self.samples = 0
        self.file: BinaryIO | None = None
        self.writer: Any = None

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def add(self, made: Members) -> tuple[int, ...]:
        """Write a sample; returns the first values of its row, of packed_index.ROW."""
        if self.file is None:
            self._begin(made.size)
        start = self.writer.tarstream.offset + _TAR_BLOCK
        name = f"{self.count:09d}"
        members = {made.suffix: made.picture, "json": made.words}
        self.writer.write({"__key__": name, **members})
        starts = {}
        for suffix in sorted(members):  # as the writer does
            starts[suffix] = start
            start += -(-len(members[suffix]) // _TAR_BLOCK) * _TAR_BLOCK + _TAR_BLOCK
        self.count += 1
        self.samples += 1
        if self.writer.tarstream.offset >= self.shard_bytes:
            self._end()
        return (*_place(starts[made.suffix], made.picture), *_place(starts["json"], made.words))

    def _begin(self, size: int) -> None:
        import webdataset  # brings torch, which options do without

        path = shard_path(self.folder, len(self.done))
        require_space(path, max(self.shard_bytes, size))
        self.file = path.open("wb")
        self.writer = webdataset.TarWriter(self.file, encoder=False, mtime=0)

    def _end(self) -> None:
        if self.file is not None:
            self.writer.close()
            self.file.close()
            size = shard_path(self.folder, len(self.done)).stat().st_size
            self.done.append(Shard(bytes=size, samples=self.samples))
        self.file, self.samples = None, 0


def _place(start: int, data: bytes) -> tuple[int, int, int]:
    return start, len(data), zlib.crc32(data)


def _members(sample: Sample) -> Members | Problem:
    """The files of a sample, whose picture was decoded once to see that it can be."""
    try:
        data = _encoded(sample)
        picture_of(replace(sample, open=PictureBytes(data)))
        words = _words(sample)
        if len(words) > MAX_WORDS:
            raise Unusable(f"has {len(words):,} bytes of words, more than {MAX_WORDS:,}", "entry")
        return Members(suffix_of(data)[1:], data, words)
    except UNREADABLE as error:
        return Problem.of(sample.key, error, "unreadable")


def _encoded(sample: Sample) -> bytes:
    """A picture as its set stores it; as PNG where it is drawn."""
    if hasattr(sample.open, "encoded"):
        return sample.open.encoded()
    buffer = io.BytesIO()
    picture_of(sample).save(buffer, "PNG")
    return buffer.getvalue()


def _words(sample: Sample) -> bytes:
    """What the kinds `packed` and `shards` read."""
    box = "x0", "y0", "x1", "y1"
    told = {
        "key": sample.key,
        "captions": sample.captions,
        "regions": [
            {"text": region.text, "box": [getattr(region.box, side) for side in box]}
            for region in sample.regions
        ],
        "width": sample.width,
        "height": sample.height,
    }
    return json.dumps(told).encode()


def _expected_bytes(opened: SampleSet) -> int:
    """About how much a set takes when it is packed: as some of its samples do."""
    places = np.linspace(0, len(opened), min(len(opened), _LOOKED_AT), endpoint=False).astype(int)
    sizes = [made.size for made in _readable(opened, places.tolist())]
    return int(np.mean(sizes) * len(opened)) if sizes else 0


def _readable(opened: SampleSet, places: list[int]) -> Iterator[Members]:
    for place in places:
        try:
            made = _members(opened[place])
        except UNREADABLE:  # named when it is packed
            continue
        if isinstance(made, Members):
            yield made
