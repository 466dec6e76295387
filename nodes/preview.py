"""Draw a layout on an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import comfy.model_management
import numpy as np
import torch
from comfy_api.latest import io
from PIL import Image

from .inputs import CATEGORY, RecoLayout, search_aliases

if TYPE_CHECKING:
    from ..reco_core.layout import Layout


def draw_on_batch(images: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Draw a layout on every image of a batch; pixels not drawn on stay exactly as they are.

    images: (B, H, W, C) in [0, 1]; alpha, if any, is dropped. Returns (B, H, W, 3) in [0, 1].
    """
    images = images[..., :3].cpu()
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    drawn = torch.stack([_draw(image, layout) for image in pixels])
    touched = (drawn != pixels).any(dim=-1, keepdim=True)
    return torch.where(touched, drawn.float() / 255, images)


def _draw(pixels: torch.Tensor, layout: Layout) -> torch.Tensor:
    """pixels: (H, W, 3) of bytes, and so is what returns."""
    from ..reco_core.draw import draw_layout

    image = draw_layout(Image.fromarray(pixels.numpy()), layout, _end_if_interrupted)
    return torch.from_numpy(np.array(image.convert("RGB")))


def _end_if_interrupted(_: int) -> None:
    comfy.model_management.throw_exception_if_processing_interrupted()


class ReCoDrawLayout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoDrawLayout",
            display_name="ReCo Draw Layout",
            category=CATEGORY,
            description="Draw the boxes of a layout, numbered and with their texts, on images.",
            **search_aliases("draw boxes", "draw bounding boxes", "preview regions"),
            inputs=[
                io.Image.Input("image", tooltip="Images of any size: boxes are scaled."),
                RecoLayout.Input("layout", tooltip="The layout to draw."),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The images with the boxes.")],
        )

    @classmethod
    def execute(cls, image: torch.Tensor, layout: Layout) -> io.NodeOutput:
        return io.NodeOutput(draw_on_batch(image, layout))
