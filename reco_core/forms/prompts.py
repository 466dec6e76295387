"""The prompts of the authors and of the diffusers port, and plain captions."""

from __future__ import annotations

from ..layout import Layout
from ..position_tokens import PositionVocabulary
from ..prompt import format_prompt, parse_prompt
from ..remarks import Reading
from .form import Form, Source


def read_prompt(source: Source) -> Reading | None:
    """Either prompt, told apart by its position tokens; a text without any is a caption."""
    if source.data is not None:
        return None
    return Reading(parse_prompt(source.text, source.vocabulary, source.width, source.height))


def _write_authors(layout: Layout, vocabulary: PositionVocabulary) -> str:
    return format_prompt(layout, "authors", vocabulary)


def _write_port(layout: Layout, vocabulary: PositionVocabulary) -> str:
    return format_prompt(layout, "diffusers", vocabulary)


AUTHORS = Form("authors", _write_authors, read_prompt)
PORT = Form("diffusers", _write_port, read_prompt)
