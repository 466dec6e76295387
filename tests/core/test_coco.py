"""Layouts from COCO annotation files."""

import copy
import json

import pytest

from reco_core.coco import layout_from_coco
from reco_core.layout import Box

INSTANCES = {
    "images": [
        {"id": 7, "file_name": "000007.jpg", "width": 500, "height": 375},
        {"id": 9, "file_name": "000009.jpg", "width": 640, "height": 480},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 19, "name": "horse"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 18, "bbox": [0, 75, 250, 300], "iscrowd": 0},
        {"id": 2, "image_id": 9, "category_id": 19, "bbox": [0, 0, 64, 48]},
        {"id": 3, "image_id": 7, "category_id": 19, "bbox": [250, 0, 250, 375], "caption": "mare"},
        {"id": 4, "image_id": 7, "category_id": 18, "bbox": [0, 0, 500, 375], "iscrowd": 1},
    ],
}
CAPTIONS = {
    "annotations": [
        {"image_id": 7, "caption": "a dog and a mare"},
        {"image_id": 9, "caption": "a horse"},
        {"image_id": 7, "caption": "two animals"},
    ]
}


@pytest.mark.parametrize("image", [7, "7", "000007.jpg"])
def test_an_image_is_chosen_by_id_or_file_name(image):
    reading = layout_from_coco(INSTANCES, image, caption="a yard")
    layout = reading.layout
    assert [(region.text, region.box) for region in layout.regions] == [
        ("dog", Box(0, 0.2, 0.5, 1)),
        ("mare", Box(0.5, 0, 1, 1)),
    ]
    assert (layout.caption, reading.remarks) == ("a yard", ())


def test_the_size_is_the_nearest_that_is_divisible_by_8():
    layout = layout_from_coco(INSTANCES, 7).layout
    assert (layout.width, layout.height) == (496, 376)


@pytest.mark.parametrize(("index", "caption"), [(0, "a dog and a mare"), (1, "two animals")])
def test_captions_come_from_a_file_of_their_own(index, caption):
    captions = json.dumps(CAPTIONS)
    layout = layout_from_coco(json.dumps(INSTANCES), 7, captions, index, "not this one").layout
    assert layout.caption == caption


def test_the_only_image_needs_no_name():
    alone = {**INSTANCES, "images": INSTANCES["images"][1:]}
    assert layout_from_coco(alone).layout.regions[0].text == "horse"


@pytest.mark.parametrize("key", ["caption", "text", "description"])
def test_an_annotations_own_words_go_before_its_category(key):
    data = copy.deepcopy(INSTANCES)
    data["annotations"][0][key] = "a wet dog"
    assert layout_from_coco(data, 7).layout.regions[0].text == "a wet dog"


def test_a_box_without_area_is_left_out_and_named():
    data = copy.deepcopy(INSTANCES)
    data["annotations"][0]["bbox"] = [10, 10, 0, 20]
    reading = layout_from_coco(data, 7)
    assert [region.text for region in reading.layout.regions] == ["mare"]
    (remark,) = reading.remarks
    assert (remark.kind, remark.region) == ("left out", 0)
    assert "box 1 ('dog') is left out: [10, 10, 0, 20]" in remark.message


def changed(**parts) -> dict:
    return {**copy.deepcopy(INSTANCES), **parts}


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("{", {}, "not JSON"),
        ("[]", {}, r"not a COCO instances file: expected .*images and annotations, got \[\]"),
        (CAPTIONS, {}, "not a COCO instances file"),
        (INSTANCES, {}, r"choose an image.*there are 2 \(000007.jpg, 000009.jpg\)"),
        (INSTANCES, {"image": "8"}, "no image has the id or file name '8': there are 2"),
        (INSTANCES, {"image": 7, "captions": "{}"}, "not a COCO captions file"),
        (INSTANCES, {"image": 7, "captions": CAPTIONS, "caption_index": 2}, "no caption 2.* has 2"),
        (changed(images=[]), {}, "choose an image"),
        (changed(images=[{"id": 7}]), {}, "image width = 0 is not a positive"),
        (changed(annotations=[5]), {"image": 7}, "COCO annotations must be a list of objects"),
        (changed(categories=[]), {"image": 7}, "box 1 has no text"),
        (
            changed(annotations=[{"id": 5, "image_id": 7, "bbox": [1, 2, 3]}]),
            {"image": 7},
            r"annotation 5: bbox must be four numbers .*got \[1, 2, 3\]",
        ),
    ],
)
def test_a_file_that_is_none_is_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        layout_from_coco(data, **options)


@pytest.mark.parametrize(
    "name", ["\udf88.png", "x" * 10**6, list(range(10**5)), {"a": "\ud800"}, 7]
)
def test_images_of_any_name_are_named_in_a_line_that_can_be_written(name):
    data = {"images": [{"id": 1, "file_name": name}, {"id": 2}], "annotations": []}
    with pytest.raises(ValueError, match="choose an image by its id or file name") as refusal:
        layout_from_coco(data)
    assert len(str(refusal.value).encode()) < 300
