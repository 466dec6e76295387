"""The index of a packed set: where in its shards every sample is, and how large its picture.

`index.json` says how many bytes and samples each shard has, `index.npy` has a row for each sample.
Neither can hold code. With them, a set of any size opens without a look at a sample.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from reco_core.atomic import write_text_atomically
from reco_core.checks import quote
from reco_core.limits import MAX_SIDE
from train.data.files import read_json_file
from train.options import Positive, Range, Some, build, options

VERSION = 1
"""Of the index's form; raised when rows or shards change."""
ROW = np.dtype(
    [
        ("picture", "<u8"),
        ("picture_bytes", "<u4"),
        ("picture_crc", "<u4"),
        ("words", "<u8"),
        ("words_bytes", "<u4"),
        ("words_crc", "<u4"),
        ("width", "<u4"),
        ("height", "<u4"),
    ]
)
"""Of a sample: where the picture and the words begin in its shard, their bytes and CRC-32, and the
picture's width and height in pixels, upright."""
MAX_WORDS = 2**24
"""Bytes of what is said of a picture."""
_COUNTS, _ROWS = "index.json", "index.npy"


@options
class Shard:
    """How large a shard's file is, and how many samples it holds."""

    bytes: Annotated[int, Range(1, 2**50)]
    samples: Positive


@options
class Counts:
    """What `index.json` says."""

    kind: Literal["packed"]
    version: Annotated[int, Range(1, 10**9)]
    shards: Some[Shard]

    @property
    def samples(self) -> int:
        return sum(shard.samples for shard in self.shards)


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard is; its name is no matter of the index."""
    return folder / f"{number:06d}.tar"


def write_index(folder: Path, shards: Sequence[Shard], rows: Sequence[tuple[int, ...]]) -> None:
    """rows: the values of ROW, for each sample in order."""
    np.save(folder / _ROWS, np.array(rows, ROW), allow_pickle=False)
    listed = [{"bytes": one.bytes, "samples": one.samples} for one in shards]
    told = {"kind": "packed", "version": VERSION, "shards": listed}
    write_text_atomically(folder / _COUNTS, json.dumps(told) + "\n")


def read_index(folder: Path) -> tuple[tuple[Shard, ...], np.ndarray]:
    """The shards, and the rows of all samples, which stay on disk until they are looked at.

    Raises:
        ValueError: there is no index, it is of another version, or not of these shards.
    """
    path = folder / _COUNTS
    told = read_json_file(path, "index of packed shards")
    version = told.get("version") if isinstance(told, dict) else None
    if type(version) is int and version > VERSION:
        raise ValueError(
            f"{str(path)!r} is of version {quote(version)}, and this reads at most {VERSION}: "
            "update this program, or pack the set anew (python -m train data pack)"
        )
    try:
        counts = build(Counts, told)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{str(path)!r} is no index of packed shards: {error}") from None
    for number, shard in enumerate(counts.shards):
        _check_shard(shard_path(folder, number), shard)
    rows = _read_rows(folder / _ROWS)
    if len(rows) != counts.samples:
        raise ValueError(
            f"{str(folder)!r} has an index of {len(rows):,} samples and shards of "
            f"{counts.samples:,}: {_PACK_ANEW}"
        )
    _check_rows(folder, counts.shards, rows)
    return counts.shards, rows


_PACK_ANEW = "copy the whole folder anew, or pack the set anew (python -m train data pack)"


def _check_shard(path: Path, shard: Shard) -> None:
    if not path.is_file():
        raise ValueError(f"the shard {str(path)!r} is not there: {_PACK_ANEW}")
    size = path.stat().st_size
    if size != shard.bytes:
        raise ValueError(
            f"the shard {str(path)!r} has {size:,} bytes, and its index says {shard.bytes:,}: "
            f"{_PACK_ANEW}"
        )


def _read_rows(path: Path) -> np.ndarray:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {str(path)!r}: {error}; {_PACK_ANEW}") from None
    if not isinstance(rows, np.ndarray) or rows.dtype != ROW or rows.ndim != 1:
        raise ValueError(f"{str(path)!r} does not hold the rows of an index: {_PACK_ANEW}")
    return rows


def _check_rows(folder: Path, shards: Sequence[Shard], rows: np.ndarray) -> None:
    """Raise ValueError for a row that leaves its shard, or a picture larger than any can be."""
    ends = np.repeat([shard.bytes for shard in shards], [shard.samples for shard in shards])
    wrong = rows["words_bytes"] > MAX_WORDS
    for what in ("picture", "words"):
        # Apart, since a sum of what a file says may not fit.
        wrong |= rows[what] > ends.astype("u8")
        wrong |= rows[f"{what}_bytes"] > ends.astype("u8") - np.minimum(rows[what], ends)
    for side in ("width", "height"):
        wrong |= (rows[side] < 1) | (rows[side] > MAX_SIDE)
    if wrong.any():
        number = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"the index in {str(folder)!r} cannot be of these shards: its row of sample "
            f"{number + 1} is {quote(rows[number].tolist())}; {_PACK_ANEW}"
        )
