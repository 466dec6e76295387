"""The one table of written forms, and the two doors that use it."""

from __future__ import annotations

import json

from ..interop import layout_to_elements
from ..interop import read_layout as read_any
from ..layout import Layout
from ..position_tokens import DEFAULT_VOCABULARY, PositionVocabulary
from ..prompt import format_prompt
from ..remarks import Reading
from .form import Form
from .written import Written, losses

FORMS = (
    Form("json", "layout JSON", lambda layout, _: layout.to_json(), keeps_size=True),
    Form(
        "authors",
        "prompt in thousandths",
        lambda layout, vocabulary: format_prompt(layout, "authors", vocabulary),
    ),
    Form(
        "diffusers",
        "prompt in bins",
        lambda layout, vocabulary: format_prompt(layout, "diffusers", vocabulary),
    ),
    Form(
        "elements",
        "ComfyUI elements",
        lambda layout, _: json.dumps(layout_to_elements(layout), ensure_ascii=False),
    ),
)


def form_named(name: str) -> Form:
    """The form of a name. Raises ValueError when there is none."""
    for form in FORMS:
        if form.name == name:
            return form
    raise ValueError(f"form {name!r} is unknown: use one of {', '.join(f.name for f in FORMS)}")


def read_layout(
    text: str,
    width: int,
    height: int,
    vocabulary: PositionVocabulary = DEFAULT_VOCABULARY,
) -> Reading:
    """Read any written form of a layout, told apart by its looks."""
    return Reading(read_any(text, width, height, vocabulary))


def write_layout(
    layout: Layout, form: str, vocabulary: PositionVocabulary = DEFAULT_VOCABULARY
) -> Written:
    """Write a layout in the form of a name of the table."""
    chosen = form_named(form)
    text = chosen.write(layout, vocabulary)
    again = read_layout(text, layout.width, layout.height, vocabulary).layout
    return Written(text, losses(layout, again, chosen.keeps_size))
