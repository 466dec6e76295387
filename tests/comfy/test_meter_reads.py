"""The editor's token meter reads of a checkpoint's file what tells what it is, not the weights."""

import ctypes
import json
import math
import mmap
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from random_checkpoint import FULL_SIZE, checkpoint_shapes
from workflows import ask


def drop_from_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_in_cache(path: Path) -> int:
    """Of a file, what anybody has read since it was dropped, by reads or through mappings."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        view = np.frombuffer(mapped, np.uint8)
        pages = np.zeros(-(-len(view) // mmap.PAGESIZE), np.uint8)
        address, flags = ctypes.c_void_p(view.ctypes.data), ctypes.c_void_p(pages.ctypes.data)
        failed = ctypes.CDLL(None).mincore(address, ctypes.c_size_t(len(view)), flags)
        del view
        assert not failed
        return int((pages & 1).sum()) * mmap.PAGESIZE


def write_holes(path: Path) -> int:
    """A checkpoint of full size in fp16 whose weights are a hole in the file; its bytes."""
    header, end = {"__metadata__": {"format": "reco"}}, 0
    for name, shape in checkpoint_shapes(FULL_SIZE):
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
        return file.tell() + end


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what it has in its cache")
def test_the_meter_reads_a_small_part_of_a_checkpoint(server, tiny):
    path = tiny.with_name("full.safetensors")
    size = write_holes(path)
    try:
        drop_from_cache(path)
        if bytes_in_cache(path):
            pytest.skip("this file system keeps its files in the cache")
        layout = {"version": 1, "caption": "a", "width": 64, "height": 64, "regions": []}
        readers = [[{"checkpoint": path.name}]]
        assert ask(server, "count", {"layout": layout, "readers": readers})["limit"] == 616
        read = bytes_in_cache(path)
    finally:
        path.unlink()
    assert 0 < read < size / 10  # what disks read ahead of it is in there too
