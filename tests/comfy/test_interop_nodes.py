"""Layouts from and to ComfyUI's own nodes, and rearranged, in a running ComfyUI."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest

from comfy_server import Failure
from reco_core import Box, Layout, Region

HERE = Path(__file__).parent
DOG = Region("a dog", Box(0.125, 0.25, 0.5, 0.75), color="#AA0000")
CAT = Region("a cat, left of it", Box(0.5, 0.25, 1.0, 1.0))
PETS = Layout("pets", (DOG, CAT), 128, 64)
DOG_PIXELS = {"x": 16, "y": 16, "width": 48, "height": 32}
CAT_PIXELS = {"x": 64, "y": 16, "width": 64, "height": 48}


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


def value(data) -> dict:
    """A list as a node's input: ComfyUI reads a bare one as a link."""
    return {"__value__": data}


def layout_node(layout: Layout = PETS) -> dict:
    return node("ReCoLayoutFromText", text=layout.to_json(), width=512, height=512)


def from_boxes(bboxes, **changes) -> dict:
    inputs = {"texts": "", "caption": "pets", "width": 128, "height": 64, **changes}
    return node("ReCoLayoutFromBoxes", bboxes=bboxes, **inputs)


def from_masks(**changes) -> dict:
    return node(
        "ReCoLayoutFromMasks", masks=["masks", 0], **{"texts": "a", "caption": ""} | changes
    )


def from_coco(**changes) -> dict:
    inputs = {"instances": json.dumps(COCO), "image": "7", "caption": "", **changes}
    return node("ReCoLayoutFromCoco", **inputs)


COCO = {
    "images": [{"id": 7, "width": 500, "height": 375, "file_name": "7.jpg"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 250, 375]},
        {"image_id": 7, "category_id": 1, "bbox": [9, 9, 0, 9]},
    ],
    "categories": [{"id": 1, "name": "dog"}],
}


def needs(server, kind: str) -> None:
    if not json.loads(server.get(f"/object_info/{kind}")):
        pytest.skip(f"this ComfyUI has no {kind}")


@pytest.fixture
def boxes_of(server):
    """Run a workflow; what ReCo Layout To Boxes makes of its node `layout`: boxes, elements,
    texts."""

    def run_and_read(**nodes):
        shown = {
            name: node("PreviewAny", source=["to_boxes", index])
            for index, name in enumerate(("bboxes", "elements", "texts"))
        }
        to_boxes = node("ReCoLayoutToBoxes", layout=["layout", 0])
        outputs = server.wait(server.post_prompt({**nodes, "to_boxes": to_boxes, **shown}))
        bboxes, elements, texts = (outputs["outputs"][name]["text"][0] for name in shown)
        (frame,) = json.loads(bboxes)
        return frame, json.loads(elements), texts

    return run_and_read


def places(boxes: list[dict]) -> list[dict]:
    return [{key: box[key] for key in ("x", "y", "width", "height")} for box in boxes]


# From boxes


def test_comfyuis_bounding_box_becomes_a_region(boxes_of):
    box = node("PrimitiveBoundingBox", **DOG_PIXELS)
    boxes, _, texts = boxes_of(box=box, layout=from_boxes(["box", 0], texts="\na dog\n"))
    assert (places(boxes), texts) == ([DOG_PIXELS], "a dog")


def test_boxes_count_in_the_image_when_there_is_one(boxes_of):
    boxes, _, _ = boxes_of(
        box=node("PrimitiveBoundingBox", x=0, y=0, width=250, height=333),
        image=node("EmptyImage", width=500, height=333, batch_size=1, color=0),
        layout=from_boxes(["box", 0], texts="a dog", image=["image", 0]),
    )
    assert places(boxes) == [{"x": 0, "y": 0, "width": 248, "height": 336}]  # of 496 x 336


def test_boxes_bring_their_own_texts_and_one_frame_is_read(boxes_of):
    frames = [[], [{**DOG_PIXELS, "label": "dog"}, {**CAT_PIXELS, "label": "cat"}]]
    boxes, _, texts = boxes_of(layout=from_boxes(value(frames), frame=1))
    assert (places(boxes), texts) == ([DOG_PIXELS, CAT_PIXELS], "dog\ncat")


def test_a_box_outside_is_left_out_and_the_log_names_it(server, boxes_of):
    found = [{**DOG_PIXELS, "label": "dog"}, {**CAT_PIXELS, "x": 500, "label": "a far away cat"}]
    _, _, texts = boxes_of(layout=from_boxes(value(found)))
    assert texts == "dog"
    assert "no pixel of them is in the picture: box 2 (a far away cat)" in server.log.read_text()


def test_boxes_and_elements_drawn_in_create_bounding_boxes_become_regions(server, boxes_of):
    needs(server, "CreateBoundingBoxes")
    sign = {"type": "text", "text": "OPEN", "desc": "a sign", "palette": ["#00FF00"]}
    drawn = [
        {**DOG_PIXELS, "metadata": {"type": "obj", "desc": "a dog", "palette": []}},
        {**CAT_PIXELS, "metadata": sign},
    ]
    create = node("CreateBoundingBoxes", width=128, height=64, editor_state=value(drawn))
    elements = node(
        "ReCoLayoutFromElements", elements=["create", 2], caption="", width=128, height=64
    )
    boxes, again, texts = boxes_of(create=create, layout=elements)
    assert (places(boxes), texts) == ([DOG_PIXELS, CAT_PIXELS], 'a dog\na sign "OPEN"')
    assert [element.get("color_palette") for element in again] == [None, ["#00FF00"]]
    layout = from_boxes(["create", 1], texts="a dog\na cat")
    boxes, _, texts = boxes_of(create=create, layout=layout)
    assert (places(boxes), texts) == ([DOG_PIXELS, CAT_PIXELS], "a dog\na cat")


def test_a_coco_image_becomes_a_layout_of_the_nearest_size(server, boxes_of):
    captions = {"annotations": [{"image_id": 7, "caption": "a dog"}]}
    layout = from_coco(captions=json.dumps(captions), image="7.jpg")
    boxes, _, texts = boxes_of(layout=layout)
    assert (places(boxes), texts) == ([{"x": 0, "y": 0, "width": 248, "height": 376}], "dog")
    assert "box 2 (dog)" in server.log.read_text()


# To boxes


def test_boxes_carry_texts_and_colors(boxes_of):
    boxes, elements, texts = boxes_of(layout=layout_node())
    assert places(boxes) == [DOG_PIXELS, CAT_PIXELS]
    assert boxes[0]["label"] == boxes[0]["metadata"]["desc"] == "a dog"
    assert boxes[0]["metadata"]["palette"] == elements[0]["color_palette"] == ["#AA0000"]
    assert elements[1] == {"type": "obj", "bbox": [250, 500, 1000, 1000], "desc": CAT.text}
    assert texts == "a dog\na cat, left of it"


def frame_of(pixels: dict) -> np.ndarray:
    """(64, 128) whether a pixel is on the border of a box."""
    x, y, width, height = (pixels[key] for key in ("x", "y", "width", "height"))
    frame = np.zeros((64, 128), bool)
    frame[y : y + height, x : x + width] = True
    frame[y + 3 : y + height - 3, x + 3 : x + width - 3] = False
    return frame


def test_comfyui_draws_the_boxes(server, run):
    needs(server, "DrawBBoxes")
    images, _ = run(
        {
            "layout": layout_node(),
            "boxes": node("ReCoLayoutToBoxes", layout=["layout", 0]),
            "image": node("EmptyImage", width=128, height=64, batch_size=1, color=0),
            "draw": node("DrawBBoxes", image=["image", 0], bboxes=["boxes", 0]),
            "preview": node("PreviewImage", images=["draw", 0]),
        }
    )
    red = images["preview"][..., 0] > 128
    assert red[frame_of(DOG_PIXELS) | frame_of(CAT_PIXELS)].mean() > 0.8
    assert not red[:15].any() and not red[:, :15].any() and not red[22:40, 24:56].any()


def test_comfyui_creates_its_boxes_from_ours(server, run):
    needs(server, "CreateBoundingBoxes")
    created = {}
    for output, name in enumerate(("bboxes", "elements")):
        _, entry = run(
            {
                "layout": layout_node(),
                "boxes": node("ReCoLayoutToBoxes", layout=["layout", 0]),
                "create": node(
                    "CreateBoundingBoxes",
                    width=128,
                    height=64,
                    editor_state=value([]),
                    bboxes=["boxes", output],
                ),
                "shown": node("PreviewAny", source=["create", 2]),
            }
        )
        created[name] = json.loads(entry["outputs"]["shown"]["text"][0])
    assert created["bboxes"] == created["elements"]
    assert [element["desc"] for element in created["bboxes"]] == [DOG.text, CAT.text]
    assert created["bboxes"][0]["color_palette"] == ["#AA0000"]


# Masks


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


# Rearranged


def test_layouts_are_merged_reordered_flipped_and_scaled(boxes_of):
    more = Layout("at dusk", (Region("a bird", Box(0, 0, 0.25, 0.25)),))
    boxes, _, texts = boxes_of(
        first=layout_node(),
        second=layout_node(more),
        merged=node("ReCoMergeLayouts", first=["first", 0], second=["second", 0]),
        ordered=node(
            "ReCoReorderRegions", layout=["merged", 0], order="3-2", others="put behind them"
        ),
        flipped=node(
            "ReCoFlipLayout",
            layout=["ordered", 0],
            horizontal=True,
            vertical=False,
            swap_words=True,
        ),
        layout=node("ReCoScaleLayout", layout=["flipped", 0], picture_factor=2.0, box_factor=0.5),
    )
    assert texts == "a bird\na cat, right of it\na dog"
    assert places(boxes) == [
        {"x": 208, "y": 8, "width": 32, "height": 16},
        {"x": 32, "y": 56, "width": 64, "height": 48},
        {"x": 152, "y": 48, "width": 48, "height": 32},
    ]


def test_regions_that_the_order_does_not_name_can_be_left_out(boxes_of):
    ordered = node("ReCoReorderRegions", layout=["source", 0], order="2", others="leave out")
    _, _, texts = boxes_of(source=layout_node(), layout=ordered)
    assert texts == CAT.text


# Bad input

EMPTY = Layout("a park")
ORDER = {"layout": ["source", 0], "others": "leave out"}
BAD = {
    "too many texts": (
        {"layout": from_boxes(value(DOG_PIXELS), texts="a\nb")},
        "2 texts for 1 box",
    ),
    "no texts": ({"layout": from_boxes(value(DOG_PIXELS))}, "box 1 has no text"),
    "no such frame": (
        {"layout": from_boxes(value([[DOG_PIXELS]]), texts="a", frame=1)},
        "no frame 1",
    ),
    "box of nothing": (
        {"layout": from_boxes(value([{**DOG_PIXELS, "x": math.nan}]), texts="a")},
        "x = nan is not a finite number",
    ),
    "element that says nothing": (
        {
            "layout": node(
                "ReCoLayoutFromElements",
                elements=value([{"bbox": [0, 0, 9, 9]}]),
                caption="",
                width=64,
                height=64,
            )
        },
        "element 1 has no text",
    ),
    "empty mask": ({**mask_with_a_spot(0.4), "layout": from_masks()}, "Mask 1 of 1 is empty"),
    "mask without text": (
        {**mask_with_a_spot(1), "layout": from_masks(texts=" \n")},
        "There are no texts",
    ),
    "too many mask texts": (
        {**mask_with_a_spot(1), "layout": from_masks(texts="a\nb")},
        "2 texts for 1 box",
    ),
    "broken coco": ({"layout": from_coco(instances="{")}, "not JSON"),
    "no such coco image": ({"layout": from_coco(image="8")}, "no image has the id or file name"),
    "order in words": (
        {"source": layout_node(), "layout": node("ReCoReorderRegions", order="first", **ORDER)},
        "'first' in 'first' is not a region number",
    ),
    "order beyond the last": (
        {"source": layout_node(), "layout": node("ReCoReorderRegions", order="3", **ORDER)},
        "no region 3: the layout has 2",
    ),
    "scale of nothing": (
        {
            "source": layout_node(),
            "layout": node("ReCoScaleLayout", layout=["source", 0], picture_factor=0, box_factor=1),
        },
        "smaller than min of 0.05",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_cause(server, boxes_of, case):
    nodes, cause = BAD[case]
    with pytest.raises(Failure, match=cause) as failure:
        boxes_of(**nodes)
    assert "(node layout)" in str(failure.value)
    boxes_of(layout=layout_node())


def test_masks_of_a_layout_without_regions_are_refused(run):
    nodes = {
        "layout": layout_node(EMPTY),
        "masks": node("ReCoLayoutToMasks", layout=["layout", 0]),
        "shown": node("PreviewAny", source=["masks", 0]),
    }
    with pytest.raises(Failure, match="The layout has no regions"):
        run(nodes)


def test_a_layout_without_regions_has_no_boxes_and_no_texts(boxes_of):
    assert boxes_of(layout=layout_node(EMPTY)) == ([], [], "")
