"""Layouts from masks, and masks from layouts."""

from collections.abc import Sequence

import comfy.model_management
import torch
from comfy_api.latest import io

from ..reco_core import Layout, layout_from_boxes
from ..reco_core.remarks import Reading
from .layout import (
    CATEGORY,
    MAX_SIDE,
    RecoLayout,
    caption_input,
    layout_output,
    split_lines,
    texts_input,
)
from .remarks import read_out

NO_TEXTS = "There are no texts: write what the masks show, one line for each, or one for all."


def layout_from_masks(
    masks: torch.Tensor, texts: Sequence[str], caption: str = "", threshold: float = 0.5
) -> Reading:
    """A region for every mask: the smallest box around its pixels above the threshold.

    masks: (B, H, W) in [0, 1]. texts: one for each mask, or one for all. The layout's size is the
    masks', rounded to multiples of 8. Raises ValueError for an empty mask and for missing texts.
    """
    if not texts:
        raise ValueError(NO_TEXTS)
    height, width = masks.shape[-2:]
    masks = masks.reshape(-1, height, width) > threshold
    for number, mask in enumerate(masks, start=1):
        if not mask.any():
            raise ValueError(
                f"Mask {number} of {len(masks)} is empty: no pixel is above the threshold "
                f"{threshold:g}. Lower the threshold or take the mask out."
            )
    return layout_from_boxes([_mask_box(m) for m in masks], texts, caption, width, height)


def layout_masks(layout: Layout, feather: int = 0) -> torch.Tensor:
    """(N, H, W) in [0, 1], a mask for each of N regions at the layout's size.

    feather: width in pixels of the soft edge, half of it inside the box and half outside, so that
    neighbours fade into each other. A box narrower than that has one as wide as itself; the
    picture's own border stays hard. Raises ValueError when the layout has no regions.
    """
    if not layout.regions:
        raise ValueError("The layout has no regions, so there are no masks. Add a region to it.")
    masks = []
    for region in layout.regions:
        x0, y0, x1, y1 = region.box.covered_pixels(layout.width, layout.height)
        columns, rows = _ramp(x0, x1, layout.width, feather), _ramp(y0, y1, layout.height, feather)
        masks.append(rows[:, None] * columns)
    return torch.stack(masks).to(comfy.model_management.intermediate_device())


def _mask_box(mask: torch.Tensor) -> dict[str, int]:
    """The smallest bounding box around what is true in an (H, W) mask."""
    (y0, y1), (x0, x1) = (mask.any(dim).nonzero().aminmax() for dim in (1, 0))
    return {"x": int(x0), "y": int(y0), "width": int(x1 - x0 + 1), "height": int(y1 - y0 + 1)}


def _ramp(start: int, stop: int, length: int, feather: int) -> torch.Tensor:
    """(length,): 1 between start and stop, 0 elsewhere, and rising in between."""
    centres = torch.arange(length) + 0.5
    width = min(feather, stop - start)  # of 0: the divisions give an infinity, never 0 / 0
    rise = 0.5 + (centres - start) / width if start > 0 else torch.ones(length)
    fall = 0.5 + (stop - centres) / width if stop < length else torch.ones(length)
    return torch.minimum(rise, fall).clamp(0, 1)


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
    def validate_inputs(cls, texts) -> bool | str:
        return True if texts is None or texts.strip() else NO_TEXTS

    @classmethod
    def execute(cls, masks, texts, caption, threshold=0.5) -> io.NodeOutput:
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
                    max=MAX_SIDE,
                    optional=True,
                    tooltip="Width of a soft edge in pixels, half of it on either side of the "
                    "box's edge. 0 is a hard edge.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="masks", tooltip="A mask for each region, of the layout's size."
                ),
                io.Mask.Output(
                    display_name="background", tooltip="One mask of all that no box covers."
                ),
            ],
        )

    @classmethod
    def execute(cls, layout, feather=0) -> io.NodeOutput:
        masks = layout_masks(layout, feather)
        return io.NodeOutput(masks, 1 - masks.amax(dim=0, keepdim=True))
