"""Say remarks where the user stands: on the node, and in ComfyUI's log."""

import logging
from collections.abc import Sequence

from ..reco_core.remarks import Remark

UI_KEY = "reco_remarks"
"""Of a node's `ui` output; web/js/remarks.js shows it on the node as plain text and keeps it there."""


def told(remarks: Sequence[Remark], report: str = "") -> dict[str, list]:
    """Log the remarks; the `ui` output that shows a report and them on the node.

    Return it also without remarks: it takes away those of an earlier run. report: plain text.
    """
    for remark in remarks:
        logging.warning(f"ReCo: {remark.message}")
    return {UI_KEY: [{"report": report, "remarks": [remark.to_data() for remark in remarks]}]}
