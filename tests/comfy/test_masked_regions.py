"""Regions with masks of their own, from node to node in a running ComfyUI.

The nodes are those that ComfyUI lists: a new one that takes layouts and is not here fails.
"""

import json

import numpy as np
import pytest
from test_mask_nodes import CELLS, EXACT, inpainting
from workflows import DOG, inputs_of, layout_node, listed, node

from reco_core.layout import Layout
from train.data.shapeskills import Scene, Thing, render

INK, PAPER, SIZE = (slice(16, 32), slice(16, 32)), (slice(16, 32), slice(32, 64)), (64, 128)


def shape() -> np.ndarray:
    """(64, 128): an L in the box (16, 16) to (64, 48)."""
    mask = np.zeros(SIZE, bool)
    mask[INK] = mask[32:48, 16:64] = True
    return mask


def composite(onto: str, source: str, x: int, y: int) -> dict:
    where = {"destination": [onto, 0], "source": [source, 0], "x": x, "y": y}
    return node("MaskComposite", operation="add", **where)


def shape_nodes(strength: float = 1.0) -> dict[str, dict]:
    """The nodes that make it, as the mask called L."""
    return {
        "blank": node("SolidMask", value=0.0, width=128, height=64),
        "stem": node("SolidMask", value=strength, width=16, height=16),
        "foot": node("SolidMask", value=strength, width=48, height=16),
        "part": composite("blank", "stem", 16, 16),
        "L": composite("part", "foot", 16, 32),
    }


MASKED = {
    **shape_nodes(),
    "given": node("ReCoLayoutFromMasks", masks=["L", 0], texts="a dog", caption="a park"),
}
PLAIN = layout_node(Layout("a park", (DOG,), 128, 64))
LOADER = node("ReCoLoadCheckpoint", ckpt_name="reco-tiny.safetensors")
GREY = node("EmptyImage", width=128, height=64, batch_size=1, color=0xFF0000)
NEVER = {"horizontal": False, "vertical": False, "swap_words": False}
KEPT = {
    "ReCoLayoutEditor": {"editor": "", "width": 128, "height": 64, "layout": ["given", 0]},
    "ReCoAddRegion": {"text": "a cat", "x": 80, "y": 0, "width": 8, "height": 8}
    | {"layout": ["given", 0]},
    "ReCoMergeLayouts": {"first": ["given", 0], "second": ["plain", 0]},
    "ReCoReorderRegions": {"layout": ["given", 0], "order": "1", "others": "leave out"},
    "ReCoRegionSettings": {"layout": ["given", 0], "region": "1", "on": True, "strength": 2.0},
    "ReCoScaleLayout": {"layout": ["given", 0], "picture_factor": 1.0, "box_factor": 1.0},
    "ReCoFlipLayout": {"layout": ["given", 0], **NEVER},
    "ReCoCropLayout": {"layout": ["given", 0], "x": 0, "y": 0, "width": 128, "height": 64},
    "ReCoPadLayout": {"layout": ["given", 0], "left": 0, "top": 0, "right": 0, "bottom": 0},
    "ReCoTileLayout": {"layout": ["given", 0], "tile_width": 128, "tile_height": 64}
    | {"overlap": 0},
}
"""Nodes that give a layout: what goes into each."""
SAID = {
    "ReCoLayoutToText": {"layout": ["given", 0], "form": "layout JSON"},
    "ReCoLayoutToBoxes": {"layout": ["given", 0]},
    "ReCoSaveImage": {"images": ["grey", 0], "layout": ["given", 0], "filename_prefix": "masked"},
}
"""Nodes whose outputs have no place for a mask."""
SHOWN = {
    "ReCoDrawLayout": {"image": ["grey", 0], "layout": ["given", 0]},
    "ReCoScoreLayout": {"image": ["grey", 0], "layout": ["red", 0]},
}
REPORTED = {
    "ReCoTextEncode": {"clip": ["loader", 1], "layout": ["given", 0]},
    "ReCoConditioning": {"clip": ["loader", 1], "layout": ["given", 0], "negative": ""},
    "ReCoControl": {"model": ["loader", 0], "clip": ["loader", 1], "layout": ["given", 0]}
    | {"negative": ""},
}
"""Nodes that read the box alone."""


def test_every_node_that_takes_a_layout_is_here(server):
    takers = listed(server, lambda info: "RECO_LAYOUT" in inputs_of(info))
    checked = KEPT.keys() | SAID.keys() | SHOWN.keys() | REPORTED.keys()
    users = {"ReCoLayoutToMasks", "ReCoRegionMask", "ReCoRegionLora"}  # which have their own tests
    assert takers - users == checked


def mask_of(run, nodes: dict, layout: str, **inputs) -> np.ndarray:
    """(H, W) in [0, 255]: the first region of a layout, by ReCo Layout To Masks."""
    inputs = {"edges": EXACT, "region": 1, **inputs}
    nodes = {
        **nodes,
        "masks": node("ReCoLayoutToMasks", layout=[layout, 0], **inputs),
        "image": node("MaskToImage", mask=["masks", 0]),
        "shown": node("PreviewImage", images=["image", 0]),
    }
    return run(nodes)[0]["shown"][..., 0]


def test_a_mask_comes_back_as_it_was(run):
    assert np.array_equal(mask_of(run, MASKED, "given") == 255, shape())


@pytest.mark.parametrize("kind", KEPT)
def test_a_node_that_gives_a_layout_keeps_it(run, kind):
    nodes = {**MASKED, "plain": PLAIN, "door": node(kind, **KEPT[kind])}
    assert np.array_equal(mask_of(run, nodes, "door") == 255, shape())


def test_a_flip_and_a_scale_take_it_along(run):
    flip = {"horizontal": True, "vertical": True, "swap_words": False}
    nodes = {
        **MASKED,
        "flip": node("ReCoFlipLayout", layout=["given", 0], **flip),
        "door": node("ReCoScaleLayout", layout=["flip", 0], picture_factor=2.0, box_factor=1.0),
    }
    twice = shape()[::-1, ::-1].repeat(2, 0).repeat(2, 1)
    drawn = mask_of(run, nodes, "door") > 127
    assert drawn.shape == twice.shape and (drawn != twice).mean() < 0.01


@pytest.mark.parametrize("kind", SAID)
def test_a_node_that_cannot_hand_it_on_says_so(server, kind):
    nodes = {**MASKED, "grey": GREY, "door": node(kind, **SAID[kind])}
    if kind != "ReCoSaveImage":  # which runs by itself
        nodes["end"] = node("PreviewAny", source=["door", 0])
    [shown] = server.wait(server.post_prompt(nodes))["outputs"]["door"]["reco_remarks"]
    assert any("Masks" in remark["message"] for remark in shown["remarks"])


@pytest.mark.parametrize("kind", SHOWN)
def test_a_node_that_draws_layouts_draws_its_outline(run, kind):
    """Outside of its shape, the box is as it was but for its frame."""
    nodes = {
        **MASKED,
        "red": node("ReCoLayoutFromMasks", masks=["L", 0], texts="a red dog", caption=""),
        "grey": GREY,
        "door": node(kind, **SHOWN[kind]),
    }
    output = 1 if kind == "ReCoScoreLayout" else 0
    nodes["shown"] = node("PreviewImage", images=["door", output])
    picture = run(nodes)[0]["shown"]
    scale = len(picture) // 64
    row = picture[30 * scale].astype(int)  # below its label, above the foot
    drawn = np.flatnonzero((row != (255, 0, 0)).any(axis=1)) // scale
    assert 31 in drawn and 16 in drawn and 63 in drawn
    assert not set(range(36, 60)) & set(drawn.tolist())


@pytest.mark.parametrize("kind", REPORTED)
def test_a_report_says_that_the_box_is_read(server, kind):
    nodes = {**MASKED, "loader": LOADER, "door": node(kind, **REPORTED[kind])}
    nodes["end"] = node("PreviewAny", source=["door", 0])
    text = server.wait(server.post_prompt(nodes))["outputs"]["door"]["text"][0]
    assert "(16, 16) to (64, 48), the box of its mask: a dog" in text


# To masks


def test_whole_cells_are_all_that_the_shape_touches_or_nearly_touches(run):
    drawn = mask_of(run, MASKED, "given", edges=CELLS) == 255
    expected = np.zeros(SIZE, bool)
    expected[8:56, 8:40] = expected[24:56, 8:72] = True
    assert np.array_equal(drawn, expected)


def test_the_soft_edge_of_whole_cells_lies_around_the_shape(run):
    hard = mask_of(run, MASKED, "given", edges=CELLS) == 255
    soft = mask_of(run, MASKED, "given", feather=16, edges=CELLS).astype(int)
    assert (soft[hard] == 255).all()
    beside = soft[12, 40:64]  # right of the stem
    assert beside[0] > 240 and (np.diff(beside[:11]) < 0).all() and not soft[:8, 56:].any()


def test_the_soft_edge_of_exact_pixels_lies_across_the_shapes(run):
    row = mask_of(run, MASKED, "given", feather=8)[22].astype(int)
    assert (np.diff(row[27:37]) < 0).all() and not row[40:].any()
    assert row[31] + row[32] == pytest.approx(255, abs=2)


def test_a_soft_mask_stays_as_strong_as_it_is(run):
    soft = {**shape_nodes(0.6), "given": MASKED["given"]}
    assert set(np.unique(mask_of(run, soft, "given"))) == {0, 153}


def test_a_mask_that_fills_its_box_is_that_box(run):
    solid = {**MASKED, "L": composite("blank", "foot", 16, 32)}
    drawn = mask_of(run, solid, "given", edges=CELLS) == 255
    assert drawn[24:56, 8:72].all() and drawn.sum() == 32 * 64


def test_the_mask_of_one_region_follows_the_shape_grown_and_soft_around_it(run):
    region = {"layout": ["given", 0], "region": "dog", "grow": 5, "feather": 12}
    nodes = {
        **MASKED,
        "mask": node("ReCoRegionMask", **region),
        "image": node("MaskToImage", mask=["mask", 0]),
        "shown": node("PreviewImage", images=["image", 0]),
    }
    drawn = run(nodes)[0]["shown"][..., 0]
    hard = np.zeros(SIZE, bool)
    hard[0:64, 0:48] = hard[16:64, 0:80] = True  # 5 px more, and half a cell around them
    assert np.array_equal(drawn == 255, hard)
    assert (drawn[12, 48:60] > 0).all() and not drawn[:4, 60:].any()


def test_all_and_background_follow_the_shape(run):
    nodes = {**MASKED, "masks": node("ReCoLayoutToMasks", layout=["given", 0], edges=EXACT)}
    for name, output in (("background", 1), ("all", 2)):
        nodes[f"image {name}"] = node("MaskToImage", mask=["masks", output])
        nodes[name] = node("PreviewImage", images=[f"image {name}", 0])
    pictures, _ = run(nodes)
    assert np.array_equal(pictures["all"][..., 0] == 255, shape())
    assert np.array_equal(pictures["background"][..., 0] == 0, shape())


# Inpainting

BOX = (16, 16, 112, 112)  # of a picture of 128 x 128
KEPT_CORNER = (slice(24, 52), slice(76, 104))  # in it, but not near the mask


def without_a_corner() -> dict[str, dict]:
    """The mask called L: BOX but for its upper right quarter."""
    return {
        "blank": node("SolidMask", value=0.0, width=128, height=128),
        "stem": node("SolidMask", value=1.0, width=48, height=48),
        "foot": node("SolidMask", value=1.0, width=96, height=48),
        "part": composite("blank", "stem", 16, 16),
        "L": composite("part", "foot", 16, 64),
    }


def test_inpainting_leaves_what_is_in_the_box_but_not_in_the_mask(run, base_dir):
    """A green square in the corner stays, a red one below goes; without the mask both go."""
    things = (
        Thing("green", "square", (72, 20, 108, 56)),
        Thing("red", "square", (40, 68, 80, 108)),
    )
    (base_dir / "input").mkdir(exist_ok=True)
    for name in ("masked", "boxed"):
        render(Scene("white", things, 128)).save(base_dir / "input" / f"{name}.png")
    given = {"texts": "blue circle", "caption": "a blue circle on a white ground"}
    nodes = {
        "loader": node("ReCoLoadCheckpoint", ckpt_name="reco-shapes.safetensors"),
        **inpainting("boxed", BOX, CELLS),
        **inpainting("masked", BOX, CELLS),
        **without_a_corner(),
        "masked layout": node("ReCoLayoutFromMasks", masks=["L", 0], **given),
        "decoded": node("VAEDecode", samples=["masked all", 0], vae=["loader", 2]),
        "old": node("PreviewImage", images=["decoded", 0]),
    }
    pictures, _ = run(nodes)
    old, masked, boxed = (pictures[name].astype(int) for name in ("old", "masked", "boxed"))
    assert abs(masked - old)[KEPT_CORNER].max() < 16
    assert abs(boxed - old)[KEPT_CORNER].mean() > 60
    for picture in (masked, boxed):
        is_red = picture[..., 0] - picture[..., 1:].max(axis=-1) > 80
        assert not is_red.any()


# Add Region


def added(mask: str = "L", **inputs) -> dict[str, dict]:
    unused = {"x": 0, "y": 0, "width": 4000, "height": 4000}
    text = {"text": "a dog", "mask": [mask, 0], "layout": ["small", 0]}
    small = node("ReCoLayoutFromText", text="a park", width=128, height=64)
    return {**shape_nodes(), "small": small, "layout": node("ReCoAddRegion", **unused, **text)}


def test_a_region_is_added_by_its_mask(run, boxes_of):
    assert np.array_equal(mask_of(run, added(), "layout") == 255, shape())
    [box], _, texts = boxes_of(**added())
    assert [box[key] for key in ("x", "y", "width", "height")] == [16, 16, 48, 32]
    assert texts == "a dog"


def test_a_mask_that_no_region_can_have_is_refused(refused):
    refused(added("blank"), "the mask is empty, no pixel is above the threshold 0.5")
    several = {**added("two"), "two": node("RepeatImageBatch", image=["rgb", 0], amount=2)}
    several |= {"rgb": node("MaskToImage", mask=["L", 0])}
    several["three"] = several.pop("two")
    several["two"] = node("ImageToMask", image=["three", 0], channel="red")
    refused(several, "the mask is a batch of 2, and a region has one")
    tall = {**added("tall"), "tall": node("SolidMask", value=1.0, width=64, height=128)}
    refused(tall, "the mask is 64 x 128 and the layout 128 x 64: the proportions differ")


# The editor


def editor(**changes) -> dict[str, dict]:
    """It holds the given layout, its region changed; the layout's fingerprint is still to come."""
    drawing = {"version": 1, "caption": "a park", "incoming": "", "regions": [changes]}
    inputs = {"width": 128, "height": 64, "layout": ["given", 0]}
    return {**MASKED, "door": node("ReCoLayoutEditor", editor=json.dumps(drawing), **inputs)}


def sent(server, nodes: dict) -> tuple[dict, list[str]]:
    nodes = {**nodes, "end": node("PreviewAny", source=["door", 1])}
    shown = server.wait(server.post_prompt(nodes))["outputs"]["door"]
    [remarks] = shown["reco_remarks"]
    return shown["reco_editor"][0]["incoming"], [one["message"] for one in remarks["remarks"]]


def test_a_region_moved_and_renamed_in_the_editor_keeps_its_mask(server, run):
    incoming, _ = sent(server, editor(text="a dog", box=[0, 0, 1, 1]))
    [region] = incoming["layout"]["regions"]
    nodes = editor(text="a hound", box=[0.5, 0.25, 0.875, 0.75], mask=region["mask"])
    drawing = json.loads(nodes["door"]["inputs"]["editor"])
    nodes["door"]["inputs"]["editor"] = json.dumps(drawing | {"incoming": incoming["fingerprint"]})
    assert sent(server, nodes)[1] == []
    moved = np.roll(shape(), 48, axis=1)
    assert np.array_equal(mask_of(run, nodes, "door") == 255, moved)


def test_a_mask_that_no_longer_comes_is_told_on_the_editor(server):
    nodes = editor(text="a dog", box=[0, 0, 1, 1], mask="0123456789abcdef")
    del nodes["door"]["inputs"]["layout"]
    nodes = {"door": nodes["door"], "end": node("PreviewAny", source=["door", 1])}
    shown = server.wait(server.post_prompt(nodes))["outputs"]["door"]
    [remark] = shown["reco_remarks"][0]["remarks"]
    assert remark["message"].startswith("region 1 has lost its mask, which came by the layout")
