"""The one table of written forms, and the two doors that use it."""

from __future__ import annotations

from ..checks import quote
from ..layout import Layout
from ..position_tokens import DEFAULT_VOCABULARY, PositionVocabulary
from ..remarks import Reading, Remark
from .elements import ELEMENTS, IDEOGRAM
from .form import Form
from .labelled_boxes import BBOX_2D, PIXELS, SIDECAR
from .layout_json import FORM as LAYOUT_JSON
from .layout_json import no_layout
from .lines import LINES
from .prompts import AUTHORS, PORT, read_prompt
from .source import open_text
from .tags import TAGS
from .words import WORDS
from .written import Written, losses

FORMS = (
    LAYOUT_JSON,
    AUTHORS,
    PORT,
    ELEMENTS,
    IDEOGRAM,
    BBOX_2D,
    SIDECAR,
    PIXELS,
    TAGS,
    LINES,
    WORDS,
)
"""In menu order."""


def form_named(name: str) -> Form:
    """The form of a name. Raises ValueError when there is none."""
    for form in FORMS:
        if form.name == name:
            return form
    names = ", ".join(form.name for form in FORMS)
    raise ValueError(f"form {quote(name)} is unknown: use one of {names}")


def read_layout(
    text: str,
    width: int,
    height: int,
    vocabulary: PositionVocabulary = DEFAULT_VOCABULARY,
) -> Reading:
    """Read any written form of a layout, told apart by its looks; what is in none is a caption.

    A code fence and words around the form are left out, with a remark.
    width, height: pixels, multiples of 8; some forms bring their own.

    Raises:
        ValueError: the text is meant as a layout but cannot be read for sure: broken, nearly in
            one of the forms, or with numbers that may mean several things. The message is one line.
    """
    source = open_text(text, width, height, vocabulary)
    for form in sorted(FORMS, key=lambda form: form.read is read_prompt):  # which take any text
        reading = form.read(source) if form.read else None
        if reading is not None:
            return Reading(reading.layout, (*source.remarks, *reading.remarks))
    raise ValueError(no_layout(source))


def write_layout(
    layout: Layout, form: str, vocabulary: PositionVocabulary = DEFAULT_VOCABULARY
) -> Written:
    """Write a layout in the form of a name of the table, with a remark on all that this loses.

    Raises:
        ValueError: no such form, or one that cannot hold the layout.
    """
    chosen = form_named(form)
    text = chosen.write(layout, vocabulary)
    if chosen.read is None:
        words = (
            "Boxes become words in this form: it cannot be read back, nor can weights, colors and "
            "masks."
        )
        return Written(text, (Remark("lost", words),))
    again = read_layout(text, layout.width, layout.height, vocabulary)
    return Written(text, losses(layout, again, chosen.keeps_size))
