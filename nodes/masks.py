"""Layouts from masks, and masks from layouts.

Soft and rounded edges are made of lines, along the rows and then along the columns: a box is the
product of one row and one column, a mask has all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import torch
from comfy.model_management import intermediate_device, throw_exception_if_processing_interrupted
from comfy_api.latest import io

from ..reco_core.limits import IMAGE_SIDE, MAX_REGIONS, SIZE_STEP
from .inputs import (
    CATEGORY,
    RecoLayout,
    caption_input,
    layout_output,
    search_aliases,
    split_lines,
    texts_input,
)
from .remarks import read_out, told

if TYPE_CHECKING:
    from ..reco_core.layout import Layout
    from ..reco_core.mask import Mask
    from ..reco_core.remarks import Reading

LATENT_CELLS = "whole latent cells"
EXACT_PIXELS = "exact pixels"
MAX_PIXELS = 1 << 30  # of all masks together, 4 GB
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


def layout_masks(layout: Layout, feather: int = 0, edges: str = LATENT_CELLS) -> torch.Tensor:
    """(N, H, W) in [0, 1], a mask for each of N regions at the layout's size.

    A region with a mask has that, and any other all of its box.

    edges: LATENT_CELLS, all cells of the latents that a region touches or nearly touches, whole;
        or EXACT_PIXELS.
    feather: width in pixels of the soft edge. It lies around whole cells. Of exact pixels, half of
        it lies inside the region, so that neighbours fade into each other, and a box narrower than
        that has one as wide as itself. The picture's own border stays hard.

    Raises ValueError when the layout has no regions, or masks would take too much memory.
    """
    _check_memory(len(layout.regions), layout)
    return torch.stack(list(_masks(layout, feather, edges))).to(intermediate_device())


def union_mask(layout: Layout, feather: int = 0, edges: str = LATENT_CELLS) -> torch.Tensor:
    """(1, H, W) in [0, 1], all of `layout_masks` together. Raises ValueError without regions."""
    _check_memory(1, layout)
    return reduce(torch.maximum, _masks(layout, feather, edges))[None].to(intermediate_device())


def _check_memory(count: int, layout: Layout) -> None:
    pixels = count * layout.width * layout.height
    if pixels > MAX_PIXELS:
        raise ValueError(
            f"{count} mask(s) of {layout.width} x {layout.height} pixels would take "
            f"{4 * pixels / 1e9:.0f} GB: choose one region, or make the picture smaller"
        )


def _masks(layout: Layout, feather: int, edges: str) -> Iterator[torch.Tensor]:
    """(H, W), of one region after the other."""
    if not layout.regions:
        raise ValueError("the layout has no regions, so there are no masks: add a region to it")
    edge = _around_cells if edges == LATENT_CELLS else _across_edge
    for region in layout.regions:
        throw_exception_if_processing_interrupted()
        x0, y0, x1, y1 = region.box.covered_pixels(layout.width, layout.height)
        if region.mask:
            across = edge(_shape(region.mask, (x0, y0, x1, y1), layout), feather, x1 - x0)
            yield edge(across.T, feather, y1 - y0).T
        else:
            column = edge(_line(y0, y1, layout.height), feather, y1 - y0)
            yield column.T * edge(_line(x0, x1, layout.width), feather, x1 - x0)


def _line(start: int, stop: int, length: int) -> torch.Tensor:
    """(1, length): 1 from start to stop, 0 elsewhere."""
    line = torch.zeros(1, length)
    line[:, start:stop] = 1
    return line


def _shape(mask: Mask, box: tuple[int, int, int, int], layout: Layout) -> torch.Tensor:
    """(H, W): a mask in its box, xyxy in pixels, and 0 elsewhere."""
    x0, y0, x1, y1 = box
    shape = torch.zeros(layout.height, layout.width)
    shape[y0:y1, x0:x1] = torch.from_numpy(mask.sized(x1 - x0, y1 - y0) / 255)
    return shape


def _across_edge(lines: torch.Tensor, feather: int, side: int) -> torch.Tensor:
    """(N, length): the lines, each point of them the mean over a feather's width around it.

    An edge rises evenly over the width of a feather; side: of the box, beyond which it cannot.
    """
    width = min(feather, side)
    if not width:
        return lines
    halves = lines.double().repeat_interleave(2, dim=1) / 2  # a feather may be an odd number
    first, last = halves[:, :1], halves[:, -1:]
    padded = torch.cat([first.expand(-1, width), halves, last.expand(-1, width)], dim=1)
    sums = torch.nn.functional.pad(padded.cumsum(dim=1), (1, 0))
    middles = torch.arange(lines.shape[1]) * 2 + 1 + width
    return ((sums[:, middles + width] - sums[:, middles - width]) / width).float().clamp(0, 1)


def _around_cells(lines: torch.Tensor, feather: int, side: int) -> torch.Tensor:
    """(N, length): the lines in whole cells, and falling to 0 around them over a feather's width.

    A latent's mask is read in the middle of its cells, and the VAE carries an edge into a cell that
    it nearly touches: half a cell around a region belongs to it.
    """
    pool = torch.nn.functional.max_pool1d
    cells = pool(lines[:, None], 2 * SIZE_STEP, SIZE_STEP, SIZE_STEP // 2).transpose(1, 2)
    soft = cells.expand(-1, -1, SIZE_STEP).clone()  # (N, cells, pixels of a cell)
    centres = torch.arange(SIZE_STEP) + 0.5
    for step in range(1, min(-(-feather // SIZE_STEP), len(cells[0]) - 1) + 1):
        fall = (1 - (centres + (step - 1) * SIZE_STEP) / feather).clamp(min=0)
        torch.maximum(soft[:, step:], cells[:, :-step] * fall, out=soft[:, step:])
        torch.maximum(soft[:, :-step], cells[:, step:] * fall.flip(0), out=soft[:, :-step])
    return soft.flatten(1)


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
                io.Int.Input(
                    "region",
                    default=0,
                    min=0,
                    max=MAX_REGIONS,
                    optional=True,
                    tooltip="The number of the region whose mask is wanted, as ReCo Draw Layout "
                    "shows it. 0: each region has a mask of its own.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="masks",
                    tooltip="The region's mask, or with 0 a mask for each, of the layout's size.",
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
        cls, layout: Layout, feather: int = 0, edges: str = LATENT_CELLS, region: int = 0
    ) -> io.NodeOutput:
        from ..reco_core.arrange import select_regions
        from ..reco_core.remarks import Remark

        if region:
            masks = layout_masks(select_regions(layout, (region,)), feather, edges)
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
