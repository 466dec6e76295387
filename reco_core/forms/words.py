"""Places in words, for models and people that read no numbers."""

from __future__ import annotations

from ..layout import Layout
from ..positional_words import in_words
from .form import Form


def _write(layout: Layout, *_: object) -> str:
    placed = in_words(layout)
    lines = [layout.caption, *(region.text for region in placed.regions)]
    return "\n".join(line for line in lines if line)


WORDS = Form("words", _write)
