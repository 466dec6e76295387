"""What a written form is: a name, and functions from and to its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..layout import Layout
from ..position_tokens import DEFAULT_VOCABULARY, PositionVocabulary
from ..remarks import Reading


@dataclass(frozen=True)
class Source:
    """A text to be read as a layout.

    data: what its JSON parses to; None when it holds none.
    width, height: pixels of the picture, for forms that bring no size.
    """

    text: str
    data: Any = None
    width: int = 512
    height: int = 512
    vocabulary: PositionVocabulary = DEFAULT_VOCABULARY


@dataclass(frozen=True)
class Form:
    """One written form.

    label: its name in a menu.
    read: the reading of a text that is in this form, None of one that is not; raises ValueError for
        one that is meant to be and is broken. None for a form that only people and models read.
    write: the text of a layout; raises ValueError for one that it cannot hold.
    keeps_size: whether the text says how large the picture is.
    """

    name: str
    label: str
    write: Callable[[Layout, PositionVocabulary], str]
    read: Callable[[Source], Reading | None] | None = None
    keeps_size: bool = False
