"""Boxes, regions, layouts and their JSON."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.layout import Box, Layout, Region

HORSE = Region("brown horse", Box(0.25, 0.5, 0.75, 1.0))


@given(st.from_type(Box))
def test_box_stays_inside_the_pixels_of_any_image(box: Box):
    x0, y0, x1, y1 = box.to_pixels(640, 480)
    assert 0 <= x0 <= x1 <= 640 and 0 <= y0 <= y1 <= 480
    assert box.area * 640 * 480 == pytest.approx((x1 - x0) * (y1 - y0))


@given(
    st.integers(1, 4096).flatmap(
        lambda size: st.tuples(st.just(size), st.integers(0, size - 1), st.integers(1, size))
    )
)
def test_pixels_survive_the_way_through_fractions(size_start_length):
    size, start, length = size_start_length
    length = min(length, size - start)
    box = Box.from_pixels(start, start, length, length, size, size)
    corners = (start, start, start + length, start + length)
    assert box.to_pixels(size, size) == pytest.approx(corners)
    assert not box.is_empty


def test_box_may_reach_the_border_when_its_sum_has_a_rounding_error():
    x, width = 3.3000000000000003, 6.700000000000001
    assert x + width > 10
    assert Box.from_pixels(x, 0, width, 10, 10, 10).x1 == 1.0


def test_box_of_zero_size_is_legal_but_empty():
    assert Box(0.5, 0.5, 0.5, 0.5).is_empty
    assert not Box(0, 0, 1, 1).is_empty


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ((math.nan, 0, 1, 1), "x0 = nan is not a finite number"),
        ((0, 0, math.inf, 1), "x1 = inf is not a finite number"),
        ((0, 0, 1, 1.2), r"y1 = 1\.2 is outside the image"),
        ((-0.1, 0, 1, 1), r"x0 = -0\.1 is outside the image"),
        ((0.6, 0, 0.5, 1), r"inverted: x0 = 0\.6 is greater than x1 = 0\.5"),
        ((0, 0.6, 1, 0.5), r"inverted: y0 = 0\.6 is greater than y1 = 0\.5"),
        (("0", 0, 1, 1), "x0 = '0' is not a finite number"),
        ((True, 0, 1, 1), "x0 = True is not a finite number"),
    ],
)
def test_box_that_is_none_is_refused_with_its_value(corners, message):
    with pytest.raises(ValueError, match=message):
        Box(*corners)


@pytest.mark.parametrize(
    ("xywh", "message"),
    [
        ((0, 0, 0, 10), "width = 0 px must be greater than 0"),
        ((0, 0, 10, -5), "height = -5 px must be greater than 0"),
        ((-1, 0, 10, 10), "leaves the image: x = -1"),
        ((0, 60, 10, 10), "y = 60 and height = 10 span 60 to 70 px of 0 to 64"),
        ((math.nan, 0, 10, 10), "x = nan is not a finite number"),
        ((0, 0, math.inf, 10), "width = inf is not a finite number"),
    ],
)
def test_entered_box_that_is_empty_or_outside_is_refused(xywh, message):
    with pytest.raises(ValueError, match=message):
        Box.from_pixels(*xywh, 64, 64)


@pytest.mark.parametrize("text", ["", "  \n\t", None])
def test_region_needs_a_text(text):
    with pytest.raises(ValueError, match="is empty|is not a text"):
        Region(text, HORSE.box)


@pytest.mark.parametrize("weight", [math.nan, math.inf, "1"])
def test_region_needs_a_finite_weight(weight):
    with pytest.raises(ValueError, match="weight of region 'brown horse'"):
        Region("brown horse", HORSE.box, weight)


@pytest.mark.parametrize("color", ["red", "#fff", "#12345g", "#1234567", 7, ""])
def test_region_needs_a_color_that_can_be_drawn(color):
    with pytest.raises(ValueError, match="is not a color: write it as #rrggbb"):
        Region("brown horse", HORSE.box, color=color)


@pytest.mark.parametrize("size", [0, -8, 512.0, True, "512", None])
def test_layout_size_must_be_whole_and_positive(size):
    with pytest.raises(ValueError, match="not a positive whole number of pixels"):
        Layout(width=size)


@pytest.mark.parametrize(("size", "near"), [(500, 496), (3, 8), (513, 512)])
def test_layout_size_must_be_divisible_by_8_and_the_error_names_the_nearest(size, near):
    with pytest.raises(ValueError, match=f"height = {size} is not divisible by 8: use {near}"):
        Layout(height=size)


def test_regions_are_kept_in_order_and_cannot_be_changed_behind_a_layout():
    regions = [HORSE]
    layout = Layout("a park", regions)
    regions.clear()
    cat = Region("a cat", HORSE.box)
    assert layout.regions == (HORSE,)
    assert layout.with_region(cat).regions == (HORSE, cat)
    assert layout.regions == (HORSE,)


@given(st.from_type(Layout))
def test_json_round_trip_is_exact(layout: Layout):
    assert Layout.from_json(layout.to_json()) == layout


def test_json_of_other_tools_may_carry_more_and_less():
    text = json.dumps(
        {
            "caption": "a park",
            "author": "me",
            "regions": [{"text": "x", "box": [0, 0, 1, 1], "id": 7}],
        }
    )
    assert Layout.from_json(text) == Layout("a park", (Region("x", Box(0, 0, 1, 1)),))


def test_500_regions_are_read():
    layout = Layout("many", (HORSE,) * 500)
    assert Layout.from_json(layout.to_json()) == layout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a park", "not JSON: Expecting value.*a park"),
        ("", "not JSON"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ("[]", r"not a layout: expected an object like .*regions.* got \[\]"),
        ("3", "not a layout"),
        ('{"boxes": []}', "not a layout"),
        ('{"caption": "a", "version": 2}', "version 2 is newer than this ReCo reads"),
        ('{"caption": "a", "version": "x"}', "version 'x' is not a version"),
        ('{"caption": 5}', "caption 5 is not a text"),
        ('{"regions": {}}', "regions must be a list"),
        ('{"regions": ["x"]}', 'region 1 must be an object with "text" and "box"'),
        ('{"regions": [{"text": "x"}]}', 'region 1 must be an object with "text" and "box"'),
        ('{"regions": [{"text": "x", "box": [0, 0, 1]}]}', "region 1: box must be four numbers"),
        ('{"regions": [{"text": "x", "box": [0, 0, NaN, 1]}]}', "NaN in JSON"),
        ('{"regions": [{"text": "x", "box": [0, 0, -Infinity, 1]}]}', "-Infinity in JSON"),
        ('{"regions": [{"text": "x", "box": [0, 0, 1e999, 1]}]}', "region 1: box x1 = inf"),
        ('{"regions": [{"text": "x", "box": [0.9, 0, 0.1, 1]}]}', "region 1: box is inverted"),
        ('{"regions": [{"text": " ", "box": [0, 0, 1, 1]}]}', "region 1: region text ' ' is empty"),
        ('{"caption": "a", "width": 500}', "width = 500 is not divisible by 8: use 496"),
    ],
)
def test_json_that_is_no_layout_is_refused_with_the_cause(text, message):
    with pytest.raises(ValueError, match=message):
        Layout.from_json(text)
