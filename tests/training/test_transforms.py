"""Boxes follow pixels; words follow mirrors; draws depend on their generator alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from reco_core.layout import Box, Region
from train.data.transforms import (
    View,
    draw_regions,
    draw_view,
    drop_words,
    largest_regions,
    view_sample,
)

few = settings(max_examples=50)

sides = st.integers(20, 150)
targets = st.tuples(st.integers(16, 80), st.integers(16, 80))
seeds = st.integers(0, 2**32)
crops = st.sampled_from(["random", "centre"])


def drawn_view(seed, width, height, target, crop="random", flip_share=0.5):
    return draw_view(np.random.default_rng(seed), width, height, target, crop, flip_share)


@st.composite
def intervals(draw):
    low, high = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    return low, high


@st.composite
def boxes(draw):
    (x0, x1), (y0, y1) = draw(intervals()), draw(intervals())
    return Box(x0, y0, x1, y1)


def painted_bounds(image):
    """xyxy of the pixels that are more white than black, or None."""
    rows, columns = np.nonzero(np.asarray(image) > 127)
    if not len(rows):
        return None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@few
@given(sides, sides, targets, seeds, crops, boxes())
def test_the_moved_box_bounds_what_was_painted_in_it(width, height, target, seed, crop, box):
    x0, y0, x1, y1 = pixels = box.covered_pixels(width, height)
    picture = np.zeros((height, width), np.uint8)
    picture[y0:y1, x0:x1] = 255
    view = drawn_view(seed, width, height, target, crop)
    seen = view.apply(Image.fromarray(picture))
    assert seen.size == target

    moved = view.box(Box(*np.divide(pixels, (width, height, width, height))))
    expected = moved and moved.to_pixels(*target)
    if expected and min(expected[2] - expected[0], expected[3] - expected[1]) >= 2:
        assert painted_bounds(seen) == pytest.approx(expected, abs=1)
    elif moved is None:
        bounds = painted_bounds(seen)
        assert bounds is None or min(bounds[2] - bounds[0], bounds[3] - bounds[1]) <= 1


def noise(seed, width, height, low=0, high=256):
    pixels = np.random.default_rng(seed).integers(low, high, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


@few
@given(sides, sides, targets, seeds)
def test_a_view_is_the_crop_of_the_resized_picture(width, height, target, seed):
    picture = noise(seed, width, height, 100, 156)  # with room for bicubic overshoot
    view = drawn_view(seed, width, height, target)
    whole = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.flipped else picture
    left, top = view.corner
    resized = whole.resize(view.resized, Image.Resampling.BICUBIC)
    expected = resized.crop((left, top, left + target[0], top + target[1]))
    difference = np.asarray(view.apply(picture), int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 2  # rounding of the kernel's place


@few
@given(sides, sides, targets, seeds, crops)
def test_the_resized_picture_covers_the_target_and_fits_it_on_one_axis(
    width, height, target, seed, crop
):
    view = drawn_view(seed, width, height, target, crop)
    room = np.subtract(view.resized, target)
    assert min(room) == 0
    assert all(0 <= offset <= side for offset, side in zip(view.corner, room, strict=True))
    if crop == "centre":
        assert view.corner == tuple(room // 2)


def test_the_short_side_comes_to_size_and_the_long_side_in_proportion():
    view = drawn_view(0, 640, 480, (512, 512), "centre", flip_share=0)
    assert view == View(False, (683, 512), (85, 0), (512, 512))


def test_flips_and_corners_are_drawn_evenly():
    views = [drawn_view(seed, 30, 20, (20, 20)) for seed in range(600)]
    assert sum(view.flipped for view in views) / 600 == pytest.approx(0.5, abs=0.08)
    corners = np.bincount([view.corner[0] for view in views], minlength=11)
    assert len(corners) == 11 and corners.min() > 25
    assert not any(drawn_view(seed, 30, 20, (20, 20), flip_share=0).flipped for seed in range(50))
    assert all(drawn_view(seed, 30, 20, (20, 20), flip_share=1).flipped for seed in range(50))


@few
@given(sides, sides, targets, seeds, crops)
def test_the_same_generator_draws_the_same_view(width, height, target, seed, crop):
    first, again = (drawn_view(seed, width, height, target, crop) for _ in range(2))
    assert first == again


@few
@given(sides, sides, seeds, boxes())
def test_flipping_twice_changes_nothing(width, height, seed, box):
    assume(box.x1 - box.x0 > 1e-9 and box.y1 - box.y0 > 1e-9)
    flip = View(True, (width, height), (0, 0), (width, height))
    picture = noise(seed, width, height)
    assert flip.apply(flip.apply(picture)).tobytes() == picture.tobytes()
    regions = (Region("right of the left hand", box),)
    caption, again = view_sample(*view_sample("Left, bright", regions, flip), flip)
    assert (caption, again[0].text) == ("Left, bright", "right of the left hand")
    corners = (again[0].box.x0, again[0].box.y0, again[0].box.x1, again[0].box.y1)
    assert corners == pytest.approx((box.x0, box.y0, box.x1, box.y1), abs=1e-12)


@few
@given(sides, sides, targets, seeds, crops, boxes())
def test_the_visible_share_is_the_area_that_stays(width, height, target, seed, crop, box):
    view = drawn_view(seed, width, height, target, crop)
    share, moved = view.visible_share(box), view.box(box)
    assert 0 <= share <= 1
    if moved is not None:
        seen = moved.area * np.prod(target) / np.prod(view.resized)
        assert seen == pytest.approx(share * box.area, rel=1e-6, abs=1e-9)


def test_a_box_that_is_wholly_seen_stays_at_any_minimum():
    for seed in range(200):
        x0, x1, y0, y1 = np.random.default_rng(seed).random(4)
        box = Box(*np.minimum((x0, y0), (x1, y1)), *np.maximum((x0, y0), (x1, y1)))
        for flipped in (False, True):
            view = View(flipped, (512, 512), (0, 0), (512, 512))
            assert view_sample("", (Region("a cat", box),), view, min_visible=1.0)[1]


def test_regions_are_left_out_below_the_minimum_and_at_zero_area():
    half, whole, outside, line = (
        Region("half", Box(0.25, 0, 0.75, 1)),
        Region("whole", Box(0, 0, 0.5, 1)),
        Region("outside", Box(0.5, 0, 1, 1)),
        Region("line", Box(0.1, 0, 0.1, 1)),
    )
    left_half = View(False, (200, 100), (0, 0), (100, 100))

    def names(min_visible):
        _, regions = view_sample("", (half, whole, outside, line), left_half, min_visible)
        return [region.text for region in regions]

    assert names(0.0) == names(0.5) == ["half", "whole"]
    assert names(0.51) == ["whole"]


def test_mirrored_words_swap_in_caption_and_texts_and_never_inside_words():
    view = View(True, (100, 100), (0, 0), (100, 100))
    regions = (
        Region("left of the right hand", Box(0, 0, 0.25, 1), weight=1.2),
        Region("a bright leftover", Box(0.5, 0, 1, 1)),
    )
    before = copy.deepcopy(regions)
    caption, mirrored = view_sample("A bright dog on the LEFT", regions, view)
    assert caption == "A bright dog on the RIGHT"
    assert mirrored == (
        Region("right of the left hand", Box(0.75, 0, 1, 1), weight=1.2),
        Region("a bright leftover", Box(0, 0, 0.5, 1)),
    )
    assert regions == before
    plain = View(False, (100, 100), (0, 0), (100, 100))
    assert view_sample("on the LEFT", regions, plain) == ("on the LEFT", regions)


def squares(*sides):
    return tuple(Region(f"{side} wide", Box(0, 0, side, side)) for side in sides)


def test_regions_are_drawn_by_the_root_of_their_area():
    regions = squares(0.1, 0.2, 0.3, 0.4)  # the root of a square's area is its side
    first = [draw_regions(np.random.default_rng(i), regions, 1)[0] for i in range(2000)]
    shares = [first.count(region) / 2000 for region in regions]
    assert shares == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.04)


@few
@given(st.lists(boxes(), max_size=30), st.integers(0, 25), seeds)
def test_at_most_the_limit_is_drawn_without_repeats_and_nothing_stored_changes(found, limit, seed):
    regions = [Region(f"region {i}", box) for i, box in enumerate(found)]
    before = list(regions)
    drawn = draw_regions(np.random.default_rng(seed), regions, limit)
    again = draw_regions(np.random.default_rng(seed), regions, limit)
    assert drawn == again
    assert regions == before
    assert len(set(drawn)) == len(drawn) == min(limit, len(regions))
    assert set(drawn) <= set(regions)


def test_regions_without_area_are_drawn_last():
    line = Region("line", Box(0.2, 0.2, 0.2, 0.9))
    regions = (line, *squares(0.001, 0.002))
    for seed in range(50):
        assert draw_regions(np.random.default_rng(seed), regions, 20)[-1] == line
        assert line not in draw_regions(np.random.default_rng(seed), regions, 2)


def test_the_largest_regions_keep_their_stored_order():
    regions = squares(0.2, 0.1, 0.4, 0.3)
    assert largest_regions(regions, 2) == (regions[2], regions[3])
    assert largest_regions(regions, 3) == (regions[0], regions[2], regions[3])
    assert largest_regions(regions, 9) == regions


def test_dropout_leaves_out_text_caption_and_regions_in_their_shares():
    regions = squares(0.1, 0.2, 0.3, 0.4)

    def texts(**shares):
        return [drop_words(np.random.default_rng(i), "c", regions, **shares) for i in range(2000)]

    assert set(texts()) == {("c", regions)}
    assert set(texts(text_dropout=1.0)) == {("", ())}
    assert set(texts(caption_dropout=1.0)) == {("", regions)}
    assert set(texts(region_dropout=1.0)) == {("c", ())}
    assert set(texts(layout_dropout=1.0)) == {("c", ())}
    apart = texts(caption_dropout=0.3, layout_dropout=0.3)
    assert set(apart) == {("c", regions), ("", regions), ("c", ())}  # never both
    assert sum(not kept for _, kept in apart) / 2000 == pytest.approx(0.3, abs=0.04)
    empty = sum(text == ("", ()) for text in texts(text_dropout=0.1)) / 2000
    assert empty == pytest.approx(0.1, abs=0.03)
    kept = np.mean([len(kept) for _, kept in texts(region_dropout=0.25)])
    assert kept == pytest.approx(3, abs=0.1)


def test_an_unknown_crop_or_an_empty_side_is_a_plain_error():
    with pytest.raises(ValueError, match='"random" or "centre"'):
        drawn_view(0, 40, 30, (20, 20), crop="middle")
    with pytest.raises(ValueError, match="40 x 0 at 20 x 20"):
        drawn_view(0, 40, 0, (20, 20))
