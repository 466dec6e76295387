"""Custom nodes for measuring: what a sampler has the UNet compute, what a text encoder reads, what
a start costs, and what the process holds. Figures are shown as JSON, the text of an output."""

from __future__ import annotations

from .encoding import CountPasses, ShowPasses, TimeEncoding
from .memory import ShowMemory
from .sampling import CountRows, CutStates, ShowRows
from .starting import TimeStart

NODE_CLASS_MAPPINGS = {
    node.__name__: node
    for node in (
        CountPasses,
        CountRows,
        CutStates,
        ShowMemory,
        ShowPasses,
        ShowRows,
        TimeEncoding,
        TimeStart,
    )
}
