"""Merging, reordering, scaling and flipping layouts."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.arrange import (
    flip_layout,
    merge_layouts,
    region_numbers,
    reorder_regions,
    scale_boxes,
    scale_picture,
    select_regions,
    swap_left_right,
)
from reco_core.control import Control
from reco_core.layout import Box, Layout, Region

LAYOUTS = st.from_type(Layout)


def numbered(count: int) -> Layout:
    box = Box(0.25, 0.25, 0.5, 0.5)
    return Layout("a park", tuple(Region(str(n), box) for n in range(1, count + 1)))


def texts(layout: Layout) -> str:
    return "".join(region.text for region in layout.regions)


def boxes_are_close(a: Layout, b: Layout) -> bool:
    def corners(layout):
        return [region.box.to_pixels(1, 1) for region in layout.regions]

    return all(x == pytest.approx(y) for x, y in zip(corners(a), corners(b), strict=True))


# Merge


@given(LAYOUTS, LAYOUTS)
def test_merging_keeps_all_regions_and_the_firsts_size(first, second):
    merged = merge_layouts(first, second)
    assert merged.regions == first.regions + second.regions
    assert (merged.width, merged.height) == (first.width, first.height)


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [("a park", "at dusk", "a park, at dusk"), ("a park", " ", "a park"), ("", "dusk", "dusk")],
)
def test_captions_are_joined_by_a_comma_unless_empty(first, second, merged):
    assert merge_layouts(Layout(first), Layout(second)).caption == merged


# Reorder


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("3, 1, 2", "3124"),
        ("4-1", "4321"),
        ("2 - 3,1", "2314"),
        ("4", "4123"),
        ("", "1234"),
        ((3, 2), "3214"),
    ],
)
def test_named_regions_come_first_and_the_others_as_they_were(order, expected):
    assert texts(reorder_regions(numbered(4), order)) == expected


@given(LAYOUTS.flatmap(lambda x: st.tuples(st.just(x), st.permutations(range(len(x.regions))))))
def test_reordering_by_any_permutation_keeps_every_region(layout_and_order):
    layout, order = layout_and_order
    reordered = reorder_regions(layout, [n + 1 for n in order])
    assert reordered.regions == tuple(layout.regions[n] for n in order)


def test_selecting_leaves_the_others_out():
    assert texts(select_regions(numbered(4), "4,2")) == "42"


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("5", "no region 5: the layout has 4"),
        ("0", "no region 0"),
        ("1-9", "no region 5"),
        ("2,1,2", "region 2 is named twice in '2,1,2'"),
        ("1;2", "'1;2' in '1;2' is not a region number"),
        ("first", "'first' in 'first' is not a region number"),
        ("-2", "'-2' in '-2' is not a region number"),
        ("1-2-3", "not a region number"),
    ],
)
def test_an_order_that_is_none_is_refused(order, message):
    with pytest.raises(ValueError, match=message):
        reorder_regions(numbered(4), order)


def test_region_numbers_are_read_in_order():
    assert region_numbers(" 10, 3-5 2\n") == (10, 3, 4, 5, 2)


# Scale


def test_a_larger_picture_keeps_its_fractions():
    layout = numbered(2)
    larger = scale_picture(layout, 1.5)
    assert (larger.width, larger.height) == (768, 768)
    assert larger.regions == layout.regions


@given(LAYOUTS, st.floats(0.01, 10))
def test_any_factor_makes_a_legal_size(layout, factor):
    scaled = scale_picture(layout, factor)
    assert abs(scaled.width - layout.width * factor) <= max(4, 8 - layout.width * factor)


def test_boxes_grow_about_their_centres_and_are_cut_at_the_image():
    layout = Layout("", (Region("a", Box(0.25, 0.5, 0.75, 1.0)),))
    assert scale_boxes(layout, 0.5).regions[0].box == Box(0.375, 0.625, 0.625, 0.875)
    assert scale_boxes(layout, 2).regions[0].box == Box(0, 0.25, 1, 1)


@given(LAYOUTS, st.floats(0.01, 10))
def test_scaled_boxes_stay_in_the_image(layout, factor):
    scaled = scale_boxes(layout, factor)
    assert [r.text for r in scaled.regions] == [r.text for r in layout.regions]


@given(LAYOUTS)
def test_a_factor_of_1_changes_nothing(layout):
    assert scale_picture(layout, 1) == layout
    assert boxes_are_close(scale_boxes(layout, 1), layout)


@pytest.mark.parametrize("scale", [scale_boxes, scale_picture])
@pytest.mark.parametrize("factor", [0, -1, math.nan, math.inf])
def test_a_factor_that_is_none_is_refused(scale, factor):
    with pytest.raises(ValueError, match="factor = "):
        scale(numbered(1), factor)


# Flip


def test_a_horizontal_flip_mirrors_boxes_and_swaps_sides_in_words():
    region = Region("the left dog", Box(0, 0.25, 0.25, 1), color="#010203")
    flipped = flip_layout(Layout("a cat right of a dog", (region,)))
    assert flipped.caption == "a cat left of a dog"
    assert flipped.regions == (Region("the right dog", Box(0.75, 0.25, 1, 1), color="#010203"),)


def test_sides_are_swapped_in_what_is_kept_out_of_a_box_too():
    control = Control(strength=2, negative="the left hand")
    layout = Layout("", (Region("a dog", Box(0, 0, 1, 1), control=control),))
    assert flip_layout(layout).regions[0].control == replace(control, negative="the right hand")
    assert flip_layout(layout, swap_words=False).regions[0].control == control
    assert flip_layout(layout, False, True).regions[0].control == control


def test_words_stay_when_asked_and_on_a_vertical_flip():
    layout = Layout("left", (Region("right", Box(0, 0, 0.25, 0.5)),))
    flipped = flip_layout(layout, swap_words=False)
    assert (flipped.caption, flipped.regions[0].text) == ("left", "right")
    upside_down = flip_layout(layout, horizontal=False, vertical=True)
    assert upside_down == Layout("left", (Region("right", Box(0, 0.5, 0.25, 1)),))


@given(LAYOUTS, st.booleans(), st.booleans(), st.booleans())
def test_flipping_twice_is_not_flipping(layout, horizontal, vertical, swap_words):
    once = flip_layout(layout, horizontal, vertical, swap_words)
    twice = flip_layout(once, horizontal, vertical, swap_words)
    assert boxes_are_close(twice, layout)
    assert (twice.caption, texts(twice)) == (layout.caption, texts(layout))


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("a dog left of a cat", "a dog right of a cat"),
        ("Left, RIGHT!", "Right, LEFT!"),
        ("bright leftover copyright", "bright leftover copyright"),
        ("(left:1.2) left-handed", "(right:1.2) right-handed"),
        ("embedding:left-hand left", "embedding:left-hand right"),
        ("the leftmost of three", "the rightmost of three"),
        ("Rightmost, LEFTMOST", "Leftmost, RIGHTMOST"),
        ("leftward, rightwards", "rightward, leftwards"),
        ("a righthand glove, lefthanded", "a lefthand glove, righthanded"),
        ("topleft almostleft utmost leftist", "topleft almostleft utmost leftist"),
        ("", ""),
    ],
)
def test_sides_are_swapped_as_whole_words_with_their_case(text, swapped):
    assert swap_left_right(text) == swapped


@given(
    st.lists(st.sampled_from(["left", "Right", "LEFT", "rIGHT", "bright", " ", "-", "embedding:"]))
)
def test_swapping_twice_gives_the_text_back(pieces):
    text = "".join(pieces)
    assert swap_left_right(swap_left_right(text)) == text
