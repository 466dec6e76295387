"""Aspect-ratio buckets keep their area, and covering one cuts little."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.data.buckets import buckets, nearest_bucket, nearest_size

area_sides = st.integers(64, 1024)
steps = st.sampled_from([8, 16, 32, 64])
aspects = st.floats(1, 4)
few = settings(max_examples=50)


def aspect(size):
    return size[0] / size[1]


def cut(picture, size):
    """The share of a picture that is lost when it covers a size."""
    ratio = aspect(picture) / aspect(size)
    return 1 - min(ratio, 1 / ratio)


def test_the_buckets_of_512_are_the_documented_ones():
    assert buckets(512) == [(384, 640), (448, 576), (512, 512), (576, 448), (640, 384)]


@few
@given(area_sides, steps, aspects)
def test_sizes_keep_step_area_and_aspect(area_side, step, max_aspect):
    sizes = buckets(area_side, step, max_aspect)
    least = 1 - step / area_side * max(2, math.sqrt(max_aspect))
    for width, height in sizes:
        assert width % step == height % step == 0
        assert least * area_side**2 <= width * height <= area_side**2
        assert 1 / max_aspect - 1e-9 <= width / height <= max_aspect + 1e-9


@few
@given(area_sides, steps, aspects)
def test_the_square_is_there_and_every_size_also_turned(area_side, step, max_aspect):
    sizes = buckets(area_side, step, max_aspect)
    side = area_side // step * step
    assert (side, side) in sizes
    assert {(height, width) for width, height in sizes} == set(sizes)
    assert len(set(sizes)) == len(sizes)
    assert sorted(sizes, key=aspect) == sizes


@few
@given(area_sides, steps, aspects)
def test_every_bucket_is_nearest_to_itself(area_side, step, max_aspect):
    sizes = buckets(area_side, step, max_aspect)
    assert all(nearest_bucket(*size, sizes) == size for size in sizes)


@few
@given(area_sides, steps, aspects, st.integers(1, 4000), st.integers(1, 4000))
def test_a_picture_loses_no_more_than_the_gap_between_buckets(
    area_side, step, max_aspect, width, height
):
    sizes = buckets(area_side, step, max_aspect)
    chosen = nearest_bucket(width, height, sizes)
    assert cut((width, height), chosen) <= min(cut((width, height), s) for s in sizes) + 1e-9
    gaps = [aspect(high) / aspect(low) for low, high in zip(sizes, sizes[1:], strict=False)]
    inside = aspect(sizes[0]) <= width / height <= aspect(sizes[-1])
    limit = (
        1 - 1 / math.sqrt(max(gaps, default=1))
        if inside
        else 1 - aspect(sizes[-1]) / max(width / height, height / width)
    )
    assert cut((width, height), chosen) <= limit + 1e-9


def test_documented_losses_at_512():
    sizes = buckets(512)
    assert nearest_bucket(1920, 1080, sizes) == (640, 384)
    assert cut((1920, 1080), (640, 384)) == pytest.approx(0.0625)
    losses = [cut((w, 300), nearest_bucket(w, 300, sizes)) for w in range(180, 501)]
    assert max(losses) == pytest.approx(0.122, abs=0.001)


@pytest.mark.parametrize(
    "values, words",
    [
        ((512, 12, 2.0), "bucket_step = 12 is not a positive multiple of 8"),
        ((48, 64, 2.0), "48 pixels are smaller than bucket_step = 64"),
        ((512, 64, 0.5), "max_aspect = 0.5 must be at least 1"),
    ],
)
def test_impossible_buckets_are_a_plain_error(values, words):
    with pytest.raises(ValueError, match=words):
        buckets(*values)


def test_no_bucket_for_an_empty_picture():
    with pytest.raises(ValueError, match="0 x 5 pixels"):
        nearest_bucket(0, 5, [(64, 64)])


SIZES = [(160, 160), (240, 240), (128, 192), (192, 288)]


@pytest.mark.parametrize(
    ("picture", "bucket"),
    [
        ((160, 160), (160, 160)),
        ((170, 150), (160, 160)),
        ((250, 230), (240, 240)),
        ((4000, 4000), (240, 240)),
        ((2000, 3000), (192, 288)),
        ((100, 160), (128, 192)),
    ],
)
def test_buckets_given_by_size_take_what_is_nearest_in_shape_and_then_in_area(picture, bucket):
    assert nearest_size(*picture, SIZES) == bucket
