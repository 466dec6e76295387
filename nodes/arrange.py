"""Nodes that rearrange layouts: merge, reorder, scale, flip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from .inputs import CATEGORY, RecoLayout, layout_output, why_refused
from .remarks import layout_out

if TYPE_CHECKING:
    from ..reco_core.layout import Layout

OTHERS_BEHIND = "put behind them"
OTHERS_OUT = "leave out"


def _factor(name: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=1.0, min=0.05, max=16.0, step=0.05, tooltip=tooltip)


class ReCoMergeLayouts(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoMergeLayouts",
            display_name="ReCo Merge Layouts",
            category=CATEGORY,
            description="Put the regions of two layouts into one.",
            inputs=[
                RecoLayout.Input("first", tooltip="Its regions come first, and its size is kept."),
                RecoLayout.Input("second", tooltip="Its boxes are scaled to the first's size."),
            ],
            outputs=[layout_output("All regions; both captions, joined by a comma.")],
        )

    @classmethod
    def execute(cls, first: Layout, second: Layout) -> io.NodeOutput:
        from ..reco_core.arrange import merge_layouts

        return layout_out(merge_layouts(first, second))


class ReCoReorderRegions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoReorderRegions",
            display_name="ReCo Reorder Regions",
            category=CATEGORY,
            description="Change the order of a layout's regions, or keep only some.",
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout to reorder."),
                io.String.Input(
                    "order",
                    default="1",
                    tooltip="The regions by number, as ReCo Draw Layout shows them: 3, 1, 2, or "
                    "ranges such as 2-4 and 3-1.",
                ),
                io.Combo.Input(
                    "others",
                    options=[OTHERS_BEHIND, OTHERS_OUT],
                    default=OTHERS_BEHIND,
                    tooltip="What becomes of the regions that the order does not name.",
                ),
            ],
            outputs=[layout_output("It, in the new order.")],
        )

    @classmethod
    def validate_inputs(cls, order: str | None) -> bool | str:
        from ..reco_core.arrange import region_numbers

        return why_refused(region_numbers, order)

    @classmethod
    def execute(cls, layout: Layout, order: str, others: str) -> io.NodeOutput:
        from ..reco_core.arrange import reorder_regions, select_regions

        arrange = reorder_regions if others == OTHERS_BEHIND else select_regions
        return layout_out(arrange(layout, order))


class ReCoScaleLayout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoScaleLayout",
            display_name="ReCo Scale Layout",
            category=CATEGORY,
            description="Scale the picture of a layout, or the boxes in it.",
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout to scale."),
                _factor(
                    "picture_factor",
                    "Scales the picture and all in it, for a second pass at a larger size. The "
                    "size is rounded to multiples of 8.",
                ),
                _factor(
                    "box_factor",
                    "Scales every box about its own centre; what leaves the picture is cut off.",
                ),
            ],
            outputs=[layout_output("It, scaled.")],
        )

    @classmethod
    def execute(cls, layout: Layout, picture_factor: float, box_factor: float) -> io.NodeOutput:
        from ..reco_core.arrange import scale_boxes, scale_picture

        return layout_out(scale_boxes(scale_picture(layout, picture_factor), box_factor))


class ReCoFlipLayout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoFlipLayout",
            display_name="ReCo Flip Layout",
            category=CATEGORY,
            description="Mirror a layout.",
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout to mirror."),
                io.Boolean.Input(
                    "horizontal", default=True, tooltip="Whether left and right change sides."
                ),
                io.Boolean.Input(
                    "vertical", default=False, tooltip="Whether top and bottom change sides."
                ),
                io.Boolean.Input(
                    "swap_words",
                    default=True,
                    tooltip="On a horizontal flip, also swap the words left and right in the "
                    "caption, the texts and the regions' negatives.",
                ),
            ],
            outputs=[layout_output("It, mirrored.")],
        )

    @classmethod
    def execute(
        cls, layout: Layout, horizontal: bool, vertical: bool, swap_words: bool
    ) -> io.NodeOutput:
        from ..reco_core.arrange import flip_layout

        return layout_out(flip_layout(layout, horizontal, vertical, swap_words))
