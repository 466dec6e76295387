"""Layouts from and to ComfyUI's elements and bounding boxes."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reco_core.interop import (
    layout_from_boxes,
    layout_from_elements,
    layout_to_boxes,
    layout_to_elements,
)
from reco_core.layout import Box, Layout, Region
from reco_core.remarks import Reading

HORSE = Region("brown horse", Box(0.25, 0.5, 0.75, 1.0), color="#AA0000")
PARK = Layout("a park", (HORSE,), 512, 256)
ELEMENT = {
    "type": "obj",
    "bbox": [500, 250, 1000, 750],
    "desc": "brown horse",
    "color_palette": ["#AA0000", "#00ff00"],
}
GRID = st.integers(0, 1000)
SIDE = st.tuples(GRID, GRID).map(sorted).filter(lambda side: side[0] < side[1])
WORDS = st.text(st.sampled_from("ab \"'\n字"), min_size=1).filter(str.strip)
COLORS = st.from_regex(r"#[0-9A-F]{6}", fullmatch=True)


def all_of(reading: Reading) -> Layout:
    """The layout of a reading that left nothing out."""
    assert not reading.remarks
    return reading.layout


@st.composite
def elements(draw):
    (y0, y1), (x0, x1) = draw(SIDE), draw(SIDE)
    element = {"type": "obj", "bbox": [y0, x0, y1, x1], "desc": draw(WORDS)}
    return {**element, "color_palette": [draw(COLORS)]} if draw(st.booleans()) else element


@st.composite
def pictures_with_boxes(draw):
    """(width, height, bounding boxes in it), sizes divisible by 8, boxes in whole pixels."""
    width, height = (8 * draw(st.integers(1, 300)) for _ in range(2))
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        size = {
            "width": draw(st.integers(1, width - x)),
            "height": draw(st.integers(1, height - y)),
        }
        boxes.append({"x": x, "y": y, **size, "label": draw(WORDS).strip()})
    return width, height, boxes


# ComfyUI's elements


@given(st.lists(elements(), max_size=4))
def test_elements_survive_the_way_through_a_layout(items):
    assert layout_to_elements(layout_from_elements(items).layout) == items


def test_an_elements_box_is_rows_before_columns_and_its_color_the_first_of_its_palette():
    assert layout_from_elements([ELEMENT], "a park", 512, 256) == Reading(PARK)


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ({"type": "text", "desc": "a shop sign", "text": "OPEN"}, 'a shop sign "OPEN"'),
        ({"type": "text", "desc": "", "text": "OPEN"}, '"OPEN"'),
        ({"type": "text", "desc": "a shop sign", "text": ""}, "a shop sign"),
        ({"type": "obj", "desc": "a cat", "text": "OPEN"}, "a cat"),
        ({"desc": "a cat"}, "a cat"),
    ],
)
def test_the_words_of_a_text_element_stand_in_quotation_marks(element, text):
    layout = layout_from_elements([{"bbox": [0, 0, 1, 1], **element}]).layout
    assert layout.regions[0].text == text


def test_an_elements_box_is_ordered_and_cut_at_the_image():
    layout = layout_from_elements([{"bbox": [1200, 600, 500, -50], "desc": "a cat"}]).layout
    assert layout.regions[0].box == Box(0, 0.5, 0.6, 1)


def test_an_element_without_a_box_says_something_of_the_whole_picture():
    unplaced = {"type": "text", "desc": "a sign", "text": "OPEN"}
    reading = layout_from_elements([unplaced, ELEMENT, {"desc": "rain"}], "a park")
    assert reading.layout.caption == 'a park. a sign "OPEN". rain'
    assert [region.text for region in reading.layout.regions] == ["brown horse"]
    assert [(remark.kind, remark.region) for remark in reading.remarks] == [
        ("left out", 0),
        ("left out", 2),
    ]
    assert "element 3 ('rain') has no bbox" in reading.remarks[1].message


@pytest.mark.parametrize("palette", [[], ["red"], None, "#ffffff", [None, "#12"]])
def test_a_palette_without_a_color_leaves_the_region_without(palette):
    (region,) = layout_from_elements([{**ELEMENT, "color_palette": palette}]).layout.regions
    assert region.color is None


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"bbox": [0, 0, 1, 1]}, r'element 1 has no text: give it a "desc"; got .*bbox'),
        ({"bbox": [0, 0, 1, 1], "desc": " "}, "has no text"),
        ({"bbox": [0, 0, 1, 1], "text": "OPEN"}, "has no text"),
        ({"bbox": [0, 0, 1], "desc": "a"}, r"element 1: bbox must be four .*\[0, 0, 1\]"),
        (
            {"bbox": [0.1, 0, 0.5, 1], "desc": "a"},
            "element 1: bbox .*seem to be fractions.*multiply by 1000",
        ),
        ({"bbox": [0, 10**400, 1, 1], "desc": "a"}, "is not a finite number"),
        ("a", "is not a layout element.*got 'a'"),
        ({"bbox": [0, math.nan, 1, 1], "desc": "a"}, "bbox number = nan is not a finite number"),
        ({"bbox": [0, "1", 1, 1], "desc": "a"}, "bbox number = '1' is not a finite number"),
    ],
)
def test_an_element_that_is_none_is_refused(element, message):
    with pytest.raises(ValueError, match=message):
        layout_from_elements([element])


# Bounding boxes


@given(pictures_with_boxes())
def test_pixel_boxes_survive_the_way_through_a_layout(picture):
    width, height, boxes = picture
    layout = all_of(layout_from_boxes(boxes, (), "", width, height))
    got = [
        {k: box[k] for k in ("x", "y", "width", "height", "label")}
        for box in layout_to_boxes(layout)
    ]
    assert got == boxes


@given(st.from_type(Layout))
def test_boxes_bring_back_texts_and_colors(layout):
    boxes = layout_to_boxes(layout)
    again = all_of(layout_from_boxes(boxes, (), layout.caption, layout.width, layout.height))
    assert [(r.text, r.color) for r in again.regions] == [(r.text, r.color) for r in layout.regions]
    assert layout_to_boxes(again) == boxes


@given(st.floats(0, 1), st.integers(1, 300))
def test_boxes_that_share_an_edge_share_it_in_pixels(edge, eighths):
    left, right = Region("a", Box(0, 0, edge, 1)), Region("b", Box(edge, 0, 1, 1))
    width = 8 * eighths
    a, b = layout_to_boxes(Layout("", (left, right), width, 8))
    assume(0 < round(edge * width) < width)
    assert a["x"] + a["width"] == b["x"]
    assert a["width"] + b["width"] == width


def test_a_tiny_box_has_one_pixel_inside_the_image():
    (box,) = layout_to_boxes(Layout("", (Region("a", Box(1, 1, 1, 1)),), 64, 32))
    assert (box["x"], box["y"], box["width"], box["height"]) == (63, 31, 1, 1)


CAT = {"x": 0, "y": 0, "width": 50, "height": 100, "label": "cat", "score": 0.9}
DOG = {"x": 50.0, "y": 0, "width": 50, "height": 100, "label": "dog"}


@pytest.mark.parametrize("boxes", [CAT, [CAT], [[CAT]], [[CAT], [DOG, DOG]], [[], [DOG]]])
def test_boxes_come_alone_in_a_list_or_by_frame(boxes):
    layout = all_of(layout_from_boxes(boxes, (), "a yard", 100, 100))
    assert [region.text for region in layout.regions] == (["cat"] if boxes != [[], [DOG]] else [])
    assert layout.caption == "a yard"


def test_a_frame_is_chosen_and_boxes_without_frames_are_in_all():
    assert layout_from_boxes([[CAT], [DOG]], (), "", 100, 100, 1).layout.regions[0].text == "dog"
    assert layout_from_boxes([CAT], (), "", 100, 100, 7).layout.regions[0].text == "cat"


def test_nothing_found_is_a_plain_caption():
    assert layout_from_boxes([], ["a cat"], "a yard") == Reading(Layout("a yard"))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), ["cat", "dog"]),
        (["a tabby", "a poodle"], ["a tabby", "a poodle"]),
        (["a pet"], ["a pet", "a pet"]),
    ],
)
def test_texts_are_one_for_each_box_one_for_all_or_the_boxes_own(texts, expected):
    layout = all_of(layout_from_boxes([CAT, DOG], texts, "", 100, 100))
    assert [region.text for region in layout.regions] == expected


def test_metadata_says_more_than_a_label():
    metadata = {"type": "text", "desc": "a sign", "text": "DOG", "palette": ["#010203"]}
    layout = all_of(layout_from_boxes({**DOG, "metadata": metadata}, (), "", 100, 100))
    assert layout.regions == (Region('a sign "DOG"', Box(0.5, 0, 1, 1), color="#010203"),)


def test_boxes_are_cut_at_the_image_and_turned_round():
    boxes = [
        {"x": -10, "y": 90, "width": 30, "height": 50},
        {"x": 60, "y": 50, "width": -40, "height": -20},
    ]
    layout = all_of(layout_from_boxes(boxes, ["a"], "", 100, 100))
    assert [r.box for r in layout.regions] == [Box(0, 0.9, 0.2, 1), Box(0.2, 0.3, 0.6, 0.5)]


def test_boxes_without_area_in_the_image_are_left_out_by_name():
    boxes = [
        CAT,
        {"x": 100, "y": 0, "width": 9, "height": 9},
        {"x": 5, "y": 5, "width": 0, "height": 9},
        DOG,
    ]
    reading = layout_from_boxes(boxes, ["cat", "far", "flat", "dog"], "", 100, 100)
    assert [region.text for region in reading.layout.regions] == ["cat", "dog"]
    far, flat = reading.remarks
    assert (far.kind, far.region, flat.kind, flat.region) == ("left out", 1, "left out", 2)
    assert "box 2 ('far') is left out: [100, 0, 9, 9] lies outside the picture" in far.message
    assert "box 3 ('flat') is left out: [5, 5, 0, 9] has no width" in flat.message


def test_a_picture_of_any_size_gives_the_nearest_legal_layout_and_the_same_fractions():
    layout = all_of(layout_from_boxes({**CAT, "width": 250, "height": 333}, (), "", 500, 333))
    assert (layout.width, layout.height) == (496, 336)
    assert layout.regions[0].box == Box(0, 0, 0.5, 1)


@pytest.mark.parametrize(
    ("boxes", "options", "message"),
    [
        ([CAT, DOG], {"texts": ["a", "b", "c"]}, "3 texts for 2 box"),
        ([], {"texts": ["a", "b"]}, "2 texts for 0 box"),
        ([CAT, {**DOG, "label": ""}], {}, "box 2 has no text and brings none"),
        ([[CAT], [DOG]], {"frame": 2}, "no frame 2: the boxes have frames 0 to 1"),
        ([{"x": 0, "y": 0}], {"texts": ["a"]}, "box 1 is not a bounding box"),
        (["cat"], {"texts": ["a"]}, "box 1 is not a bounding box.*got 'cat'"),
        ("cat", {}, "expected a bounding box or a list of them, got 'cat'"),
        ({**CAT, "x": math.inf}, {}, "box 1: x = inf is not a finite number"),
        ({**CAT, "width": math.nan}, {}, "box 1: width = nan is not a finite number"),
        (CAT, {"texts": [" "]}, "region text ' ' is empty"),
        (CAT, {"width": 0}, "image width = 0 is not a positive whole number"),
    ],
)
def test_boxes_that_are_none_are_refused(boxes, options, message):
    with pytest.raises(ValueError, match=message):
        layout_from_boxes(boxes, **options)
