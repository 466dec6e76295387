"""Choosing a region by its number or its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.choice import choose_region, chosen_region, means_all
from reco_core.layout import Box, Layout, Region

BOX = Box(0, 0, 1, 1)
TEXTS = ("a (brown dog:1.3)", "a dog house", "a cat", "A  Cat on a mat", "12 bees")
LAYOUT = Layout("a park", tuple(Region(text, BOX) for text in TEXTS))


@pytest.mark.parametrize(
    ("choice", "index"),
    [
        ("1", 0),
        (" 5\n", 4),
        ("brown dog", 0),
        ("HOUSE", 1),
        ("a cat", 2),  # the whole text of one, and a part of another's
        ("cat on\na", 3),
        ("12 bees", 4),
    ],
)
def test_a_number_a_text_or_a_part_of_it_chooses_a_region(choice, index):
    assert chosen_region(LAYOUT, choice) == index
    assert choose_region(LAYOUT, choice) == Layout("a park", (LAYOUT.regions[index],))


EVERY = "5, 1 'a (brown dog:1.3)', 2 'a dog house', 3 'a cat', 4 'A  Cat on a mat', 5 '12 bees'"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("dog", "'dog' names 2 regions, 1 'a (brown dog:1.3)', 2 'a dog house': write more of"),
        ("horse", f"there is no region 'horse': the layout has {EVERY}; write one's"),
        ("6", f"there is no region 6: the layout has {EVERY}"),
        ("0", "there is no region 0: the layout has 5"),
        ("12", "there is no region 12"),  # a number is never a text
        (" ", f"no region is chosen: write its number or its text, of {EVERY}"),
    ],
)
def test_what_means_none_or_several_is_refused_with_a_list(choice, message):
    with pytest.raises(ValueError) as refusal:
        chosen_region(LAYOUT, choice)
    assert str(refusal.value).startswith(message)


def test_a_long_list_is_cut_and_an_empty_layout_has_nothing_to_choose():
    many = Layout("", tuple(Region(f"dog {n}", BOX) for n in range(100)))
    with pytest.raises(ValueError, match="names 100 regions.*20 'dog 19' and 80 more") as refusal:
        chosen_region(many, "dog")
    assert len(str(refusal.value)) < 500
    with pytest.raises(ValueError, match="the layout has no regions to choose from"):
        chosen_region(Layout(), "dog")


@given(st.from_type(Layout).filter(lambda layout: layout.regions), st.data())
def test_every_number_chooses_its_region(layout, data):
    number = data.draw(st.integers(1, len(layout.regions)))
    assert chosen_region(layout, str(number)) == number - 1


def test_all_is_empty_or_0():
    assert [means_all(choice) for choice in ("", " ", "0", "1", "all")] == [True] * 3 + [False] * 2
