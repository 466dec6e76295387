"""Layouts on images: boxes where they belong, every number to be seen."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reco_core.draw import PALETTE, WORD_COLORS, _overlap, _place_labels, _Type, draw_layout
from reco_core.layout import Box, Layout, Region

GREY = (128, 128, 128)


def grey(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def one_box(box: Box, text: str = "brown horse") -> Layout:
    return Layout("", (Region(text, box),))


def rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def pixels_of(image: Image.Image, colour) -> tuple[int, int, int, int]:
    """xyxy of the smallest rectangle that holds all pixels of a colour."""
    ys, xs = np.nonzero((np.asarray(image) == colour).all(axis=2))
    return xs.min(), ys.min(), xs.max() + 1, ys.max() + 1


@pytest.mark.parametrize("size", [(128, 128), (1024, 1024), (768, 512)])
def test_frame_lies_on_the_fractions_of_the_box(size):
    drawn = draw_layout(grey(*size), one_box(Box(0.25, 0.25, 1.0, 0.75), "horse"))
    width, height = size
    assert pixels_of(drawn, rgb(PALETTE[0])) == (width // 4, height // 4, width, height * 3 // 4)


def test_a_region_is_drawn_in_the_color_that_its_text_names():
    drawn = draw_layout(grey(128, 128), one_box(Box(0.25, 0.25, 1.0, 0.75)))
    assert pixels_of(drawn, rgb(WORD_COLORS["brown"]))[:2] == (32, 32)


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


def crowd(count: int, text: str, seed: int = 0) -> Layout:
    """Boxes of all sizes anywhere."""
    corners = np.sort(np.random.default_rng(seed).random((count, 2, 2)), axis=1)
    boxes = [Box(x0, y0, x1, y1) for (x0, y0), (x1, y1) in corners.tolist()]
    return Layout("", tuple(Region(text, box) for box in boxes))


MUCH = {
    "2,000 boxes": crowd(2000, "a brown horse in a wide field of grass by the sea"),
    "2,000 small boxes": Layout(
        "",
        tuple(
            Region(
                f"thing {i}", Box(i % 45 / 45, i // 45 / 45, (i % 45 + 1) / 45, (i // 45 + 1) / 45)
            )
            for i in range(2000)
        ),
    ),
    "one word of 10,000 letters": one_box(Box(0.1, 0.1, 0.5, 0.5), "x" * 10_000),
    "10,000 letters in words": one_box(Box(0, 0, 1, 1), "ab " * 3_333),
    "20,000 Chinese characters": one_box(Box(0.9, 0.9, 1, 1), "字" * 20_000),
    "long labels one upon the other": Layout("", (Region("x" * 9_000, Box(0, 0, 1, 1)),) * 10),
}


@pytest.mark.parametrize("case", MUCH)
def test_thousands_of_boxes_or_letters_are_drawn_in_a_second(case):
    started = time.process_time()
    drawn = draw_layout(grey(512, 512), MUCH[case])
    assert time.process_time() - started < 2  # twice what it may take, for a slow machine
    assert drawn.tobytes() != grey(512, 512).tobytes()


def test_a_long_label_shows_the_longest_beginning_that_has_room(font):
    text = "x" * 10_000
    [label] = _place_labels([text], [(0, 0, 200, 200)], (512, 512), font)
    [number, shown] = label.lines
    assert number == "1" and shown.endswith("x...")
    room = max(200, round(0.4 * 512)) - 2 * font.padding
    assert font.width(shown) <= room < font.width(f"x{shown}")


def test_drawing_ends_when_it_is_told_to():
    seen = []

    def stop(index):
        seen.append(index)
        if index == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        draw_layout(grey(64, 64), crowd(2000, "a"), on_region=stop)
    assert seen == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def font():
    from PIL import ImageFont

    return _Type(ImageFont.load_default(10))
