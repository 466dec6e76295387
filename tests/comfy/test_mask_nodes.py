"""Layouts from masks and masks from layouts, in a running ComfyUI."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from workflows import CAT, CAT_PIXELS, DOG_PIXELS, PETS, layout_node, node, places

from comfy_server import Failure
from reco_core.layout import Box, Layout, Region
from train.data.shapeskills import Scene, Thing, render

HERE = Path(__file__).parent
EXACT, CELLS = "exact pixels", "whole latent cells"


def from_masks(**changes) -> dict:
    inputs = {"texts": "a", "caption": "", **changes}
    return node("ReCoLayoutFromMasks", masks=["masks", 0], **inputs)


def masks_of(run, layout: Layout = PETS, **inputs) -> tuple[list[np.ndarray], dict]:
    """The pictures of the node's three outputs, of batches the first, and its history.

    Each is (H, W) in [0, 255].
    """
    nodes = {
        "layout": layout_node(layout),
        "masks": node("ReCoLayoutToMasks", layout=["layout", 0], **inputs),
    }
    for source in range(3):
        nodes[f"image {source}"] = node("MaskToImage", mask=["masks", source])
        nodes[f"shown {source}"] = node("PreviewImage", images=[f"image {source}", 0])
    images, entry = run(nodes)
    return [images[f"shown {source}"][..., 0] for source in range(3)], entry


def remarks_of(entry: dict) -> list[str]:
    [shown] = entry["outputs"]["masks"]["reco_remarks"]
    return [remark["message"] for remark in shown["remarks"]]


def test_a_mask_is_white_in_its_box_and_the_background_where_no_box_is(run):
    (dog, background, both), entry = masks_of(run, edges=EXACT)
    assert len(entry["outputs"]["shown 0"]["images"]) == 2  # a mask for each region
    inside = np.zeros((64, 128), bool)
    inside[16:48, 16:64] = True
    assert np.array_equal(dog, np.where(inside, 255, 0))
    inside[16:64, 64:128] = True
    assert np.array_equal(background, np.where(inside, 0, 255))
    assert np.array_equal(both, np.where(inside, 255, 0))


def test_a_feathered_mask_fades_evenly_across_the_boxs_edge(run):
    (dog, _, _), _ = masks_of(run, feather=8, edges=EXACT)
    row = dog[32].astype(int)
    assert (row[:12] == 0).all() and (row[20:60] == 255).all() and (row[68:] == 0).all()
    assert (np.diff(row[11:21]) > 0).all()
    assert row[15] + row[16] == pytest.approx(255, abs=1)


@pytest.mark.parametrize(
    ("pixels", "cells"),
    [
        ((16, 16, 64, 48), (8, 8, 72, 56)),  # on the edges of cells: half a cell around it
        ((20, 20, 60, 44), (16, 16, 64, 48)),
        ((19, 21, 61, 43), (8, 16, 72, 48)),
        ((0, 0, 128, 64), (0, 0, 128, 64)),
        ((3, 63, 4, 64), (0, 56, 8, 64)),
        ((123, 5, 127, 9), (112, 0, 128, 16)),
    ],
)
def test_whole_cells_are_all_that_a_box_touches_or_nearly_touches(run, pixels, cells):
    x0, y0, x1, y1 = pixels
    one = Layout("", (Region("a", Box(x0 / 128, y0 / 64, x1 / 128, y1 / 64)),), 128, 64)
    (mask, _, _), entry = masks_of(run, one)
    x0, y0, x1, y1 = cells
    expected = np.zeros((64, 128))
    expected[y0:y1, x0:x1] = 255
    assert np.array_equal(mask, expected)
    assert remarks_of(entry) == []


def test_the_soft_edge_of_whole_cells_lies_around_them(run):
    (hard, _, _), _ = masks_of(run, region=1)
    (soft, _, both), _ = masks_of(run, region=1, feather=16)
    assert (soft[hard == 255] == 255).all()
    row = soft[32, 72:].astype(int)
    assert row[0] > 240 and (np.diff(row[:16]) < 0).all() and (row[16:] == 0).all()
    assert (both >= soft).all()


def test_a_region_can_be_chosen(run):
    (cat, _, _), entry = masks_of(run, region=2, edges=EXACT)
    assert (cat[16:, 64:] == 255).all() and not cat[:, :64].any()
    assert len(entry["outputs"]["shown 0"]["images"]) == 1
    assert remarks_of(entry) == []
    with pytest.raises(Failure, match="there is no region 3: the layout has 2"):
        masks_of(run, region=3)


def test_a_region_is_chosen_by_its_text_and_all_by_none_or_0(run):
    (by_number, _, _), _ = masks_of(run, region="2")
    (by_text, _, _), entry = masks_of(run, region="CAT")
    assert np.array_equal(by_number, by_text)
    assert len(entry["outputs"]["shown 0"]["images"]) == 1
    for all_of_them in ("", 0):
        _, entry = masks_of(run, region=all_of_them)
        assert len(entry["outputs"]["shown 0"]["images"]) == 2
    with pytest.raises(Failure, match="'a ' names 2 regions, 1 'a dog', 2 'a cat, left of it'"):
        masks_of(run, region="a ")


def region_mask(run, layout: Layout, **inputs) -> tuple[np.ndarray, dict[str, int]]:
    """The mask, (H, W) in [0, 255], of ReCo Region Mask, and its window; x to height are its."""
    nodes = {
        "layout": layout_node(layout),
        "mask": node("ReCoRegionMask", layout=["layout", 0], **{"grow": 0, "feather": 0} | inputs),
        "image": node("MaskToImage", mask=["mask", 0]),
        "shown": node("PreviewImage", images=["image", 0]),
    }
    names = ("window", "x", "y", "width", "height")
    nodes |= {name: node("PreviewAny", source=["mask", i]) for i, name in enumerate(names, 1)}
    images, entry = run(nodes)
    told = {name: json.loads(entry["outputs"][name]["text"][0]) for name in names}
    window = told.pop("window")
    assert window == told
    return images["shown"][..., 0], window


def test_the_mask_of_one_region_is_grown_rounded_and_soft_around_it(run):
    box = Region("a dog", Box(19 / 128, 21 / 64, 61 / 128, 43 / 64))  # 8, 16 to 72, 48 in cells
    layout = Layout("", (CAT, box), 128, 64)
    mask, window = region_mask(run, layout, region="dog")
    assert window == {"x": 8, "y": 16, "width": 64, "height": 32}
    assert mask.sum() == 255 * 64 * 32 and (mask[16:48, 8:72] == 255).all()
    mask, window = region_mask(run, layout, region="2", grow=8)  # 11, 13 to 69, 51
    assert window == {"x": 0, "y": 8, "width": 80, "height": 48}
    assert mask.sum() == 255 * 80 * 48 and (mask[8:56, :80] == 255).all()
    mask, window = region_mask(run, layout, region="2", feather=20)
    assert (mask[16:48, 8:72] == 255).all() and (np.diff(mask[32, 72:93].astype(int)) < 0).all()
    assert window == {"x": 0, "y": 0, "width": 96, "height": 64}
    assert mask[32, 91] > 0 and not mask[:, 92:].any()


def test_a_mask_grown_beyond_the_picture_is_all_of_it(run):
    mask, window = region_mask(run, PETS, region="1", grow=4000)
    assert mask.min() == 255 and window == {"x": 0, "y": 0, "width": 128, "height": 64}


def test_a_batch_of_masks_is_remarked_where_it_is_used(run):
    _, entry = masks_of(run)
    [remark] = remarks_of(entry)
    assert remark.startswith("2 masks, one for each region: an input that takes one mask uses only")
    nodes = {
        "layout": layout_node(),
        "masks": node("ReCoLayoutToMasks", layout=["layout", 0]),
        "image": node("MaskToImage", mask=["masks", 2]),
        "shown": node("PreviewImage", images=["image", 0]),
    }
    _, entry = run(nodes)
    assert remarks_of(entry) == []


def test_masks_that_would_fill_the_memory_are_refused(run):
    many = Layout("", (Region("a", Box(0, 0, 1, 1)),) * 400, 4096, 4096)
    with pytest.raises(Failure, match="400 mask.* would take 27 GB: choose one region"):
        masks_of(run, many)


PixelBox = tuple[int, int, int, int]


def inpainting(name: str, box: PixelBox, edges: str) -> dict:
    """Nodes that paint a blue circle over what fills a box of the 128 x 128 picture NAME.png."""
    circle = Region("blue circle", Box(*(side / 128 for side in box)))
    layout, both, masks, picture = (f"{name} {part}" for part in ("layout", "both", "mask", "old"))
    latent, masked, sampled, decoded = (f"{name} {part}" for part in ("all", "some", "new", "rgb"))
    sampling = {"seed": 0, "steps": 12, "cfg": 3.0, "denoise": 1.0, "scheduler": "normal"}
    sampling |= {"positive": [both, 0], "negative": [both, 1], "sampler_name": "euler"}
    return {
        layout: layout_node(Layout("a blue circle on a white ground", (circle,), 128, 128)),
        both: node("ReCoConditioning", clip=["loader", 1], layout=[layout, 0], negative=""),
        picture: node("LoadImage", image=f"{name}.png"),
        latent: node("VAEEncode", pixels=[picture, 0], vae=["loader", 2]),
        masks: node("ReCoLayoutToMasks", layout=[layout, 0], edges=edges),
        masked: node("SetLatentNoiseMask", samples=[latent, 0], mask=[masks, 0]),
        sampled: node("KSampler", model=["loader", 0], latent_image=[masked, 0], **sampling),
        decoded: node("VAEDecode", samples=[sampled, 0], vae=["loader", 2]),
        name: node("PreviewImage", images=[decoded, 0]),
    }


def inpainted(run, base_dir: Path, jobs: list[tuple[PixelBox, str]]) -> list[np.ndarray]:
    """Red squares that fill boxes of white pictures, painted over with either kind of edges."""
    (base_dir / "input").mkdir(exist_ok=True)
    nodes = {"loader": node("ReCoLoadCheckpoint", ckpt_name="reco-shapes.safetensors")}
    for index, (box, edges) in enumerate(jobs):
        square = Scene("white", (Thing("red", "square", box),), 128)
        render(square).save(base_dir / "input" / f"square{index}.png")
        nodes |= inpainting(f"square{index}", box, edges)
    images, _ = run(nodes)
    return [images[f"square{index}"].astype(float) for index in range(len(jobs))]


def remains(picture: np.ndarray) -> tuple[int, float]:
    """What is neither the blue circle nor its white ground.

    Pixels of a colour that is no mixture of the two, and how far any pixel away from the circle is
    from the ground, in [0, 255].
    """
    red, green, blue = picture.transpose(2, 0, 1)
    circle = (blue - red > 100) & (blue - green > 80)
    assert circle.sum() > 300
    ground = np.median(picture[~circle], axis=0)
    mixture = np.median(picture[circle], axis=0) - ground
    share = ((picture - ground) @ mixture / (mixture @ mixture)).clip(0, 1)
    off = np.linalg.norm(picture - ground - share[..., None] * mixture, axis=-1)
    near = np.asarray(Image.fromarray(circle).convert("L").filter(ImageFilter.MaxFilter(9))) > 0
    return int((off > 40).sum()), float(abs(picture - ground)[~near].max())


def test_nothing_remains_of_what_is_painted_over(run, base_dir):
    rng = np.random.default_rng(5)
    corners, sides = rng.integers(2, 60, (5, 2)), rng.integers(30, 60, (5, 2))
    boxes = [tuple(box) for box in np.hstack([corners, corners + sides]).tolist()]
    jobs = [*((box, CELLS) for box in boxes), (boxes[0], EXACT)]
    *clean, exact = inpainted(run, base_dir, jobs)
    for box, picture in zip(boxes, clean, strict=True):
        strange, farthest = remains(picture)
        assert strange == 0 and farthest < 8, (box, strange, farthest)
    assert remains(exact) > (0, 8)  # they would be seen


def test_masks_come_back_as_the_boxes_they_were_made_from(boxes_of):
    boxes, _, texts = boxes_of(
        source=layout_node(),
        masks=node("ReCoLayoutToMasks", layout=["source", 0], edges=EXACT),
        layout=from_masks(texts="a dog\na cat"),
    )
    assert (places(boxes), texts) == ([DOG_PIXELS, CAT_PIXELS], "a dog\na cat")


def mask_with_a_spot(strength: float) -> dict:
    """Nodes that make a 100 x 60 mask with a spot of 16 x 8 pixels at (8, 4)."""
    return {
        "ground": node("SolidMask", value=0, width=100, height=60),
        "spot": node("SolidMask", value=strength, width=16, height=8),
        "masks": node(
            "MaskComposite",
            destination=["ground", 0],
            source=["spot", 0],
            x=8,
            y=4,
            operation="add",
        ),
    }


def test_a_box_is_put_around_a_mask_and_the_size_rounded(boxes_of):
    boxes, elements, _ = boxes_of(
        **mask_with_a_spot(0.4), layout=from_masks(caption="a", threshold=0.3)
    )
    assert elements[0]["bbox"] == [67, 80, 200, 240]
    assert places(boxes) == [{"x": 8, "y": 4, "width": 15, "height": 9}]  # of 96 x 64


def workflow() -> dict:
    return json.loads((HERE / "data" / "reco_api.json").read_text("utf-8"))


def test_only_the_masked_box_is_painted(run):
    """The square's box, (104, 40) to (176, 120), of a 192 x 128 picture."""
    painted = workflow()
    painted["masks"] = node("ReCoLayoutToMasks", layout=["square", 0])
    painted["mask"] = node("MaskToImage", mask=["masks", 0])
    painted["second"] = node("ImageFromBatch", image=["mask", 0], batch_index=1, length=1)
    painted["only"] = node("ImageToMask", image=["second", 0], channel="red")
    latent = painted["sampler"]["inputs"]["latent_image"]
    painted["noise"] = node("SetLatentNoiseMask", samples=latent, mask=["only", 0])
    painted["sampler"]["inputs"]["latent_image"] = ["noise", 0]
    other = copy.deepcopy(painted)
    other["sampler"]["inputs"]["seed"] += 1
    pictures = [run(nodes)[0]["picture"].astype(int) for nodes in (painted, other)]
    change = abs(pictures[0] - pictures[1])
    # The decoder carries a little of it beyond the box.
    assert change[40:120, 104:176].mean() > 100 * change[:, :64].mean()


def test_conditioning_can_be_limited_to_the_boxes(run):
    plain = workflow()
    limited = copy.deepcopy(plain)
    limited["masks"] = node("ReCoLayoutToMasks", layout=["square", 0], feather=16)
    limited["limit"] = node(
        "ConditioningSetMask",
        conditioning=limited["sampler"]["inputs"]["positive"],
        mask=["masks", 1],
        strength=1,
        set_cond_area="default",
    )
    limited["sampler"]["inputs"]["positive"] = ["limit", 0]
    assert not np.array_equal(run(plain)[0]["picture"], run(limited)[0]["picture"])


BAD = {
    "empty mask": ({**mask_with_a_spot(0.4), "layout": from_masks()}, "mask 1 of 1 is empty"),
    "mask without text": (
        {**mask_with_a_spot(1), "layout": from_masks(texts=" \n")},
        "there are no texts",
    ),
    "too many mask texts": (
        {**mask_with_a_spot(1), "layout": from_masks(texts="a\nb")},
        "2 texts for 1 box",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_cause(refused, case):
    refused(*BAD[case])


def test_masks_of_a_layout_without_regions_are_refused(run):
    nodes = {
        "layout": layout_node(Layout("a park")),
        "masks": node("ReCoLayoutToMasks", layout=["layout", 0]),
        "shown": node("PreviewAny", source=["masks", 0]),
    }
    with pytest.raises(Failure, match="the layout has no regions"):
        run(nodes)
