"""The layout editor: boxes drawn and described on the node itself."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING

from comfy_api.latest import io, ui
from PIL import Image

from .inputs import (
    CATEGORY,
    RecoLayout,
    layout_output,
    search_aliases,
    side_input,
    why_refused,
)
from .remarks import read_out

if TYPE_CHECKING:
    import torch

    from ..reco_core.layout import Layout
    from ..reco_core.mask import Mask

WIDGET_TYPE = "RECO_EDITOR"
"""The name under which web/js/reco.js registers the editor's widget."""

ALIASES = ("regions", "boxes", "bounding boxes", "regional prompt", "layout", "draw boxes", "area")


MASK_PX = 96
"""The longer side of a mask as the canvas shows it."""


def mask_pictures(layout: Layout) -> dict[str, str]:
    """Digest of each mask of a layout -> a small PNG in base64: white, and as opaque as it is."""
    masks = {region.mask.digest: region.mask for region in layout.regions if region.mask}
    return {digest: _small_png(mask) for digest, mask in masks.items()}


def _small_png(mask: Mask) -> str:
    scale = min(1, MASK_PX / max(mask.width, mask.height))
    sides = (max(1, round(side * scale)) for side in (mask.width, mask.height))
    alpha = Image.fromarray(mask.sized(*sides))
    file = BytesIO()
    Image.merge("LA", (Image.new("L", alpha.size, 255), alpha)).save(file, format="PNG")
    return b64encode(file.getvalue()).decode()


class ReCoLayoutEditor(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutEditor",
            display_name="ReCo Layout Editor",
            category=CATEGORY,
            description="Draw boxes, write into each what to paint there, and caption the whole.",
            **search_aliases(*ALIASES),
            inputs=[
                side_input("width", "Boxes keep their share of it."),
                side_input("height", "Boxes keep their share of it."),
                io.String.Input(
                    "editor",
                    default="",
                    socketless=True,
                    extra_dict={"widgetType": WIDGET_TYPE},
                    tooltip="Drag to draw a box, type what goes into it.",
                ),
                RecoLayout.Input(
                    "layout",
                    optional=True,
                    tooltip="A layout to begin with. What you then change here wins, until another "
                    "layout comes in. Regions keep the masks that it brings.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A picture to draw on: that of Load Image at once, others once the "
                    "node has run. It changes nothing in the layout.",
                ),
            ],
            outputs=[
                layout_output(),
                io.Int.Output(display_name="width", tooltip="Width of the layout in pixels."),
                io.Int.Output(display_name="height", tooltip="Height of the layout in pixels."),
            ],
        )

    @classmethod
    def validate_inputs(cls, editor: str | None) -> bool | str:
        from ..reco_core.drawing import read_drawing

        return why_refused(read_drawing, editor, 512, 512)

    @classmethod
    def execute(
        cls,
        width: int,
        height: int,
        editor: str,
        layout: Layout | None = None,
        image: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        from ..reco_core.drawing import fingerprint, read_drawing, to_drawing
        from ..reco_core.remarks import Reading

        drawn, begun_with = read_drawing(editor, width, height, layout)
        shown: dict[str, object] = {}
        if layout is not None:
            incoming = fingerprint(layout)
            shown["incoming"] = {"fingerprint": incoming, "layout": to_drawing(layout)}
            shown["masks"] = mask_pictures(layout)
            drawn = drawn if incoming == begun_with else Reading(layout)
        if image is not None:
            shown["image"] = ui.PreviewImage(image[:1], cls=cls).as_dict()["images"][0]
        size = [drawn.layout.width, drawn.layout.height]
        return read_out(drawn, *size, reco_editor=[{**shown, "size": size}])
