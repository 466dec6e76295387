"""Layouts from masks and masks from layouts, in a running ComfyUI."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from workflows import CAT_PIXELS, DOG_PIXELS, layout_node, node, places

from comfy_server import Failure
from reco_core import Layout

HERE = Path(__file__).parent


def from_masks(**changes) -> dict:
    inputs = {"texts": "a", "caption": "", **changes}
    return node("ReCoLayoutFromMasks", masks=["masks", 0], **inputs)


def masks_of(run, feather: int = 0) -> list[np.ndarray]:
    """The pictures of the masks of PETS' regions and of its background: (64, 128) in [0, 255]."""
    nodes = {
        "layout": layout_node(),
        "masks": node("ReCoLayoutToMasks", layout=["layout", 0], feather=feather),
    }
    for name, source in (("dog", 0), ("background", 1)):
        nodes[f"{name} image"] = node("MaskToImage", mask=["masks", source])
        nodes[name] = node("PreviewImage", images=[f"{name} image", 0])
    images, entry = run(nodes)
    assert len(entry["outputs"]["dog"]["images"]) == 2  # a mask for each region
    return [images[name][..., 0] for name in ("dog", "background")]


def test_a_mask_is_white_in_its_box_and_the_background_where_no_box_is(run):
    dog, background = masks_of(run)
    inside = np.zeros((64, 128), bool)
    inside[16:48, 16:64] = True
    assert np.array_equal(dog, np.where(inside, 255, 0))
    inside[16:64, 64:128] = True
    assert np.array_equal(background, np.where(inside, 0, 255))


def test_a_feathered_mask_fades_evenly_across_the_boxs_edge(run):
    dog, _ = masks_of(run, feather=8)
    row = dog[32].astype(int)
    assert (row[:12] == 0).all() and (row[20:60] == 255).all() and (row[68:] == 0).all()
    assert (np.diff(row[11:21]) > 0).all()
    assert row[15] + row[16] == pytest.approx(255, abs=1)


def test_masks_come_back_as_the_boxes_they_were_made_from(boxes_of):
    boxes, _, texts = boxes_of(
        source=layout_node(),
        masks=node("ReCoLayoutToMasks", layout=["source", 0]),
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
    "empty mask": ({**mask_with_a_spot(0.4), "layout": from_masks()}, "Mask 1 of 1 is empty"),
    "mask without text": (
        {**mask_with_a_spot(1), "layout": from_masks(texts=" \n")},
        "There are no texts",
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
    with pytest.raises(Failure, match="The layout has no regions"):
        run(nodes)
