"""Nodes that take layouts along where pictures are cropped, padded or cut into tiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from comfy_api.latest import io

from ..reco_core.limits import IMAGE_SIDE, SIZE_STEP
from .inputs import CATEGORY, RecoLayout, layout_output, search_aliases, side_input, why_refused
from .interop import BoundingBoxes
from .remarks import all_remarks, layout_out, read_out, told

if TYPE_CHECKING:
    import torch

    from ..reco_core.layout import Layout
    from ..reco_core.remarks import Remark
    from ..reco_core.window import Tiles, Window


def _edge(name: str, what: str) -> io.Int.Input:
    return io.Int.Input(
        name, default=0, min=0, max=IMAGE_SIDE, tooltip=f"{what} edge of the window, in pixels."
    )


def _margin(side: str) -> io.Int.Input:
    return io.Int.Input(
        side,
        default=0,
        min=0,
        max=IMAGE_SIDE,
        step=SIZE_STEP,
        tooltip=f"Pixels added at the {side}, as in Pad Image for Outpainting.",
    )


def _tile_side(name: str) -> io.Int.Input:
    return io.Int.Input(
        f"tile_{name}",
        default=512,
        min=64,
        max=IMAGE_SIDE,
        step=SIZE_STEP,
        tooltip=f"{name.title()} of a tile: pixels, a multiple of {SIZE_STEP}, as in Split Image "
        "into List of Tiles.",
    )


def _visible_input(place: str) -> io.Float.Input:
    return io.Float.Input(
        "visible",
        default=0.2,
        min=0.0,
        max=1.0,
        step=0.05,
        optional=True,
        tooltip=f"Regions are left out of which less than this share is in {place}; the node says "
        "which. 0 keeps all of which anything is, 1 those that are whole.",
    )


class ReCoCropLayout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoCropLayout",
            display_name="ReCo Crop Layout",
            category=CATEGORY,
            description="Crop a layout to a window of its picture: boxes and masks are cut at it.",
            **search_aliases("crop regions", "window", "clip boxes", "detailer"),
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout to crop."),
                _edge("x", "Left"),
                _edge("y", "Top"),
                side_input("width", "Of the window, which is the picture then."),
                side_input("height", "Of the window, which is the picture then."),
                _visible_input("the window"),
            ],
            outputs=[layout_output("It, with what is in the window, in the window's size.")],
        )

    @classmethod
    def validate_inputs(
        cls, x: int | None, y: int | None, width: int | None, height: int | None
    ) -> bool | str:
        return why_refused(_window, x, y, width, height)

    @classmethod
    def execute(
        cls, layout: Layout, x: int, y: int, width: int, height: int, visible: float = 0.2
    ) -> io.NodeOutput:
        from ..reco_core.window import crop_layout

        return read_out(crop_layout(layout, _window(x, y, width, height), visible))


def _window(x: int, y: int, width: int, height: int) -> Window:
    from ..reco_core.window import Window

    return Window(x, y, width, height)


class ReCoPadLayout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoPadLayout",
            display_name="ReCo Pad Layout",
            category=CATEGORY,
            description="Make a layout's picture larger at its sides, to outpaint; boxes keep "
            "their pixels.",
            **search_aliases("outpaint", "extend canvas", "expand"),
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout to pad."),
                *map(_margin, ("left", "top", "right", "bottom")),
            ],
            outputs=[layout_output("It, in the larger picture.")],
        )

    @classmethod
    def execute(cls, layout: Layout, left: int, top: int, right: int, bottom: int) -> io.NodeOutput:
        from ..reco_core.window import pad_layout

        return layout_out(pad_layout(layout, left, top, right, bottom))


class ReCoTileLayout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoTileLayout",
            display_name="ReCo Tile Layout",
            category=CATEGORY,
            description="Cut a layout into overlapping tiles, a list, as Split Image into List of "
            "Tiles cuts the picture.",
            **search_aliases("tiled upscale", "split layout", "tiles"),
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout to cut, of the picture's size."),
                _tile_side("width"),
                _tile_side("height"),
                io.Int.Input(
                    "overlap",
                    default=64,
                    min=0,
                    max=4096,
                    tooltip="Pixels that neighbours share, as in Split Image into List of Tiles: "
                    "at most three quarters of a tile.",
                ),
                _visible_input("a tile"),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The picture that Split Image into List of Tiles cuts, to be sure: one "
                    "of another size than the layout is refused.",
                ),
            ],
            outputs=[
                RecoLayout.Output(
                    display_name="layouts",
                    is_output_list=True,
                    tooltip="A list: what is in each tile, row by row. Nodes behind it run once "
                    "for each.",
                ),
                BoundingBoxes.Output(
                    display_name="windows",
                    is_output_list=True,
                    tooltip="A list: where each tile is in the whole picture, in pixels.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, tile_width: int | None, tile_height: int | None, overlap: int | None
    ) -> bool | str:
        from ..reco_core.window import tile_windows

        return why_refused(tile_windows, SIZE_STEP, SIZE_STEP, tile_width, tile_height, overlap)

    @classmethod
    def execute(
        cls,
        layout: Layout,
        tile_width: int,
        tile_height: int,
        overlap: int,
        visible: float = 0.2,
        image: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        from ..reco_core.window import check_cut, tile_layout

        if image is not None:
            check_cut(layout, image.shape[2], image.shape[1])  # (B, H, W, C)
        tiles = tile_layout(layout, tile_width, tile_height, overlap, visible)
        layouts = [reading.layout for reading in tiles.readings]
        windows = [window.to_pixels() for window in tiles.windows]
        return io.NodeOutput(layouts, windows, ui=told([*_said_of(layout, tiles)]))


def _said_of(layout: Layout, tiles: Tiles) -> Iterator[Remark]:
    """What there is to know of a layout in tiles; of a tile's own only boxes that it made small."""
    from dataclasses import replace

    from ..reco_core.remarks import Reading

    whole = all_remarks(Reading(layout))
    yield from (*whole, *tiles.remarks)
    small = {remark.region for remark in whole if remark.kind == "small"}
    for number, reading in enumerate(tiles.readings, start=1):
        of_tile = all_remarks(replace(reading, remarks=()))
        for remark in of_tile:
            if remark.kind == "small" and remark.region not in small:
                yield replace(remark, message=f"tile {number}: {remark.message}")
