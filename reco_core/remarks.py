"""What reading a layout or prompt found that its maker should know: one list for node, log, editor.

A value that cannot be used is an error. A remark is about one that is used otherwise than it looks,
or that was left out: nothing is dropped, cut or guessed without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .layout import Layout

Kind = Literal[
    "left out",  # a box or region that did not become a region
    "overflow",  # what the checkpoint's sequence has no room for
    "embedding",  # one that is missing, misspelt, or of another width
    "word",  # not among those the checkpoint was trained on
    "weight",  # of words, where it is not 1
    "syntax",  # of another program, which CLIP reads as words
    "small",  # a box smaller than a latent cell
    "size",  # of the picture, which the checkpoint was not trained for
    "lost",  # what a written form has no place for
    "file",  # of a checkpoint or adapter
]


@dataclass(frozen=True)
class Remark:
    """One thing to know.

    message: a sentence in plain text that gives the value, the limit and what to do.
    region: index from 0 of the region, or of the box that was left out; None for the caption and
        for the whole.
    """

    kind: Kind
    message: str
    region: int | None = None

    def to_data(self) -> dict[str, Any]:
        """As JSON, for the front end."""
        return {"kind": self.kind, "message": self.message, "region": self.region}


@dataclass(frozen=True)
class Reading:
    """What a door made of its input: the layout, and what the maker should know of it.

    indices: of the layout's regions among those that the maker gave, from 0, where some were left
        out: the maker knows them by these.
    """

    layout: Layout
    remarks: tuple[Remark, ...] = ()
    indices: Sequence[int] | None = None
