"""Layouts from and to bounding boxes, elements and COCO files, in a running ComfyUI."""

import json
import math

import numpy as np
import pytest
from workflows import CAT, CAT_PIXELS, DOG, DOG_PIXELS, layout_node, needs, node, places, value

from reco_core.layout import Layout


def from_boxes(bboxes, **changes) -> dict:
    inputs = {"texts": "", "caption": "pets", "width": 128, "height": 64, **changes}
    return node("ReCoLayoutFromBoxes", bboxes=bboxes, **inputs)


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
    log = server.log.read_text()
    assert "box 2 ('a far away cat') is left out: [500, 16, 64, 48] lies outside" in log


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
    assert "box 2 ('dog') is left out: [9, 9, 0, 9]" in server.log.read_text()


# To boxes


def test_boxes_carry_texts_and_colors(boxes_of):
    boxes, elements, texts = boxes_of(layout=layout_node())
    assert places(boxes) == [DOG_PIXELS, CAT_PIXELS]
    assert boxes[0]["label"] == boxes[0]["metadata"]["desc"] == "a dog"
    assert boxes[0]["metadata"]["palette"] == elements[0]["color_palette"] == ["#AA0000"]
    assert elements[1] == {"type": "obj", "bbox": [250, 500, 1000, 1000], "desc": CAT.text}
    assert texts == "a dog\na cat, left of it"


def test_boxes_come_by_a_link_and_not_from_a_widget(server):
    """Newer front ends have a widget for the type."""
    info = json.loads(server.get("/object_info/ReCoLayoutFromBoxes"))["ReCoLayoutFromBoxes"]
    assert info["input"]["required"]["bboxes"][1]["forceInput"]


def test_comfyui_crops_to_one_of_the_boxes(run):
    images, _ = run(
        {
            "pets": layout_node(),
            "dog": node("ReCoReorderRegions", layout=["pets", 0], order="1", others="leave out"),
            "masks": node("ReCoLayoutToMasks", layout=["dog", 0]),
            "image": node("MaskToImage", mask=["masks", 0]),
            "boxes": node("ReCoLayoutToBoxes", layout=["dog", 0]),
            "crop": node(
                "CropByBBoxes",
                image=["image", 0],
                bboxes=["boxes", 0],
                output_width=96,
                output_height=64,
                padding=0,
                keep_aspect="stretch",  # older ComfyUI passes over it
            ),
            "preview": node("PreviewImage", images=["crop", 0]),
        }
    )
    assert (images["preview"] == 255).all()


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


# Bad input

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
    "broken coco": ({"layout": from_coco(instances="{")}, "not JSON"),
    "no such coco image": ({"layout": from_coco(image="8")}, "no image has the id or file name"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_cause(refused, case):
    refused(*BAD[case])


def test_a_layout_without_regions_has_no_boxes_and_no_texts(boxes_of):
    assert boxes_of(layout=layout_node(Layout("a park"))) == ([], [], "")
