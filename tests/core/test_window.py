"""Layouts cropped, padded and cut into tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.layout import Box, Layout, Region
from reco_core.mask import Mask
from reco_core.window import (
    MAX_TILES,
    Window,
    check_cut,
    crop_layout,
    pad_layout,
    tile_layout,
    tile_windows,
)

LAYOUTS = st.from_type(Layout)
SHARES = st.floats(0, 1)
SIDES = st.integers(1, 60).map(lambda cells: 8 * cells)


def in_pixels(layout: Layout, dx: float = 0, dy: float = 0) -> list[tuple[float, ...]]:
    boxes = [region.box.to_pixels(layout.width, layout.height) for region in layout.regions]
    return [(x0 + dx, y0 + dy, x1 + dx, y1 + dy) for x0, y0, x1, y1 in boxes]


@st.composite
def cropped(draw) -> tuple[Layout, Window]:
    layout = draw(LAYOUTS)
    width = 8 * draw(st.integers(1, layout.width // 8))
    height = 8 * draw(st.integers(1, layout.height // 8))
    x = draw(st.integers(0, layout.width - width))
    return layout, Window(x, draw(st.integers(0, layout.height - height)), width, height)


def visible_share(box: tuple[float, ...], window: Window) -> float:
    """Of a box in pixels, by another way: the product of what is seen of its sides."""
    share = 1.0
    for low, high, start, size in (
        (box[0], box[2], window.x, window.width),
        (box[1], box[3], window.y, window.height),
    ):
        seen = min(high, start + size) - max(low, start)
        share *= max(0.0, seen / (high - low)) if high > low else float(seen > -1e-6)
    return share


# Crop


@given(cropped(), SHARES)
def test_boxes_are_cut_at_the_window_or_left_out_by_their_visible_share(case, visible):
    layout, window = case
    reading = crop_layout(layout, window, visible)
    seen = reading.layout
    assert (seen.width, seen.height, seen.caption) == (window.width, window.height, layout.caption)
    boxes, left_out = in_pixels(layout), {remark.region for remark in reading.remarks}
    assert sorted([*reading.indices, *left_out]) == list(range(len(boxes)))
    moved = in_pixels(seen, window.x, window.y)
    for index, region, box in zip(reading.indices, seen.regions, moved, strict=True):
        x0, y0, x1, y1 = boxes[index]
        assert visible_share(boxes[index], window) >= visible - 1e-6
        assert box == pytest.approx(
            (
                max(x0, window.x),
                max(y0, window.y),
                min(x1, window.x + window.width),
                min(y1, window.y + window.height),
            ),
            abs=1e-6,
        )
        source = layout.regions[index]
        assert (region.text, region.weight, region.color) == (
            source.text,
            source.weight,
            source.color,
        )
    for index in left_out:
        share = visible_share(boxes[index], window)
        assert share < visible + 1e-6 or share < 1e-6


@given(LAYOUTS, SHARES)
def test_the_whole_picture_is_the_layout_itself(layout, visible):
    reading = crop_layout(layout, Window(0, 0, layout.width, layout.height), visible)
    assert reading.layout == layout and reading.remarks == ()


def test_what_is_left_out_is_told_with_its_share():
    boxes = (Box(0, 0, 0.5, 0.5), Box(0.375, 0, 0.875, 0.5), Box(0.5, 0, 1, 1))
    layout = Layout("pets", tuple(map(Region, ("a cat", "a dog", "a bird"), boxes)), 64, 64)
    reading = crop_layout(layout, Window(0, 0, 32, 32), 0.3)
    assert [region.text for region in reading.layout.regions] == ["a cat"]
    assert reading.layout.regions[0].box == Box(0, 0, 1, 1)
    assert reading.indices == [0]
    assert [remark.message for remark in reading.remarks] == [
        "region 2 ('a dog') is left out: 25 % of it is in the window, less than visible = 0.3: "
        "lower that to keep it.",
        "region 3 ('a bird') is left out: nothing of it is in the window.",
    ]
    assert len(crop_layout(layout, Window(0, 0, 32, 32), 0.25).layout.regions) == 2


def masked(pixels: list[list[int]]) -> Layout:
    """Its mask covers the picture, 16 x 16 pixels; a row has two fractions of 255."""
    mask = Mask.from_fractions(np.array(pixels) / 255)
    return Layout("", (Region("a cat", Box(0, 0, 1, 1), mask=mask),), 16, 16)


def test_a_mask_is_cut_with_its_box_and_its_own_share_counts():
    layout = masked([[255, 0], [255, 255]])
    [region] = crop_layout(layout, Window(0, 0, 16, 8), 0.3).layout.regions
    assert region.mask == Mask(2, 1, bytes([255, 0]))
    assert region.box == Box(0, 0, 1, 1)
    assert not crop_layout(layout, Window(0, 0, 16, 8), 0.34).layout.regions  # a third is there
    [remark] = crop_layout(layout, Window(8, 0, 8, 8), 0).remarks
    assert "nothing of it is in the window" in remark.message


BAD_WINDOWS = [
    ((0, 0, 100, 64), "window width = 100 is not divisible by 8: use 96"),
    ((0, 0, 0, 64), "window width = 0 is not a positive whole number"),
    ((0, 0, 64, 2.5), "window height = 2.5 is not a positive whole number"),
    ((-8, 0, 64, 64), "x = -8 and width = 64 span -8 to 56 px of 0 to 128; move"),
    ((0, 8, 64, 64), "y = 8 and height = 64 span 8 to 72 px of 0 to 64"),
]


@pytest.mark.parametrize(("window", "message"), BAD_WINDOWS)
def test_a_window_that_is_none_is_refused(window, message):
    with pytest.raises(ValueError, match=message):
        crop_layout(Layout(width=128, height=64), Window(*window), 0.5)


@pytest.mark.parametrize("visible", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(visible):
    with pytest.raises(ValueError, match="visible = "):
        crop_layout(Layout(), Window(0, 0, 8, 8), visible)


# Pad


@given(LAYOUTS, st.tuples(SIDES, SIDES, SIDES, SIDES))
def test_padding_keeps_every_box_where_it_is_in_the_picture(layout, sides):
    left, top, right, bottom = sides
    padded = pad_layout(layout, *sides)
    assert padded.width == left + layout.width + right
    assert padded.height == top + layout.height + bottom
    for box, before in zip(in_pixels(padded), in_pixels(layout, left, top), strict=True):
        assert box == pytest.approx(before, abs=1e-6)
    window = Window(left, top, layout.width, layout.height)
    back = crop_layout(padded, window, 0).layout
    assert [region.text for region in back.regions] == [region.text for region in layout.regions]
    for box, before in zip(in_pixels(back), in_pixels(layout), strict=True):
        assert box == pytest.approx(before, abs=1e-6)


def test_padding_by_nothing_changes_nothing_and_masks_come_along():
    layout = masked([[255, 0], [255, 255]])
    assert pad_layout(layout, 0, 0, 0, 0) == layout
    [region] = pad_layout(layout, 8, 0, 8, 0).regions
    assert region.mask == layout.regions[0].mask and region.box == Box(0.25, 0, 0.75, 1)


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ((4, 0, 0, 0), "padded width = 516 is not divisible by 8: use 512"),
        ((0, 0, 0, 12), "padded height = 524 is not divisible by 8: use 528"),
        ((0, -8, 0, 8), "top = -8 is below 0: crop"),
    ],
)
def test_sides_that_cannot_be_are_refused(sides, message):
    with pytest.raises(ValueError, match=message):
        pad_layout(Layout(), *sides)


# Tiles


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 300))
def test_tiles_of_one_size_cover_the_picture_with_at_least_the_overlap(w, h, tw, th, overlap):
    try:
        windows = tile_windows(w, h, tw, th, overlap)
    except ValueError as refusal:
        assert "more than" in str(refusal)
        return
    covered = np.zeros((h, w), bool)
    for window in windows:
        assert window.x >= 0 and window.y >= 0
        assert (window.width, window.height) == (min(tw, w), min(th, h))
        covered[window.y : window.y + window.height, window.x : window.x + window.width] = True
    assert covered.all() and covered.shape == (h, w)
    columns = sorted({window.x for window in windows})
    for left, right in zip(columns, columns[1:], strict=False):
        assert left + tw - right >= min(overlap, int(0.75 * tw))
    assert [(o.y, o.x) for o in windows] == sorted({(o.y, o.x) for o in windows})


@given(LAYOUTS, st.sampled_from([128, 192, 256]), st.sampled_from([0, 32, 64]), SHARES)
def test_every_region_is_in_a_tile_or_told(layout, side, overlap, visible):
    tiles = tile_layout(layout, side, side, overlap, visible)
    seen = {index for reading in tiles.readings for index in reading.indices}
    told = {remark.region for remark in tiles.remarks if remark.region is not None}
    assert seen | told == set(range(len(layout.regions))) and not seen & told
    for window, reading in zip(tiles.windows, tiles.readings, strict=True):
        assert reading == crop_layout(layout, window, visible)


def test_what_tiles_leave_out_is_told():
    boxes = (Box(0, 0, 0.25, 0.25), Box(0.1, 0, 0.55, 0.5), Box(0.25, 0, 0.75, 0.5))
    layout = Layout("", tuple(map(Region, ("a cat", "a dog", "a bird"), boxes)), 256, 256)
    tiles = tile_layout(layout, 128, 128, 0, 0.6)
    assert len(tiles.windows) == 4
    assert [remark.message for remark in tiles.remarks] == [
        "region 3 ('a bird') is in no tile: at most 50 % of it is in one, less than visible = 0.6. "
        "Lower that, or make tiles larger.",
        "left out where a tile has less of it than visible = 0.6: region 2 of tile 2.",
    ]


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ((100, 64, 0), "tile width = 100 is not divisible by 8: use 96"),
        ((64, 64, -1), "overlap = -1 is below 0"),
        ((8, 8, 0), f"256 x 256 tiles are more than {MAX_TILES:,}: make them larger"),
    ],
)
def test_tiles_that_cannot_be_are_refused(sides, message):
    with pytest.raises(ValueError, match=message):
        tile_windows(2048, 2048, *sides)


def test_a_picture_of_another_size_than_the_layout_is_not_cut_with_it():
    layout = Layout("pets", width=320, height=200)
    check_cut(layout, 320, 200)
    with pytest.raises(ValueError, match="picture is 200 x 320 px and the layout 320 x 200"):
        check_cut(layout, 200, 320)
