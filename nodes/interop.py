"""Layouts from and to what other nodes and files have: bounding boxes, elements, COCO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .inputs import (
    CATEGORY,
    RecoLayout,
    caption_input,
    layout_output,
    search_aliases,
    side_input,
    split_lines,
    texts_input,
    why_refused,
)
from .remarks import read_out, told

if TYPE_CHECKING:
    import torch

    from ..reco_core.layout import Layout
    from ..reco_core.remarks import Reading

# By name: the oldest ComfyUI that this pack runs in has no class for ARRAY, and newer ones give
# BOUNDING_BOX inputs a widget.
BoundingBoxes = io.Custom("BOUNDING_BOX")
Elements = io.Custom("ARRAY")


class ReCoLayoutFromBoxes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutFromBoxes",
            display_name="ReCo Layout From Boxes",
            category=CATEGORY,
            description="Make a layout from bounding boxes, entered or found by a detector.",
            **search_aliases("bounding boxes", "detect regions", "bbox"),
            inputs=[
                BoundingBoxes.Input(
                    "bboxes",
                    tooltip="One box, several, or several for each frame. What sticks out of the "
                    "picture is cut off.",
                    extra_dict={"forceInput": True},
                ),
                texts_input("box", "Empty: the labels that a detector gave the boxes."),
                caption_input(),
                side_input("width", "The boxes count in it. Not used with an image."),
                side_input("height", "The boxes count in it. Not used with an image."),
                io.Int.Input(
                    "frame",
                    default=0,
                    min=0,
                    max=1_000_000,
                    optional=True,
                    tooltip="Which image of a batch, from 0, when boxes come for each.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The image the boxes were found in; its size is used, rounded to "
                    "multiples of 8.",
                ),
            ],
            outputs=[layout_output()],
        )

    @classmethod
    def execute(
        cls,
        bboxes: Any,
        texts: str,
        caption: str,
        width: int,
        height: int,
        frame: int = 0,
        image: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        from ..reco_core.interop import layout_from_boxes

        if image is not None:
            height, width = image.shape[1:3]
        return read_out(
            layout_from_boxes(bboxes, split_lines(texts), caption, width, height, frame)
        )


class ReCoLayoutFromElements(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutFromElements",
            display_name="ReCo Layout From Elements",
            category=CATEGORY,
            description="Make a layout from the elements of ComfyUI's Create Bounding Boxes.",
            inputs=[
                Elements.Input(
                    "elements",
                    tooltip="The elements output of Create Bounding Boxes: boxes with their "
                    "descriptions. Elements as JSON go into ReCo Layout From Text.",
                ),
                caption_input(),
                side_input("width"),
                side_input("height"),
            ],
            outputs=[layout_output()],
        )

    @classmethod
    def execute(cls, elements: Any, caption: str, width: int, height: int) -> io.NodeOutput:
        from ..reco_core.interop import layout_from_elements

        return read_out(layout_from_elements(elements, caption, width, height))


class ReCoLayoutFromCoco(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutFromCoco",
            display_name="ReCo Layout From COCO",
            category=CATEGORY,
            description="Make a layout from one image of a COCO annotation file.",
            inputs=[
                io.String.Input(
                    "instances",
                    multiline=True,
                    default="",
                    placeholder='{"images": [...], "annotations": [...], "categories": [...]}',
                    tooltip="The text of a COCO instances file. Region texts are the annotations' "
                    "own captions, else the names of their categories.",
                ),
                io.String.Input(
                    "image",
                    default="",
                    tooltip="Id or file name of the image in the file. May be empty if there is "
                    "only one.",
                ),
                caption_input("Not used with captions."),
                io.String.Input(
                    "captions",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip="The text of a COCO captions file, to take the caption from.",
                ),
                io.Int.Input(
                    "caption_index",
                    default=0,
                    min=0,
                    max=1000,
                    optional=True,
                    tooltip="Which of the image's captions in that file, from 0.",
                ),
            ],
            outputs=[layout_output()],
        )

    @classmethod
    def validate_inputs(
        cls,
        instances: str | None,
        image: str | None,
        captions: str | None = "",
        caption_index: int | None = 0,
    ) -> bool | str:
        return why_refused(_read_coco, instances, image, captions, caption_index)

    @classmethod
    def execute(
        cls, instances: str, image: str, caption: str, captions: str = "", caption_index: int = 0
    ) -> io.NodeOutput:
        return read_out(_read_coco(instances, image, captions, caption_index, caption))


def _read_coco(instances: str, image: str, captions: str, *more: Any) -> Reading:
    """As layout_from_coco, for widgets, whose empty texts mean none."""
    from ..reco_core.coco import layout_from_coco

    return layout_from_coco(instances, image or None, captions or None, *more)


class ReCoLayoutToBoxes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutToBoxes",
            display_name="ReCo Layout To Boxes",
            category=CATEGORY,
            description="Give a layout's boxes and texts to nodes that draw, segment or crop.",
            **search_aliases("bounding boxes", "bbox", "crop regions"),
            inputs=[RecoLayout.Input("layout", tooltip="The layout whose boxes are wanted.")],
            outputs=[
                BoundingBoxes.Output(
                    display_name="bboxes",
                    tooltip="The boxes in pixels of the layout's size, as a detector gives them "
                    "for one image; each is labelled with its text.",
                ),
                Elements.Output(
                    display_name="elements",
                    tooltip="The boxes with their texts, as Create Bounding Boxes gives them.",
                ),
                io.String.Output(
                    display_name="texts", tooltip="The texts alone, one line for each box."
                ),
            ],
        )

    @classmethod
    def execute(cls, layout: Layout) -> io.NodeOutput:
        from ..reco_core.interop import boxes_lose, layout_to_boxes, layout_to_elements

        texts = "\n".join(" ".join(region.text.splitlines()) for region in layout.regions)
        boxes, elements = [layout_to_boxes(layout)], layout_to_elements(layout)
        return io.NodeOutput(boxes, elements, texts, ui=told(boxes_lose(layout)))
