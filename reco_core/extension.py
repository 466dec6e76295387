"""What a plain checkpoint is asked to get: position tokens, a longer sequence, first rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .checkpoint_file import read_tensors
from .checkpoint_info import CheckpointInfo

if TYPE_CHECKING:
    import torch


RECO = {"format": "reco"}
"""Metadata by which a plain checkpoint that was extended is known."""
DEFAULT_BINS, DEFAULT_LENGTH = 1000, 616


def starting_rows(rows: str) -> Literal["ordered", "random"] | torch.Tensor:
    """How position tokens start, for extend_checkpoint: a name, or the `rows` of a file.

    Raises:
        ValueError: neither a name nor a file with a matrix called `rows`.
    """
    if rows == "ordered" or rows == "random":
        return rows
    if not Path(rows).is_file():
        raise ValueError(f"rows = {rows!r} is no file: give a file, or ordered or random")
    tensors = read_tensors(Path(rows))[0]
    if "rows" not in tensors or tensors["rows"].ndim != 2:
        raise ValueError(
            f"{rows} has no tensor `rows` of shape (position tokens, width): "
            f"it holds {sorted(tensors)[:3]}"
        )
    return tensors["rows"]


def check_same(
    info: CheckpointInfo, num_bins: int | None, max_length: int | None, rows: str | None
) -> None:
    """Raise ValueError when a ReCo checkpoint is not what these would make of a plain one; None
    asks for nothing."""
    asked = {"position tokens": (num_bins, info.num_bins)}
    asked["places in its sequence"] = (max_length, info.max_length)
    for name, (wanted, present) in asked.items():
        if wanted not in (None, present):
            raise ValueError(
                f"this is a ReCo checkpoint with {present} {name}, not {wanted}: leave that option "
                "out, or start from a plain SD 1.x checkpoint"
            )
    if rows is not None:
        raise ValueError(
            f"rows = {rows!r} would replace what the {info.num_bins} position tokens of "
            "this ReCo checkpoint have learned: leave it out, or start from a plain SD 1.x one"
        )
