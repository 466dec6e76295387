"""What the nodes' schemas share: the layout's own type, inputs, outputs, validation."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from comfy_api.latest import io

from ..reco_core.limits import IMAGE_SIDE, SIZE_STEP

RecoLayout = io.Custom("RECO_LAYOUT")

CATEGORY = "ReCo"
OVERFLOW_ERROR = "error"
OVERFLOW_DROP = "drop regions that do not fit"
OVERFLOW_JOIN = "join up to four sequences"
VALIDATED = 50_000  # characters of text that are read in milliseconds


def search_aliases(*words: str) -> dict[str, list[str]]:
    """For io.Schema, where ComfyUI has them: what people type who look for a node."""
    has_aliases = "search_aliases" in inspect.signature(io.Schema).parameters
    return {"search_aliases": list(words)} if has_aliases else {}


def reads(kind: str) -> dict[str, str]:
    """For an input's extra_dict: it tells by which position tokens the node's CLIP reads layouts.

    kind: of a step of readers.py, whose file the input names; or "transplant" for the CLIP input
    whose tokens the node passes on. The editor finds a layout's readers by it
    (web/js/comfy/readers.js).
    """
    return {"reco_reads": kind}


def keeps(*outputs: str) -> dict[str, list[str]]:
    """For the extra_dict of an image input of a node that takes boxes too: it draws them neither on
    what it shows nor on what it gives by these outputs. The editor finds the pictures of its layout
    by it (web/js/comfy/pictures.js).
    """
    return {"reco_keeps": list(outputs)}


def side_input(name: str, more: str = "") -> io.Int.Input:
    """The width or height of the picture. more: a sentence for the tooltip's end."""
    return io.Int.Input(
        name,
        default=512,
        min=SIZE_STEP,
        max=IMAGE_SIDE,
        step=SIZE_STEP,
        tooltip=f"{name.title()} of the picture: pixels, a multiple of {SIZE_STEP}. {more}".strip(),
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


def region_input(
    default: str, placeholder: str, what: str, optional: bool = False
) -> io.String.Input:
    """A region of a layout, to be read by reco_core.choice. what: begins the tooltip; where the
    default is empty, that means all regions."""
    every = "" if default else " Empty or 0: all regions, each by itself."
    return io.String.Input(
        "region",
        default=default,
        placeholder=placeholder,
        optional=optional,
        tooltip=f"{what}: its number, as ReCo Draw Layout shows it, or its text, or a part of that "
        f"which no other region's text has.{every}",
    )


def window_outputs(noun: str) -> list[io.Output]:
    """x, y, width and height, in pixels. noun: of what."""
    edges = {"x": "Left edge", "y": "Top edge", "width": "Width", "height": "Height"}
    return [
        io.Int.Output(display_name=name, tooltip=f"{edge} of {noun}, in pixels.")
        for name, edge in edges.items()
    ]


def overflow_input() -> io.Combo.Input:
    return io.Combo.Input(
        "overflow",
        options=[OVERFLOW_ERROR, OVERFLOW_DROP, OVERFLOW_JOIN],
        default=OVERFLOW_ERROR,
        optional=True,
        extra_dict={"reco_joins": OVERFLOW_JOIN},  # for web/js/comfy/readers.js
        tooltip="When the layout is longer than the checkpoint reads: stop and name the regions "
        "that do not fit, leave those out and say so, or have them read in further sequences, each "
        "with the caption. A step stays one UNet call.",
    )


def layout_output(tooltip: str = "Caption, boxes and size.") -> io.Output:
    return RecoLayout.Output(display_name="layout", tooltip=tooltip)


def why_refused(read: Callable[..., object], *constants: object) -> bool | str:
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
