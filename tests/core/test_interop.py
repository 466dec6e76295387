"""Layouts from and to prompts, ComfyUI's elements and bounding boxes."""

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reco_core import (
    Box,
    Layout,
    Region,
    format_prompt,
    layout_from_boxes,
    layout_from_elements,
    layout_to_boxes,
    layout_to_elements,
    read_layout,
)

HORSE = Region("brown horse", Box(0.25, 0.5, 0.75, 1.0), color="#AA0000")
PARK = Layout("a park", (HORSE,), 512, 256)
ELEMENT = {
    "type": "obj",
    "bbox": [500, 250, 1000, 750],
    "desc": "brown horse",
    "color_palette": ["#AA0000", "#00ff00"],
}
GRID = st.integers(0, 1000)
WORDS = st.text(st.sampled_from("ab \"'\n字"), min_size=1).filter(str.strip)
COLORS = st.from_regex(r"#[0-9A-F]{6}", fullmatch=True)


@st.composite
def elements(draw):
    y0, y1 = sorted((draw(GRID), draw(GRID)))
    x0, x1 = sorted((draw(GRID), draw(GRID)))
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


# Any written form


@pytest.mark.parametrize(
    "text",
    [
        PARK.to_json(),
        json.dumps({"caption": "a park", "elements": [ELEMENT]}),
        "a park <250> <500> <750> <1000> brown horse",
        f"\n {PARK.to_json()}",
    ],
)
def test_every_written_form_is_read(text):
    layout = read_layout(text, 512, 256)
    assert (layout.caption, layout.width, layout.height) == ("a park", 512, 256)
    assert layout.regions[0].text == "brown horse"
    assert layout.regions[0].box == HORSE.box


def test_the_ports_prompt_is_read_to_its_bins():
    prompt = format_prompt(PARK, "diffusers")
    assert format_prompt(read_layout(prompt, 8, 8), "diffusers") == prompt


def test_a_list_of_elements_has_no_caption_and_the_given_size():
    layout = read_layout(json.dumps([ELEMENT]), 64, 32)
    assert layout == Layout("", (HORSE,), 64, 32)


def test_a_layouts_json_keeps_its_size():
    assert read_layout(PARK.to_json(), 64, 32) == PARK


@pytest.mark.parametrize("text", ["[red] dog", "[" * 10_000])
def test_a_caption_may_begin_with_a_bracket(text):
    assert read_layout(text, 8, 8).caption == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "element 1 is not a layout element.*got 1"),
        ('{"caption": "a dog"', "not JSON"),
        ('{"nodes": []}', "not a layout"),
        ('{"elements": {}}', "elements must be a list"),
        ('{"elements": [], "caption": 3}', "caption 3 is not a text"),
        ('[{"bbox": [0, 0, NaN, 1], "desc": "a"}]', "NaN in JSON"),
        ('{"a": ' * 100_000, "nested too deeply|not JSON"),
    ],
)
def test_text_that_is_no_layout_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        read_layout(text, 512, 512)
    assert "\n" not in str(refusal.value)


# ComfyUI's elements


@given(st.lists(elements(), max_size=4))
def test_elements_survive_the_way_through_a_layout(items):
    assert layout_to_elements(layout_from_elements(items)) == items


def test_an_elements_box_is_rows_before_columns_and_its_color_the_first_of_its_palette():
    assert layout_from_elements([ELEMENT], "a park", 512, 256) == PARK


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
    layout = layout_from_elements([{"bbox": [0, 0, 1, 1], **element}])
    assert layout.regions[0].text == text


def test_an_elements_box_is_ordered_and_cut_at_the_image():
    layout = layout_from_elements([{"bbox": [1200, 600, 500, -50], "desc": "a cat"}])
    assert layout.regions[0].box == Box(0, 0.5, 0.6, 1)


@pytest.mark.parametrize("palette", [[], ["red"], None, "#ffffff", [None, "#12"]])
def test_a_palette_without_a_color_leaves_the_region_without(palette):
    (region,) = layout_from_elements([{**ELEMENT, "color_palette": palette}]).regions
    assert region.color is None


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"bbox": [0, 0, 1, 1]}, r'element 1 has no text: give it a "desc"; got .*bbox'),
        ({"bbox": [0, 0, 1, 1], "desc": " "}, "has no text"),
        ({"bbox": [0, 0, 1, 1], "text": "OPEN"}, "has no text"),
        ({"bbox": [0, 0, 1], "desc": "a"}, r"expected an object like .*\[0, 0, 1\]"),
        ({"desc": "a"}, "is not a layout element"),
        ("a", "is not a layout element.*got 'a'"),
        ({"bbox": [0, math.nan, 1, 1], "desc": "a"}, "bbox number = nan is not a finite number"),
        ({"bbox": [0, "1", 1, 1], "desc": "a"}, "bbox number = '1' is not a finite number"),
        ({"bbox": [0, 1024, 9, 1100], "desc": "a"}, r"outside the image: bbox \[0, 1024, 9, 1100"),
    ],
)
def test_an_element_that_is_none_is_refused(element, message):
    with pytest.raises(ValueError, match=message):
        layout_from_elements([element])


# Bounding boxes


@given(pictures_with_boxes())
def test_pixel_boxes_survive_the_way_through_a_layout(picture):
    width, height, boxes = picture
    layout, outside = layout_from_boxes(boxes, (), "", width, height)
    assert not outside
    got = [
        {k: box[k] for k in ("x", "y", "width", "height", "label")}
        for box in layout_to_boxes(layout)
    ]
    assert got == boxes


@given(st.from_type(Layout))
def test_boxes_bring_back_texts_and_colors(layout):
    again, outside = layout_from_boxes(
        layout_to_boxes(layout), (), layout.caption, layout.width, layout.height
    )
    assert not outside
    assert [(r.text, r.color) for r in again.regions] == [(r.text, r.color) for r in layout.regions]
    assert layout_to_boxes(again) == layout_to_boxes(layout)


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
    layout, _ = layout_from_boxes(boxes, (), "a yard", 100, 100)
    assert [region.text for region in layout.regions] == (["cat"] if boxes != [[], [DOG]] else [])
    assert layout.caption == "a yard"


def test_a_frame_is_chosen_and_boxes_without_frames_are_in_all():
    assert layout_from_boxes([[CAT], [DOG]], (), "", 100, 100, 1)[0].regions[0].text == "dog"
    assert layout_from_boxes([CAT], (), "", 100, 100, 7)[0].regions[0].text == "cat"


def test_nothing_found_is_a_plain_caption():
    assert layout_from_boxes([], ["a cat"], "a yard")[0] == Layout("a yard")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), ["cat", "dog"]),
        (["a tabby", "a poodle"], ["a tabby", "a poodle"]),
        (["a pet"], ["a pet", "a pet"]),
    ],
)
def test_texts_are_one_for_each_box_one_for_all_or_the_boxes_own(texts, expected):
    layout, _ = layout_from_boxes([CAT, DOG], texts, "", 100, 100)
    assert [region.text for region in layout.regions] == expected


def test_metadata_says_more_than_a_label():
    metadata = {"type": "text", "desc": "a sign", "text": "DOG", "palette": ["#010203"]}
    layout, _ = layout_from_boxes({**DOG, "metadata": metadata}, (), "", 100, 100)
    assert layout.regions == (Region('a sign "DOG"', Box(0.5, 0, 1, 1), color="#010203"),)


def test_boxes_are_cut_at_the_image_and_turned_round():
    boxes = [
        {"x": -10, "y": 90, "width": 30, "height": 50},
        {"x": 60, "y": 50, "width": -40, "height": -20},
    ]
    layout, _ = layout_from_boxes(boxes, ["a"], "", 100, 100)
    assert [r.box for r in layout.regions] == [Box(0, 0.9, 0.2, 1), Box(0.2, 0.3, 0.6, 0.5)]


def test_boxes_without_a_pixel_in_the_image_are_returned_by_name():
    boxes = [
        CAT,
        {"x": 100, "y": 0, "width": 9, "height": 9},
        {"x": 5, "y": 5, "width": 0, "height": 9},
        DOG,
    ]
    layout, outside = layout_from_boxes(boxes, ["cat", "far", "flat", "dog"], "", 100, 100)
    assert [region.text for region in layout.regions] == ["cat", "dog"]
    assert outside == {1: "far", 2: "flat"}


def test_a_picture_of_any_size_gives_the_nearest_legal_layout_and_the_same_fractions():
    layout, _ = layout_from_boxes({**CAT, "width": 250, "height": 333}, (), "", 500, 333)
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
