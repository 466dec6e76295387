"""Packed sets: shards with an index, which `python -m train data pack` writes.

They are read at any place, so they mix, shuffle and go on as sets of files do. The shards are also
what the kind `shards` reads, and webdataset.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image

from train.data.decode import PictureBytes
from train.data.files import folder_of
from train.data.json_lines import parse_object, read_record
from train.data.packed_index import ROW, read_index, shard_path
from train.data.problems import Problem
from train.data.sample import Sample
from train.data.set_config import SetConfig
from train.options import Place, options

BLOCK = 256
"""Samples that are near one another in a shard, and are shuffled as one."""
_FILES = 256  # shards that a process holds open
_BLOCKS = 256  # that a process remembers to have asked for


@options
class PackedConfig(SetConfig):
    """Shards with an index, as `python -m train data pack` writes them."""

    kind: Literal["packed"] = "packed"
    path: Place = ""
    """The folder that was written."""


def open_packed(config: PackedConfig, size: int = 0) -> PackedSet:
    """size: of pictures that are drawn, which these are not.

    Raises ValueError when there is no such folder, or its index is not of its shards.
    """
    return PackedSet(folder_of(config.path, "folder that `data pack` wrote"), config.samples)


class PackedSet:
    """A SampleSet. What is read is compared with the index by its CRC-32.

    Other processes get the folder alone, and open the index, whose rows they share, by themselves.
    """

    block = BLOCK

    def __init__(self, folder: Path, limit: int = 0):
        self.folder, self.limit = folder, limit
        self.problems: list[Problem] = []
        shards, rows = read_index(folder)
        self.rows = rows[: limit or None]
        self._starts = np.cumsum([0, *(shard.samples for shard in shards)])
        self._asked: deque[int] = deque(maxlen=_BLOCKS)

    def __reduce__(self) -> tuple[type[PackedSet], tuple[Path, int]]:
        return PackedSet, (self.folder, self.limit)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def known_sizes(self) -> np.ndarray:
        """(N, 2) width and height of every picture, in pixels."""
        return np.stack([self.rows["width"], self.rows["height"]], axis=1).astype(int)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`. Raises ValueError or OSError when its shard is not as it was."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        row = dict(zip(ROW.names or (), self.rows[index].tolist(), strict=True))
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        shard = shard_path(self.folder, number)
        self._ask_for_block(index // BLOCK, number, shard)
        words = Stored(shard, row["words"], row["words_bytes"], row["words_crc"])
        data = parse_object(words.read())
        key, record = data.get("key"), read_record(shard.name, data)
        if not isinstance(key, str) or record.found.problems:
            raise ValueError(f"{shard.name}, sample {index + 1}, is none that `data pack` writes")
        return Sample(
            key=key,
            captions=record.captions,
            regions=record.found.kept,
            width=row["width"],
            height=row["height"],
            open=PackedPicture(
                Stored(shard, row["picture"], row["picture_bytes"], row["picture_crc"])
            ),
            version=f"{row['picture_crc']:08x}",
        )

    def _ask_for_block(self, block: int, number: int, shard: Path) -> None:
        """Let the system read what a shard has of a block in one go: all of it comes soon."""
        if block in self._asked or not hasattr(os, "posix_fadvise"):
            return
        self._asked.append(block)
        first, stop = self._starts[number : number + 2]
        rows = self.rows[max(first, block * BLOCK) : min(stop, (block + 1) * BLOCK)]
        start, last = int(rows["picture"][0]), int(rows["picture"][-1])
        size = last - start + int(rows["picture_bytes"][-1])
        file = _opened(shard, threading.get_ident())
        os.posix_fadvise(file.fileno(), start, size, os.POSIX_FADV_WILLNEED)


@dataclass(frozen=True)
class Stored:
    """Bytes of a shard, from `start` on."""

    shard: Path
    start: int
    size: int
    crc: int

    def read(self) -> bytes:
        """The bytes. Raises OSError or ValueError when they are not there, or others."""
        file = _opened(self.shard, threading.get_ident())
        file.seek(self.start)
        data = file.read(self.size)
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise ValueError(
                f"the shard {str(self.shard)!r} has changed at byte {self.start:,}: it is not what "
                "its index was made of; copy the set anew, or pack it anew"
            )
        return data


@dataclass(frozen=True)
class PackedPicture:
    """An `open` for a picture in a shard."""

    stored: Stored

    def __call__(self) -> Image.Image:
        return PictureBytes(self.encoded())()

    def encoded(self) -> bytes:
        """The picture as it is stored."""
        return self.stored.read()


@lru_cache(_FILES)
def _opened(shard: Path, thread: int) -> BinaryIO:
    """A file for each thread, since reading moves its place."""
    return shard.open("rb")
