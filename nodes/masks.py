"""Layouts from masks, and masks from layouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    split_lines,
    texts_input,
)
from .remarks import read_out, told

if TYPE_CHECKING:
    from ..reco_core.layout import Layout
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
    """A region for every mask: the smallest box around its pixels above the threshold.

    masks: (B, H, W) in [0, 1]. texts: one for each mask, or one for all. The layout's size is the
    masks', rounded to multiples of 8. Raises ValueError for an empty mask and for missing texts.
    """
    from ..reco_core.interop import layout_from_boxes

    if not texts:
        raise ValueError(NO_TEXTS)
    height, width = masks.shape[-2:]
    masks = masks.reshape(-1, height, width) > threshold
    for number, mask in enumerate(masks, start=1):
        if not mask.any():
            raise ValueError(
                f"mask {number} of {len(masks)} is empty, no pixel is above the threshold "
                f"{threshold:g}: lower the threshold or take the mask out"
            )
    return layout_from_boxes([_mask_box(m) for m in masks], texts, caption, width, height)


def layout_masks(layout: Layout, feather: int = 0, edges: str = LATENT_CELLS) -> torch.Tensor:
    """(N, H, W) in [0, 1], a mask for each of N regions at the layout's size.

    edges: LATENT_CELLS, all cells of the latents that a box touches or nearly touches, whole; or
        EXACT_PIXELS.
    feather: width in pixels of the soft edge. It lies around whole cells. Of exact pixels, half of
        it lies inside the box, so that neighbours fade into each other, and a box narrower than
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
    side = _around_cells if edges == LATENT_CELLS else _across_edge
    for region in layout.regions:
        throw_exception_if_processing_interrupted()
        x0, y0, x1, y1 = region.box.covered_pixels(layout.width, layout.height)
        rows, columns = side(y0, y1, layout.height, feather), side(x0, x1, layout.width, feather)
        yield rows[:, None] * columns


def _mask_box(mask: torch.Tensor) -> dict[str, int]:
    """The smallest bounding box around what is true in an (H, W) mask."""
    (y0, y1), (x0, x1) = (mask.any(dim).nonzero().aminmax() for dim in (1, 0))
    return {"x": int(x0), "y": int(y0), "width": int(x1 - x0 + 1), "height": int(y1 - y0 + 1)}


def _across_edge(start: int, stop: int, length: int, feather: int) -> torch.Tensor:
    """(length,): 1 between start and stop, 0 elsewhere, and rising in between."""
    centres = torch.arange(length) + 0.5
    width = min(feather, stop - start)  # of 0: the divisions give an infinity, never 0 / 0
    rise = 0.5 + (centres - start) / width if start > 0 else torch.ones(length)
    fall = 0.5 + (stop - centres) / width if stop < length else torch.ones(length)
    return torch.minimum(rise, fall).clamp(0, 1)


def _around_cells(start: int, stop: int, length: int, feather: int) -> torch.Tensor:
    """(length,): 1 in the cells from start to stop, and falling to 0 around them.

    A latent's mask is read in the middle of its cells, and the VAE carries an edge into a cell that
    it nearly touches: half a cell around the box belongs to it.
    """
    start = (start - SIZE_STEP // 2) // SIZE_STEP * SIZE_STEP
    stop = -(-(stop + SIZE_STEP // 2) // SIZE_STEP) * SIZE_STEP
    centres = torch.arange(length) + 0.5
    away = torch.maximum(start - centres, centres - stop).clamp(min=0)
    return (1 - away / feather).clamp(min=0) if feather else (away == 0).float()


class ReCoLayoutFromMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutFromMasks",
            display_name="ReCo Layout From Masks",
            category=CATEGORY,
            description="Make a layout from masks: a box around each.",
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
                    tooltip="Pixels above it belong to the mask.",
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
            description="Make masks of a layout's boxes, to inpaint or limit conditioning.",
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout whose boxes are wanted."),
                io.Int.Input(
                    "feather",
                    default=0,
                    min=0,
                    max=IMAGE_SIDE,
                    optional=True,
                    tooltip="Width of a soft edge in pixels: around whole latent cells, or half of "
                    "it on either side of a box's exact edge. 0 is a hard edge.",
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
                    display_name="background", tooltip="One mask of all that no box covers."
                ),
                io.Mask.Output(display_name="all", tooltip="One mask of all boxes together."),
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
