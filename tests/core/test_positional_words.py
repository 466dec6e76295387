"""Regions in words, as the released code of the paper writes its baseline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.layout import Box, Layout, Region
from reco_core.positional_words import in_words, positional_words
from reco_core.sequence import build_sequence


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0.0, 0.0, 0.3, 0.3), "large square in the top left"),
        ((0.4, 0.0, 0.6, 0.1), "medium square in the top"),
        ((0.4, 0.4, 0.6, 0.6), "large square in the center"),
        ((0.7, 0.4, 0.75, 0.6), "medium tall in the right"),
        ((0.0, 0.9, 0.6, 1.0), "large long in the bottom left"),
        ((0.9, 0.9, 0.95, 0.95), "small square in the bottom right"),
    ],
)
def test_a_box_in_words(box, words):
    assert positional_words(Box(*box)) == words


@given(st.tuples(*[st.integers(0, 8)] * 4))
def test_mirrored_boxes_have_mirrored_words(corners):
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    mirrored = {"left": "right", "right": "left"}
    words = positional_words(Box(x0 / 8, y0 / 8, x1 / 8, y1 / 8)).split()
    other = positional_words(Box(1 - x1 / 8, y0 / 8, 1 - x0 / 8, y1 / 8)).split()
    assert [mirrored.get(word, word) for word in words] == other


def test_each_region_is_a_text_of_its_own_without_position_tokens():
    layout = Layout("two dogs", (Region("a dog", Box(0, 0, 0.3, 0.3)),) * 2)

    def words(text):
        return ["BOS", *text.split(), "EOS"]

    sequence = build_sequence(in_words(layout), words, 30, None)
    region = ["BOS", *"large square in the top left, a dog".split(), "EOS"]
    assert sequence.ids[: sequence.used] == ["BOS", "two", "dogs", "EOS", *region, *region]
    assert sequence.region_spans == ((4, 14), (14, 24))
