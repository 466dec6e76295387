"""Nodes that make layouts: an image caption and boxes with words in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from ..reco_core.limits import IMAGE_SIDE
from .inputs import CATEGORY, RecoLayout, layout_output, search_aliases, side_input, why_refused
from .remarks import layout_out, read_out

if TYPE_CHECKING:
    import torch

    from ..reco_core.layout import Layout


class ReCoLayoutFromText(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutFromText",
            display_name="ReCo Layout From Text",
            category=CATEGORY,
            description="Make a layout from text: a caption, a ReCo prompt, JSON, or what language "
            "models write.",
            **search_aliases("regional prompt", "bounding boxes", "json to layout"),
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    placeholder="a dog on a lawn <100> <300> <600> <900> a brown dog",
                    tooltip="A caption, to which ReCo Add Region adds boxes; or a whole ReCo "
                    "prompt, with <546> <621> <885> <861> in thousandths or <bin514> ...; or JSON; "
                    "or lines such as - a dog: [0.1, 0.3, 0.6, 0.9]. What cannot be read for sure "
                    "is refused; the help page lists all forms.",
                ),
                side_input("width", "Boxes in pixels count in it; JSON may bring its own."),
                side_input("height", "Boxes in pixels count in it; JSON may bring its own."),
            ],
            outputs=[layout_output()],
        )

    @classmethod
    def validate_inputs(cls, text: str | None, width: int | None, height: int | None) -> bool | str:
        from ..reco_core.forms.table import read_layout

        return why_refused(read_layout, text, width, height)

    @classmethod
    def execute(cls, text: str, width: int, height: int) -> io.NodeOutput:
        from ..reco_core.forms.table import read_layout

        return read_out(read_layout(text, width, height))


class ReCoAddRegion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoAddRegion",
            display_name="ReCo Add Region",
            category=CATEGORY,
            description="Add one box with its words to a layout.",
            **search_aliases("add box", "bounding box", "area"),
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    default="",
                    placeholder="a brown dog",
                    tooltip="What to paint in the box. Weights such as (brown dog:1.3) and "
                    "embedding:name work here.",
                ),
                _pixels("x", 0, 0, "Left edge of the box"),
                _pixels("y", 0, 0, "Top edge of the box"),
                _pixels("width", 256, 1, "Width of the box"),
                _pixels("height", 256, 1, "Height of the box"),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    optional=True,
                    tooltip="Strength of the whole region, position included. 1 is as trained.",
                ),
                RecoLayout.Input(
                    "layout",
                    optional=True,
                    tooltip="The layout to add to. Without one, a 512 x 512 layout with no caption "
                    "is started; ReCo Layout From Text starts one with a caption and any size.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="A mask of the picture, to be the region's shape; its box is put "
                    "around it. Models read the box, ReCo Layout To Masks gives the shape.",
                ),
            ],
            outputs=[layout_output("It, with the region.")],
        )

    @classmethod
    def validate_inputs(cls, text: str | None) -> bool | str:
        if text is None or text.strip():
            return True
        return "the region has no text: write what to paint in the box, or remove the node"

    @classmethod
    def execute(
        cls,
        text: str,
        x: int,
        y: int,
        width: int,
        height: int,
        weight: float = 1.0,
        layout: Layout | None = None,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        from ..reco_core.layout import Box, Layout, Region
        from .masks import one_mask

        if layout is None:
            layout = Layout()
        box, size, shape = (x, y, width, height), (layout.width, layout.height), None
        if mask is not None:
            box, size, shape = one_mask(mask, layout)
        region = Region(text, Box.from_pixels(*box, *size), weight, mask=shape)
        return layout_out(layout.with_region(region))


def _pixels(name: str, default: int, minimum: int, what: str) -> io.Int.Input:
    tooltip = f"{what}, in pixels of the layout. Not used with a mask."
    return io.Int.Input(name, default=default, min=minimum, max=IMAGE_SIDE, tooltip=tooltip)
