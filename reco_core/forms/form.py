"""What a written form is: a name, and functions from and to its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..layout import Layout
from ..position_tokens import DEFAULT_VOCABULARY, PositionVocabulary
from ..remarks import Reading, Remark
from .labels import LABELS
from .numbers import Convention


@dataclass(frozen=True)
class Source:
    """A text to be read as a layout, and what was found in it so far.

    text: without a code fence and the words around it.
    data: what its JSON parses to; None when it holds none.
    convention: what the text says its numbers count in and which come first.
    remarks: on what lies around the text.
    width, height: pixels of the picture, for forms that bring no size.
    """

    text: str
    data: Any = None
    convention: Convention = field(default_factory=Convention)
    remarks: tuple[Remark, ...] = ()
    width: int = 512
    height: int = 512
    vocabulary: PositionVocabulary = DEFAULT_VOCABULARY


@dataclass(frozen=True)
class Form:
    """One written form.

    name: one of LABELS.
    write: the text of a layout; raises ValueError for one that it cannot hold.
    read: the reading of a source that is in this form, None of one that is not; raises ValueError
        for one that is meant to be and is broken. None for a form that only people and models read.
    keeps_size: whether the text says how large the picture is.
    """

    name: str
    write: Callable[[Layout, PositionVocabulary], str]
    read: Callable[[Source], Reading | None] | None = None
    keeps_size: bool = False

    @property
    def label(self) -> str:
        """Its name in a menu."""
        return LABELS[self.name]
