"""Say remarks where the user stands: on the node, and in ComfyUI's log."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from comfy.sd1_clip import escape_important, token_weights, unescape_important
from comfy_api.latest import io

if TYPE_CHECKING:
    from ..reco_core.layout import Layout
    from ..reco_core.remarks import Reading, Remark

UI_KEY = "reco_remarks"
"""Of a node's `ui` output; web/js/comfy/words.js shows it on the node as plain text, to stay."""


_IS_LOGGED = ContextVar("reco_is_logged", default=True)


@contextmanager
def unlogged() -> Iterator[None]:
    """Log no remarks meanwhile, as of nodes that are run to see what they once made."""
    token = _IS_LOGGED.set(False)
    try:
        yield
    finally:
        _IS_LOGGED.reset(token)


def log(message: str) -> None:
    if _IS_LOGGED.get():
        logging.warning(f"ReCo: {message}")


def told(remarks: Sequence[Remark], report: str = "") -> dict[str, list]:
    """Log the remarks; the `ui` output that shows a report and them on the node.

    Return it also without remarks: it takes away those of an earlier run. report: plain text.
    """
    for remark in remarks:
        log(remark.message)
    return {UI_KEY: [{"report": report, "remarks": [remark.to_data() for remark in remarks]}]}


def read_out(reading: Reading, *outputs: object, **shown: object) -> io.NodeOutput:
    """The output of a node that makes a layout, with all there is to know of it on the node.

    outputs: those after the layout. shown: more for `ui`. Raises ValueError as layout_remarks.
    """
    remarks = all_remarks(reading)
    return io.NodeOutput(reading.layout, *outputs, ui={**shown, **told(remarks)})


def layout_out(layout: Layout) -> io.NodeOutput:
    """As read_out, of a layout that was made of values, with nothing to say of a reading."""
    from ..reco_core.remarks import Reading

    return read_out(Reading(layout))


def all_remarks(reading: Reading) -> tuple[Remark, ...]:
    """Of the reading itself and of the layout it made. Raises ValueError as layout_remarks."""
    from ..reco_core.layout_remarks import layout_remarks

    of_layout = layout_remarks(reading.layout, weighted_spans, reading.indices)
    return (*reading.remarks, *of_layout)


def weighted_spans(text: str) -> list[tuple[str, float]]:
    """ComfyUI's reading of prompt weights: (words, weight), in order."""
    spans = token_weights(escape_important(text), 1.0)
    return [(unescape_important(words), weight) for words, weight in spans]
