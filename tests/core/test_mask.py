"""Masks of regions: they go with their boxes, whatever becomes of a layout."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.arrange import (
    flip_layout,
    merge_layouts,
    reorder_regions,
    scale_boxes,
    scale_picture,
)
from reco_core.checks import read_json
from reco_core.draw import draw_layout
from reco_core.drawing import fingerprint, read_drawing, to_drawing
from reco_core.forms.table import FORMS, read_layout, write_layout
from reco_core.layout import Box, Layout, Region
from reco_core.mask import Mask

CORNER = Mask(3, 2, bytes([255, 0, 0, 255, 255, 255]))
BOX = Box(0.25, 0.25, 0.75, 0.75)
RING = Region("a ring", BOX, 1.0, "#aabbcc", CORNER)
PETS = Layout("pets", (RING, Region("a cat", Box(0, 0, 0.5, 0.5))), 64, 64)


@st.composite
def masks(draw) -> Mask:
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    pixels = draw(st.binary(min_size=width * height, max_size=width * height).filter(any))
    return Mask(width, height, pixels)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 2, b""), "mask width = 0 is not a positive whole number"),
        ((2, 20_000, b""), "mask height = 20000 is too large: at most 16,384"),
        ((2, 2, b"abc"), "a mask of 2 x 2 pixels needs as many bytes, got b'abc'"),
        ((2, 2, [1, 1, 1, 1]), "needs as many bytes"),
        ((2, 1, bytes(2)), "the mask is empty: leave its region out"),
    ],
)
def test_what_is_no_mask_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Mask(*values)


def test_numbers_from_0_to_1_become_a_mask_and_none_of_them_is_lost():
    values = np.array([[0.0, 0.001, 0.5], [1.0, 7.0, np.nan]])
    assert Mask.from_fractions(values).pixels == bytes([0, 1, 128, 255, 255, 0])


def test_a_full_mask_is_all_of_the_box_as_is_none():
    assert Region("a", BOX, mask=Mask(2, 1, b"\xff\xff")) == Region("a", BOX)


def test_a_region_takes_nothing_else_for_a_mask():
    with pytest.raises(ValueError, match="mask 'round' is not a Mask"):
        Region("a", BOX, mask="round")


def test_masks_beyond_the_limit_are_refused_together(monkeypatch):
    monkeypatch.setattr("reco_core.layout.MAX_MASK_PIXELS", 17)
    two = PETS.with_region(RING)
    assert len(two.regions) == 3
    with pytest.raises(ValueError, match="3 masks have 18 pixels together, more than the 17"):
        two.with_region(RING)


def test_its_pixels_stay_out_of_messages():
    assert repr(CORNER) == "Mask(width=3, height=2)"


@given(masks(), st.booleans(), st.booleans())
def test_flipping_twice_changes_nothing(mask, horizontal, vertical):
    layout = Layout("", (Region("a", BOX, mask=mask),))
    flipped = flip_layout(layout, horizontal, vertical)
    assert flip_layout(flipped, horizontal, vertical) == layout


def test_a_flip_mirrors_the_mask():
    assert flip_layout(PETS).regions[0].mask.pixels == bytes([0, 0, 255, 255, 255, 255])
    upright = flip_layout(PETS, horizontal=False, vertical=True).regions[0]
    assert upright.mask.pixels == bytes([255, 255, 255, 255, 0, 0])


def test_merged_reordered_and_scaled_layouts_keep_it():
    assert merge_layouts(Layout("a"), PETS).regions == PETS.regions
    assert reorder_regions(PETS, "2").regions[1] == RING
    assert scale_picture(PETS, 2).regions == PETS.regions
    assert scale_boxes(PETS, 1.5).regions[0].mask == CORNER


@given(masks(), st.floats(1, 4))
def test_of_a_box_that_is_cut_the_mask_is_cut_too(mask, factor):
    """What is seen at any place of the picture is what was there when nothing is cut."""
    region = Region("a", Box(0, 0, 0.5, 0.5), mask=mask)
    try:
        [cut] = scale_boxes(Layout("", (region,), 512, 512), factor).regions
    except ValueError as error:
        assert "nothing of the mask of region 1 ('a') stays" in str(error)
        return
    shape = mask.sized(1000, 1000) > 0
    low = round(1000 * (0.25 * factor - 0.25) / (0.5 * factor))
    kept = shape[low:, low:]
    part = (cut.mask or Mask(1, 1, b"\xff")).sized(*reversed(kept.shape)) > 0
    margin = 1 / min(mask.width, mask.height) + 0.01  # cut to the nearest pixel of the mask
    assert abs(part.mean() - kept.mean()) <= 2 * margin


def test_scaling_that_leaves_nothing_of_a_mask_is_refused():
    left = Region("a wall", Box(0, 0, 0.5, 1), mask=Mask(4, 1, bytes([9, 0, 0, 0])))
    with pytest.raises(ValueError, match=r"mask of region 1 \('a wall'\) stays .* scaled by 3"):
        scale_boxes(Layout("", (left,)), 3)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_no_written_form_loses_a_mask_in_silence(form):
    said = [remark.message for remark in write_layout(PETS, form.name).remarks]
    assert any("asks" in message and "masks" in message.lower() for message in said), said
    plain = write_layout(Layout("pets", PETS.regions[1:], 64, 64), form.name)
    assert form.read is None or not any("Masks" in remark.message for remark in plain.remarks)


def test_a_text_that_names_a_mask_is_read_without_it_and_says_so():
    reading = read_layout(json.dumps(to_drawing(PETS)), 64, 64)
    assert [region.mask for region in reading.layout.regions] == [None, None]
    [remark] = reading.remarks
    assert remark.message == "'mask' of region 1 is left out: a text cannot hold it."


def drawn(layout: Layout, **changes) -> str:
    """The editor's text of a layout, its first region changed."""
    data = to_drawing(layout)
    data["regions"][0] |= changes
    data["incoming"] = fingerprint(layout)
    return json.dumps(data)


def test_a_mask_makes_another_layout():
    bare = Layout("pets", (Region("a ring", BOX, 1.0, "#aabbcc"), PETS.regions[1]), 64, 64)
    other = Layout("pets", (PETS.regions[1], RING), 64, 64)
    assert len({fingerprint(layout) for layout in (PETS, bare, other)}) == 3
    assert PETS != bare


@pytest.mark.parametrize("change", [{}, {"text": "a wheel"}, {"box": [0, 0, 0.5, 0.25]}])
def test_what_is_changed_in_the_editor_keeps_its_mask(change):
    reading, begun_with = read_drawing(drawn(PETS, **change), 64, 64, PETS)
    assert begun_with == fingerprint(PETS) and reading.remarks == ()
    assert [region.mask for region in reading.layout.regions] == [CORNER, None]


def test_a_mask_that_the_editor_no_longer_gets_is_told():
    reading, _ = read_drawing(drawn(PETS), 64, 64)
    assert reading.layout.regions[0].mask is None
    [remark] = reading.remarks
    assert (remark.kind, remark.region) == ("lost", 0)
    assert remark.message.startswith("region 1 has lost its mask, which came by the layout input")


def test_the_editors_text_is_a_layout_for_who_knows_no_masks():
    assert Layout.from_data(read_json(drawn(PETS))).caption == "pets"


def test_its_outline_is_drawn():
    from PIL import Image

    grey = Image.new("RGB", (400, 400), (128, 128, 128))
    large = Layout("", (Region("a", Box(0.25, 0.25, 0.75, 0.75), 1.0, "#010203", CORNER),))
    picture = np.asarray(draw_layout(grey, large))
    line = (picture == (1, 2, 3)).all(axis=2)
    # Of the box, 100 to 300, the upper half right of a third is not the mask's.
    assert line[190:215, 215:295].any(axis=0).all()
    assert line[110:170, 150:190].any(axis=1).all()
    assert not line[110:180, 215:290].any()
