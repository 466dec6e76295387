"""Nodes that make layouts: an image caption and boxes with words in them."""

from collections.abc import Callable

from comfy_api.latest import io

from ..reco_core.forms import read_layout
from ..reco_core.layout import Box, Layout, Region
from ..reco_core.remarks import Reading
from .remarks import read_out

RecoLayout = io.Custom("RECO_LAYOUT")

CATEGORY = "ReCo"
MAX_SIDE = 16384  # ComfyUI's own limit for images, in pixels
VALIDATED = 50_000  # characters of text that are read in milliseconds


def side_input(name: str, more: str = "") -> io.Int.Input:
    """The width or height of the picture. more: a sentence for the tooltip's end."""
    return io.Int.Input(
        name,
        default=512,
        min=8,
        max=MAX_SIDE,
        step=8,
        tooltip=f"{name.title()} of the picture: pixels, a multiple of 8. {more}".strip(),
    )


def caption_input(more: str = "") -> io.String.Input:
    """The caption. more: a sentence for the tooltip's end."""
    return io.String.Input(
        "caption",
        multiline=True,
        dynamic_prompts=True,
        default="",
        tooltip=f"What the whole picture shows; mention what the boxes say too. {more}".strip(),
    )


def texts_input(noun: str, more: str = "") -> io.String.Input:
    """Region texts, to be read by `split_lines`. noun: what each of them is for."""
    return io.String.Input(
        "texts",
        multiline=True,
        dynamic_prompts=True,
        default="",
        placeholder="a brown dog\na black cat",
        tooltip=f"The regions' texts: one line for each {noun}, or one for all. {more}".strip(),
    )


def layout_output(tooltip: str = "Caption, boxes and size.") -> RecoLayout.Output:
    return RecoLayout.Output(display_name="layout", tooltip=tooltip)


def why_refused(read: Callable, *constants) -> bool | str:
    """For validate_inputs: True, or the message of the ValueError of read(*constants).

    A constant that is None is linked: what it will be is known only when the workflow runs. Long
    texts are also left to the run, since ComfyUI validates on the loop that answers everybody.
    """
    if None in constants or sum(len(c) for c in constants if isinstance(c, str)) > VALIDATED:
        return True
    try:
        read(*constants)
    except ValueError as error:
        return str(error)
    return True


def split_lines(text: str) -> list[str]:
    """The lines of a text that have words in them."""
    return [line for line in text.splitlines() if line.strip()]


class ReCoLayoutFromText(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutFromText",
            display_name="ReCo Layout From Text",
            category=CATEGORY,
            description="Make a layout from text: a caption, a ReCo prompt, JSON, or what language "
            "models write.",
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
    def validate_inputs(cls, text, width, height) -> bool | str:
        return why_refused(read_layout, text, width, height)

    @classmethod
    def execute(cls, text: str, width: int, height: int) -> io.NodeOutput:
        return read_out(read_layout(text, width, height))


class ReCoAddRegion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoAddRegion",
            display_name="ReCo Add Region",
            category=CATEGORY,
            description="Add one box with its words to a layout.",
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
                _pixels("x", 0, 0, "Left edge of the box, in pixels of the layout."),
                _pixels("y", 0, 0, "Top edge of the box, in pixels of the layout."),
                _pixels("width", 256, 1, "Width of the box, in pixels of the layout."),
                _pixels("height", 256, 1, "Height of the box, in pixels of the layout."),
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
            ],
            outputs=[layout_output("It, with the region.")],
        )

    @classmethod
    def validate_inputs(cls, text) -> bool | str:
        if text is None or text.strip():
            return True
        return "The region has no text: write what to paint in the box, or remove the node."

    @classmethod
    def execute(cls, text, x, y, width, height, weight=1.0, layout=None) -> io.NodeOutput:
        layout = layout if layout is not None else Layout()
        box = Box.from_pixels(x, y, width, height, layout.width, layout.height)
        return read_out(Reading(layout.with_region(Region(text, box, weight))))


def _pixels(name: str, default: int, minimum: int, tooltip: str) -> io.Int.Input:
    return io.Int.Input(name, default=default, min=minimum, max=MAX_SIDE, tooltip=tooltip)
