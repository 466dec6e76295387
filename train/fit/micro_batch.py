"""The micro-batch that fits into memory, kept for the next start where processes cannot go on."""

from __future__ import annotations

import json
from pathlib import Path

from reco_core.atomic import write_text_atomically

FILE = "micro-batch.json"


def keep_micro_batch(folder: Path, size: int) -> Path:
    """Write to a run's folder how many samples may go through the model at once."""
    write_text_atomically(path := folder / FILE, json.dumps({"micro_batch": size}))
    return path


def kept_halvings(folder: Path, micro_batch: int) -> int:
    """How often a micro-batch is halved to be as small as the folder says; 0 if it says nothing.

    Raises:
        ValueError: the file is none of ours.
    """
    path = folder / FILE
    if not path.exists():
        return 0
    try:
        size = json.loads(path.read_text(encoding="utf-8"))["micro_batch"]
        if not (isinstance(size, int) and size > 0):
            raise ValueError(f"micro_batch is {size!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{str(path)!r} does not say how many samples fit into memory ({error}): remove it"
        ) from error
    halvings = 0
    while size_after(halvings, micro_batch) > size:
        halvings += 1
    return halvings


def size_after(halvings: int, micro_batch: int) -> int:
    """Samples of the largest part of a micro-batch that was halved so often (Batch.split)."""
    return -(-micro_batch // 2**halvings)
