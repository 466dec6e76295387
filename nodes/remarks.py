"""Say remarks where the user stands: on the node, and in ComfyUI's log."""

import logging
from collections.abc import Sequence

from comfy_api.latest import io

from ..reco_core.remarks import Reading, Remark

UI_KEY = "reco_remarks"
"""Of a node's `ui` output; web/js/remarks.js shows it on the node as plain text, to stay."""


def told(remarks: Sequence[Remark], report: str = "") -> dict[str, list]:
    """Log the remarks; the `ui` output that shows a report and them on the node.

    Return it also without remarks: it takes away those of an earlier run. report: plain text.
    """
    for remark in remarks:
        logging.warning(f"ReCo: {remark.message}")
    return {UI_KEY: [{"report": report, "remarks": [remark.to_data() for remark in remarks]}]}


def read_out(reading: Reading, *outputs, **shown) -> io.NodeOutput:
    """The output of a node that makes a layout, with all there is to know of it on the node.

    outputs: those after the layout. shown: more for `ui`.
    """
    return io.NodeOutput(reading.layout, *outputs, ui={**shown, **told(reading.remarks)})
