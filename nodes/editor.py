"""The layout editor: boxes drawn and described on the node itself."""

import hashlib
import json
from dataclasses import replace

from comfy_api.latest import io, ui

from ..reco_core.checks import quote, read_json
from ..reco_core.forms.layout_json import seen
from ..reco_core.layout import Layout
from ..reco_core.remarks import Reading
from .layout import CATEGORY, RecoLayout, layout_output, side_input, why_refused
from .remarks import read_out

WIDGET_TYPE = "RECO_EDITOR"
"""The name under which web/js/reco.js registers the editor's widget."""


def read_drawing(text: str, width: int, height: int) -> tuple[Reading, str]:
    """What an editor holds, and the fingerprint of the incoming layout it began with.

    text: the widget's value, a layout's JSON in which regions may also be "hidden" (left out) or
    "locked" (of no interest here); "" is an empty layout. width, height: pixels.
    Raises ValueError for anything else and for a region without a text, by its number.
    """
    if not text.strip():
        return Reading(Layout(width=width, height=height)), ""
    data = read_json(text)
    regions = data.get("regions") if isinstance(data, dict) else None
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        raise ValueError(f"The editor's value is not a layout: {quote(text)}.")
    for number, region in enumerate(regions, start=1):
        if not region.get("hidden") and not str(region.get("text", "")).strip():
            raise ValueError(
                f"Region {number} has no text: write what to paint in its box, hide it, or "
                "delete it."
            )
    data["regions"] = [region for region in regions if not region.get("hidden")]
    reading = seen(Layout.from_json(json.dumps(data)))
    layout = replace(reading.layout, width=width, height=height)
    return Reading(layout, reading.remarks), str(data.get("incoming", ""))


def fingerprint(layout: Layout) -> str:
    """16 hexadecimal digits that tell one layout from another."""
    return hashlib.sha256(layout.to_json().encode()).hexdigest()[:16]


class ReCoLayoutEditor(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutEditor",
            display_name="ReCo Layout Editor",
            category=CATEGORY,
            description="Draw boxes, write into each what to paint there, and caption the whole.",
            inputs=[
                side_input("width", "Boxes keep their share of it."),
                side_input("height", "Boxes keep their share of it."),
                io.String.Input(
                    "editor",
                    default="",
                    socketless=True,
                    extra_dict={"widgetType": WIDGET_TYPE},
                    tooltip="The drawing: caption, boxes, texts, weights and colors, as JSON.",
                ),
                RecoLayout.Input(
                    "layout",
                    optional=True,
                    tooltip="A layout to begin with. What you then change here wins, until another "
                    "layout comes in.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A picture to draw on, shown once the node has run. It changes nothing "
                    "in the layout.",
                ),
            ],
            outputs=[
                layout_output(),
                io.Int.Output(display_name="width", tooltip="Width of the layout in pixels."),
                io.Int.Output(display_name="height", tooltip="Height of the layout in pixels."),
            ],
        )

    @classmethod
    def validate_inputs(cls, editor) -> bool | str:
        return why_refused(read_drawing, editor, 512, 512)

    @classmethod
    def execute(cls, width, height, editor, layout=None, image=None) -> io.NodeOutput:
        drawn, begun_with = read_drawing(editor, width, height)
        shown: dict[str, object] = {}
        if layout is not None:
            incoming = fingerprint(layout)
            shown["incoming"] = {"fingerprint": incoming, "layout": json.loads(layout.to_json())}
            drawn = drawn if incoming == begun_with else Reading(layout)
        if image is not None:
            shown["image"] = ui.PreviewImage(image[:1], cls=cls).as_dict()["images"][0]
        size = [drawn.layout.width, drawn.layout.height]
        return read_out(drawn, *size, reco_editor=[{**shown, "size": size}])
