"""Running the nodes again by which a picture's layout was made: those that need no models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..reco_core.checks import quote
from ..reco_core.layout import Layout
from ..reco_core.recall import Kind, recall_layout
from ..reco_core.remarks import Reading
from .arrange import ReCoFlipLayout, ReCoMergeLayouts, ReCoReorderRegions, ReCoScaleLayout
from .control import ReCoRegionSettings
from .editor import ReCoLayoutEditor
from .interop import ReCoLayoutFromBoxes, ReCoLayoutFromCoco, ReCoLayoutFromElements
from .layout import ReCoAddRegion, ReCoLayoutFromText
from .masks import ReCoLayoutFromMasks
from .remarks import unlogged
from .window import ReCoCropLayout, ReCoPadLayout, ReCoTileLayout

MAKERS: tuple[type[io.ComfyNode], ...] = (
    ReCoLayoutEditor,
    ReCoLayoutFromText,
    ReCoAddRegion,
    ReCoLayoutFromBoxes,
    ReCoLayoutFromElements,
    ReCoLayoutFromMasks,
    ReCoLayoutFromCoco,
    ReCoMergeLayouts,
    ReCoReorderRegions,
    ReCoRegionSettings,
    ReCoScaleLayout,
    ReCoFlipLayout,
    ReCoCropLayout,
    ReCoPadLayout,
    ReCoTileLayout,
)
"""All that make layouts but ReCo Layout From Image, whose file may be another by now."""

_TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "INT": (int,),
    "FLOAT": (int, float),
    "BOOLEAN": (bool,),
    "COMBO": (str,),
    "RECO_LAYOUT": (Layout,),
    "BOUNDING_BOX": (list, dict),
    "ARRAY": (list,),
}
_UNREAD = {"ReCoLayoutEditor": {"image"}, "ReCoTileLayout": {"image"}}
"""Inputs that change nothing in the layout."""


def recall(data: bytes, name: str, width: int = 512, height: int = 512) -> Reading:
    """As reco_core's recall_layout, with the nodes of this pack."""
    kinds = {maker.define_schema().node_id: _kind(maker) for maker in MAKERS}
    with unlogged():
        return recall_layout(data, name, kinds, width, height)


def _kind(maker: type[io.ComfyNode]) -> Kind:
    schema = maker.define_schema()
    inputs = {one.id: one for one in schema.inputs}
    needed = inputs.keys() - _UNREAD.get(schema.node_id, set())

    def run(values: Mapping[str, Any]) -> tuple[Any, ...]:
        for name in sorted(needed):
            if name in values:
                _check(inputs[name], values[name])
            elif not inputs[name].optional:
                raise ValueError(f"the picture does not say its {name}")
        outputs = maker.execute(**values).args
        # A picture is made of all tiles together.
        return (values["layout"],) if maker is ReCoTileLayout else outputs

    return Kind(frozenset(needed), run)


def _check(one: io.Input, value: Any) -> None:
    """As ComfyUI checks what is queued. Raises ValueError for a value that the node never gets."""
    expected = _TYPES.get(one.io_type, ())
    is_right = isinstance(value, expected) and isinstance(value, bool) == (expected == (bool,))
    options = getattr(one, "options", None) or ()
    if not is_right or (one.io_type == "COMBO" and value not in options):
        raise ValueError(f"{one.id} = {quote(value)} is no {one.io_type} that it takes")
