"""Layouts from masks, and masks from layouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io

from ..reco_core.limits import IMAGE_SIDE, SIZE_STEP
from .inputs import (
    CATEGORY,
    RecoLayout,
    caption_input,
    layout_output,
    region_input,
    search_aliases,
    split_lines,
    texts_input,
    window_outputs,
)
from .interop import BoundingBoxes
from .region_masks import (
    EXACT_PIXELS,
    LATENT_CELLS,
    bounding_window,
    layout_masks,
    union_mask,
)
from .remarks import read_out, told

if TYPE_CHECKING:
    from ..reco_core.layout import Layout
    from ..reco_core.mask import Mask
    from ..reco_core.remarks import Reading

SEVERAL = (
    "{} masks, one for each region: an input that takes one mask uses only the first. Choose a "
    "region, or use the output all."
)
NO_TEXTS = "there are no texts: write what the masks show, one line for each, or one for all"


def layout_from_masks(
    masks: torch.Tensor, texts: Sequence[str], caption: str = "", threshold: float = 0.5
) -> Reading:
    """A region for every mask: its pixels above the threshold, as strong as they are, and the
    smallest box around them.

    masks: (B, H, W) in [0, 1]. texts: one for each mask, or one for all. The layout's size is the
    masks', rounded to multiples of 8. Raises ValueError for an empty mask and for missing texts.
    """
    from ..reco_core.interop import layout_from_boxes
    from ..reco_core.remarks import Reading

    if not texts:
        raise ValueError(NO_TEXTS)
    height, width = masks.shape[-2:]
    masks = masks.reshape(-1, height, width)
    cut = [
        cut_out(mask, threshold, f"mask {number} of {len(masks)}")
        for number, mask in enumerate(masks, start=1)
    ]
    reading = layout_from_boxes([box for box, _ in cut], texts, caption, width, height)
    pairs = zip(reading.layout.regions, cut, strict=True)  # none is empty, so none was left out
    regions = tuple(replace(region, mask=mask) for region, (_, mask) in pairs)
    return Reading(replace(reading.layout, regions=regions), reading.remarks)


def cut_out(
    mask: torch.Tensor, threshold: float = 0.5, name: str = "the mask"
) -> tuple[dict[str, int], Mask]:
    """The smallest box, xywh in pixels, around what of an (H, W) mask is above a threshold, and
    that part of it. Raises ValueError, with its name, if there is none."""
    from ..reco_core.mask import Mask

    inside = mask > threshold
    if not inside.any():
        raise ValueError(
            f"{name} is empty, no pixel is above the threshold {threshold:g}: lower the threshold "
            "or take the mask out"
        )
    (y0, y1), (x0, x1) = (inside.any(dim).nonzero().aminmax() for dim in (1, 0))
    part = (mask * inside)[y0 : y1 + 1, x0 : x1 + 1]
    box = {"x": int(x0), "y": int(y0), "width": part.shape[1], "height": part.shape[0]}
    return box, Mask.from_fractions(part.float().cpu().numpy())


def one_mask(
    masks: torch.Tensor, layout: Layout
) -> tuple[tuple[int, int, int, int], tuple[int, int], Mask]:
    """The mask of a region to be added to a layout: its box, xywh in pixels, of a picture of
    (width, height), and its shape in that box.

    masks: (1, H, W) or (H, W). Raises ValueError when they are several, when the mask is empty, and
    when it is of a picture with other proportions than the layout's.
    """
    height, width = masks.shape[-2:]
    masks = masks.reshape(-1, height, width)
    if len(masks) > 1:
        raise ValueError(
            f"the mask is a batch of {len(masks)}, and a region has one: choose one of them, or "
            "make a region of each with ReCo Layout From Masks"
        )
    # Sides of layouts are rounded to steps, small ones by many hundredths.
    difference = abs(width * layout.height - height * layout.width)
    if difference >= max(SIZE_STEP * max(width, height), width * layout.height / 20):
        raise ValueError(
            f"the mask is {width} x {height} and the layout {layout.width} x {layout.height}: the "
            "proportions differ, so they are of different pictures"
        )
    box, shape = cut_out(masks[0])
    return (box["x"], box["y"], box["width"], box["height"]), (width, height), shape


class ReCoLayoutFromMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutFromMasks",
            display_name="ReCo Layout From Masks",
            category=CATEGORY,
            description="Make a layout from masks: each keeps its shape, and a box around it.",
            **search_aliases("segment regions", "masks to boxes", "masks to regions"),
            inputs=[
                io.Mask.Input(
                    "masks",
                    tooltip="One mask for each region. The picture gets their size, rounded to "
                    "multiples of 8.",
                ),
                texts_input("mask"),
                caption_input(),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    optional=True,
                    tooltip="Pixels above it belong to the mask, as strong as they are; with 0 its "
                    "whole soft edge does.",
                ),
            ],
            outputs=[layout_output()],
        )

    @classmethod
    def validate_inputs(cls, texts: str | None) -> bool | str:
        return True if texts is None or texts.strip() else NO_TEXTS

    @classmethod
    def execute(
        cls, masks: torch.Tensor, texts: str, caption: str, threshold: float = 0.5
    ) -> io.NodeOutput:
        return read_out(layout_from_masks(masks, split_lines(texts), caption, threshold))


class ReCoRegionMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoRegionMask",
            display_name="ReCo Region Mask",
            category=CATEGORY,
            description="Make the mask of one region, to inpaint it, and the window around it.",
            **search_aliases("inpaint region", "region mask", "crop region", "detailer mask"),
            inputs=[
                RecoLayout.Input(
                    "layout",
                    tooltip="The layout that has the region. One with a mask has that, any other "
                    "its box.",
                ),
                region_input("1", "2, or: dog", "The region"),
                io.Int.Input(
                    "grow",
                    default=0,
                    min=0,
                    max=IMAGE_SIDE,
                    tooltip="Pixels added on every side, before the mask is rounded to latent "
                    "cells.",
                ),
                io.Int.Input(
                    "feather",
                    default=16,
                    min=0,
                    max=IMAGE_SIDE,
                    tooltip="Width of the soft edge in pixels. It lies around the region, which "
                    "stays whole. 0 is a hard edge.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask",
                    tooltip="1 in all latent cells that the region touches or nearly touches, "
                    "falling to 0 around them; of the layout's size.",
                ),
                BoundingBoxes.Output(
                    display_name="window",
                    tooltip="The window around the mask with its soft edge, in whole latent cells.",
                ),
                *window_outputs("that window"),
            ],
        )

    @classmethod
    def execute(cls, layout: Layout, region: str, grow: int, feather: int) -> io.NodeOutput:
        from ..reco_core.choice import choose_region

        mask = layout_masks(choose_region(layout, region), feather, LATENT_CELLS, grow)
        window = bounding_window(mask[0])
        return io.NodeOutput(mask, window, *window.values())


class ReCoLayoutToMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutToMasks",
            display_name="ReCo Layout To Masks",
            category=CATEGORY,
            description="Make masks of a layout's regions, to inpaint or limit conditioning.",
            **search_aliases("region masks", "boxes to masks", "inpaint region"),
            inputs=[
                RecoLayout.Input(
                    "layout",
                    tooltip="The layout whose regions are wanted. One with a mask "
                    "has that, any other its box.",
                ),
                io.Int.Input(
                    "feather",
                    default=0,
                    min=0,
                    max=IMAGE_SIDE,
                    optional=True,
                    tooltip="Width of a soft edge in pixels: around whole latent cells, or half of "
                    "it on either side of the exact edge. 0 is a hard edge.",
                ),
                io.Combo.Input(
                    "edges",
                    options=[LATENT_CELLS, EXACT_PIXELS],
                    default=LATENT_CELLS,
                    optional=True,
                    tooltip="Whole latent cells, of 8 x 8 pixels, to inpaint so that nothing of "
                    "what was there remains, and for conditioning. Exact pixels to work on "
                    "pictures.",
                ),
                region_input("", "all", "The region whose mask is wanted", optional=True),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="masks",
                    tooltip="The region's mask, or a mask for each, of the layout's size.",
                ),
                io.Mask.Output(
                    display_name="background", tooltip="One mask of all that no region covers."
                ),
                io.Mask.Output(display_name="all", tooltip="One mask of all regions together."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def execute(
        cls, layout: Layout, feather: int = 0, edges: str = LATENT_CELLS, region: str = ""
    ) -> io.NodeOutput:
        from ..reco_core.choice import choose_region, means_all
        from ..reco_core.remarks import Remark

        if not means_all(region):
            masks = layout_masks(choose_region(layout, region), feather, edges)
            everything = union_mask(layout, feather, edges)
        else:
            masks = layout_masks(layout, feather, edges)
            everything = masks.amax(dim=0, keepdim=True)
        remarks = []
        if len(masks) > 1 and _is_linked(cls.hidden.prompt, cls.hidden.unique_id, 0):
            remarks.append(Remark("lost", SEVERAL.format(len(masks))))
        return io.NodeOutput(masks, 1 - everything, everything, ui=told(remarks))


def _is_linked(prompt: dict | None, node_id: str, output: int) -> bool:
    """Whether any node of a workflow uses an output; true of one that is not in the workflow as it
    was queued."""
    if prompt is None or node_id not in prompt:
        return True
    return any([node_id, output] in node["inputs"].values() for node in prompt.values())
