"""Layouts on images: boxes where they belong, every number to be seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reco_core import Box, Layout, Region, draw_layout
from reco_core.draw import PALETTE, _overlap, _place_labels

GREY = (128, 128, 128)


def grey(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def one_box(box: Box) -> Layout:
    return Layout("", (Region("brown horse", box),))


def rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def pixels_of(image: Image.Image, colour) -> tuple[int, int, int, int]:
    """xyxy of the smallest rectangle that holds all pixels of a colour."""
    ys, xs = np.nonzero((np.asarray(image) == colour).all(axis=2))
    return xs.min(), ys.min(), xs.max() + 1, ys.max() + 1


@pytest.mark.parametrize("size", [(128, 128), (1024, 1024), (768, 512)])
def test_frame_lies_on_the_fractions_of_the_box(size):
    drawn = draw_layout(grey(*size), one_box(Box(0.25, 0.25, 1.0, 0.75)))
    width, height = size
    assert pixels_of(drawn, rgb(PALETTE[0])) == (width // 4, height // 4, width, height * 3 // 4)


def test_region_with_a_color_of_its_own_is_drawn_in_it():
    region = Region("brown horse", Box(0.25, 0.25, 1.0, 0.75), color="#010203")
    drawn = draw_layout(grey(128, 128), Layout("", (region,)))
    assert pixels_of(drawn, (1, 2, 3)) == (32, 32, 128, 96)


def test_image_itself_is_left_alone_and_its_size_kept():
    image = Image.new("RGBA", (200, 96), (1, 2, 3, 255))
    before = image.tobytes()
    drawn = draw_layout(image, one_box(Box(0, 0, 1, 1)))
    assert (drawn.size, drawn.mode) == ((200, 96), "RGB")
    assert image.tobytes() == before


def test_layout_without_regions_draws_nothing():
    assert draw_layout(grey(64, 64), Layout("a park")).tobytes() == grey(64, 64).tobytes()


def test_what_is_in_a_large_box_stays_to_be_seen():
    drawn = np.asarray(draw_layout(grey(128, 128), one_box(Box(0.1, 0.1, 0.9, 0.9))))
    inside = (drawn[13:115, 13:115] == GREY).all(axis=2)
    assert inside.mean() > 0.5


def test_text_is_written_where_there_is_room():
    short, long = (
        draw_layout(grey(512, 512), Layout("", (Region(text, Box(0.1, 0.1, 0.9, 0.9)),)))
        for text in ("a", "a brown horse")
    )
    assert short.tobytes() != long.tobytes()


def test_labels_of_the_same_box_do_not_cover_each_other(font):
    rects = [Box(0.1, 0.1, 0.9, 0.9).covered_pixels(512, 512)] * 4
    labels = _place_labels(["a brown horse in a field"] * 4, rects, (512, 512), font)
    texts = [" ".join(label.lines) for label in labels]
    assert texts == [f"{number} a brown horse in a field" for number in (1, 2, 3, 4)]
    for index, label in enumerate(labels):
        assert not any(_overlap(label.rect, other.rect) for other in labels[:index])


def test_long_text_is_cut_with_dots_and_stays_in_the_image(font):
    text = "a man with a very long coat " * 20
    (label,) = _place_labels([text], [(90, 90, 128, 128)], (128, 128), font)
    assert len(label.lines) == 3 and label.lines[-1].endswith("...")
    assert label.lines[0].startswith("1 a man")
    x0, y0, x1, y1 = label.rect
    assert 0 <= x0 < x1 <= 128 and 0 <= y0 < y1 <= 128


@settings(max_examples=25)
@given(st.from_type(Layout), st.integers(1, 300), st.integers(1, 300))
def test_any_layout_can_be_drawn_on_any_image(layout, width, height):
    assert draw_layout(grey(width, height), layout).size == (width, height)


@pytest.fixture(scope="module")
def font():
    from PIL import ImageFont

    return ImageFont.load_default(10)
