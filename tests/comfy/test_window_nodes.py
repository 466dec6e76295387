"""Layouts cropped, padded and cut into tiles in a running ComfyUI, as it cuts pictures."""

import json

import numpy as np
import pytest
from test_recall_nodes import recalled_layout, sampled, saved
from workflows import CAT, DOG, PETS, layout_node, needs, node, places

from comfy_server import Failure
from reco_core.layout import Box, Layout, Region
from reco_core.window import tile_windows

CROP = {"layout": ["source", 0], "x": 32, "y": 8, "width": 64, "height": 48}


def crop(**changes) -> dict:
    return node("ReCoCropLayout", **CROP | changes)


def remarks(entry: dict, name: str) -> list[str]:
    [shown] = entry["outputs"][name]["reco_remarks"]
    return [remark["message"] for remark in shown["remarks"]]


def test_a_layout_is_cropped_and_padded_back(boxes_of):
    boxes, _, texts = boxes_of(source=layout_node(), layout=crop())
    assert texts == f"{DOG.text}\n{CAT.text}"
    assert places(boxes) == [
        {"x": 0, "y": 8, "width": 32, "height": 32},
        {"x": 32, "y": 8, "width": 32, "height": 40},
    ]
    pad = {"left": 32, "top": 8, "right": 32, "bottom": 8}
    boxes, _, _ = boxes_of(
        source=layout_node(),
        cropped=crop(),
        layout=node("ReCoPadLayout", layout=["cropped", 0], **pad),
    )
    assert places(boxes) == [
        {"x": 32, "y": 16, "width": 32, "height": 32},
        {"x": 64, "y": 16, "width": 32, "height": 40},
    ]


def test_what_a_window_leaves_out_is_said_on_the_node(run):
    end = node("PreviewAny", source=["crop", 0])
    _, entry = run({"source": layout_node(), "crop": crop(width=40), "end": end})
    assert remarks(entry, "crop") == [
        "region 2 ('a cat, left of it') is left out: 10 % of it is in the window, less than "
        "visible = 0.2: lower that to keep it."
    ]
    _, entry = run({"source": layout_node(), "crop": crop(visible=0.0), "end": end})
    assert remarks(entry, "crop") == []


BAD = {
    "window beyond the picture": (
        crop(x=72),
        "x = 72 and width = 64 span 72 to 136 px of 0 to 128",
    ),
    "padding to an odd size": (
        node("ReCoPadLayout", layout=["source", 0], left=4, top=0, right=0, bottom=0),
        "padded width = 132 is not divisible by 8: use 128",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_cause(refused, case):
    bad, cause = BAD[case]
    refused({"source": layout_node(), "layout": bad}, cause)


def test_sizes_that_no_layout_has_are_refused_before_the_run(boxes_of):
    with pytest.raises(Failure, match="window width = 50 is not divisible by 8: use 48"):
        boxes_of(source=layout_node(), layout=crop(width=50))
    tiles = node("ReCoTileLayout", layout=["source", 0], tile_width=100, tile_height=64, overlap=0)
    with pytest.raises(Failure, match="tile width = 100 is not divisible by 8: use 96"):
        boxes_of(source=layout_node(), layout=tiles)


# Tiles

PICTURE = (312, 200)  # of no multiple of the tiles
TILES = {"tile_width": 128, "tile_height": 96, "overlap": 24}
WIDE = Layout(
    "pets",
    (Region("a dog", Box(0.05, 0.1, 0.45, 0.6)), Region("a cat", Box(0.5, 0.3, 0.95, 0.95))),
    *PICTURE,
)


def test_tiles_are_those_of_comfyuis_pictures_to_the_pixel(server, run):
    """The boxes seen in each tile, put together by Merge List of Tiles, are those of the whole."""
    needs(server, "ImageMergeTileList")
    size = {"final_width": PICTURE[0], "final_height": PICTURE[1], "overlap": TILES["overlap"]}
    nodes = {
        "source": layout_node(WIDE),
        "tiles": node("ReCoTileLayout", layout=["source", 0], visible=0.0, **TILES),
        "masks": node("ReCoLayoutToMasks", layout=["tiles", 0], edges="exact pixels"),
        "images": node("MaskToImage", mask=["masks", 2]),
        "merged": node("ImageMergeTileList", image_list=["images", 0], **size),
        "shown": node("PreviewImage", images=["merged", 0]),
        "windows": node("PreviewAny", source=["tiles", 1]),
    }
    images, entry = run(nodes)
    windows = [json.loads(text) for text in entry["outputs"]["windows"]["text"]]
    assert windows == [window.to_pixels() for window in tile_windows(*PICTURE, *TILES.values())]
    expected = np.zeros(PICTURE[::-1], int)
    for region in WIDE.regions:
        x0, y0, x1, y1 = region.box.covered_pixels(*PICTURE)
        expected[y0:y1, x0:x1] = 255
    assert abs(images["shown"][..., 0] - expected).max() <= 1


def test_tiles_are_cut_as_comfyui_cuts_pictures(server, inside):
    needs(server, "SplitImageToTileList")
    rng = np.random.default_rng(0)
    sides, overlaps = 8 * rng.integers(8, 80, (200, 4)), rng.integers(0, 400, (200, 1))
    cases = np.hstack([sides, overlaps]).tolist()
    for case, theirs in zip(cases, inside("tile_corners", cases=cases), strict=True):
        ours = [[w.x, w.y, w.x + w.width, w.y + w.height] for w in tile_windows(*case)]
        assert ours == theirs, case


def test_what_tiles_leave_out_or_make_small_is_said_on_the_node(run):
    tiles = {"tile_width": 64, "tile_height": 64, "overlap": 0, "visible": 0.05}
    regions = (Region("a dog", Box(0.45, 0, 0.9, 1)), Region("a cat", Box(0, 0, 0.51, 1)))
    nodes = {
        "source": layout_node(Layout("pets", regions, 128, 64)),
        "tiles": node("ReCoTileLayout", layout=["source", 0], **tiles),
        "end": node("PreviewAny", source=["tiles", 0]),
    }
    _, entry = run(nodes)
    left_out, small = remarks(entry, "tiles")
    assert left_out == (
        "left out where a tile has less of it than visible = 0.05: region 2 of tile 2."
    )
    assert small.startswith("tile 1: region 1 is 6.4 x 64 px of 64 x 64: less than 8 px")


def test_a_picture_that_would_have_other_tiles_is_refused(refused, run):
    def cut(width: int, height: int) -> dict:
        image = node("EmptyImage", width=width, height=height, batch_size=1, color=0)
        tiles = node("ReCoTileLayout", layout=["source", 0], image=["image", 0], **TILES)
        end = node("PreviewAny", source=["layout", 0])
        return {"source": layout_node(WIDE), "image": image, "layout": tiles, "end": end}

    run(cut(*PICTURE))
    refused(cut(*PICTURE[::-1]), "the picture is 200 x 312 px and the layout 312 x 200: tiles")


# Pictures of them


def test_the_layout_of_a_picture_of_tiles_is_the_whole_one(server):
    image = node("EmptyImage", width=PETS.width, height=PETS.height, batch_size=1, color=0)
    links = {"layout": ["source", 0], "image": ["image", 0]}
    tiles = node("ReCoTileLayout", tile_width=64, tile_height=64, overlap=0, **links)
    nodes = sampled(source=layout_node(), image=image, layout=tiles)
    first, second = saved(server, nodes, "save")
    for picture in (first, second):
        assert recalled_layout(server, picture) == PETS.to_data()
    [picture] = saved(server, sampled(source=layout_node(), layout=crop()), "save")
    assert recalled_layout(server, picture)["width"] == 64
