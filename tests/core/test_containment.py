"""What cells of the picture see of regions' tokens."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reco_core.containment import HIDDEN, Containment, Seen, attention_bias, cell_mask
from reco_core.control import Control
from reco_core.layout import Box, Layout, Region
from reco_core.mask import Mask

GRIDS = st.sampled_from([(16, 16), (8, 8), (4, 4), (2, 2), (1, 1), (12, 3)])


@given(st.from_type(Region), GRIDS, st.floats(0, 5))
def test_a_region_covers_a_cell_at_every_level_and_fades_outward(region, grid, feather):
    hard, soft = cell_mask(region, *grid), cell_mask(region, *grid, feather)
    assert hard.shape == (grid[1], grid[0]) and hard.max() == 1
    assert (soft >= hard).all() and soft.min() >= 0 and soft.max() == 1


@given(st.integers(1, 127), GRIDS)
def test_boxes_that_touch_share_no_cell_and_leave_none_between(edge, grid):
    left = Region("left", Box(0, 0, edge / 128, 1))
    right = Region("right", Box(edge / 128, 0, 1, 1))
    both = cell_mask(left, *grid) + cell_mask(right, *grid)
    narrow = min(round(edge / 128 * grid[0]), round((1 - edge / 128) * grid[0])) == 0
    assert narrow or (both == 1).all()


def test_a_feather_fades_with_the_distance():
    mask = cell_mask(Region("a bar", Box(0, 0, 0.25, 1)), 8, 1, feather=4)
    assert mask.flatten().tolist() == [1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0]


def test_a_shape_counts_in_place_of_its_box():
    region = Region("a corner", Box(0, 0, 1, 1), mask=Mask(2, 2, bytes([255, 0, 0, 0])))
    assert cell_mask(region, 2, 2).tolist() == [[1, 0], [0, 0]]


def test_biases_are_of_the_regions_tokens_alone():
    region = Region("left", Box(0, 0, 0.5, 1), control=Control(strength=2))
    layout = Layout("", (region,), 16, 8)
    bias = attention_bias(layout, [Seen(region, ((2, 4),))], 6, (2, 1), 0.0, [(5, 6)])
    strong = math.log(2)
    assert bias == pytest.approx(
        torch.tensor(
            [
                [0, 0, strong, strong, 0, HIDDEN],
                [0, 0, HIDDEN + strong, HIDDEN + strong, 0, HIDDEN],
            ]
        )
    )
    loose = attention_bias(layout, [Seen(region, ((2, 4),))], 6, (2, 1), None)
    assert loose[:, 2:4] == pytest.approx(torch.full((2, 2), strong))


def test_nothing_is_made_where_nothing_is_hidden_or_stressed():
    region = Region("left", Box(0, 0, 0.5, 1))
    assert attention_bias(Layout("", (region,)), [Seen(region, ((2, 4),))], 6, (4, 4), None) is None


def test_a_time_that_never_is_is_refused():
    with pytest.raises(ValueError, match=r"starts at 0\.6 and ends at 0\.6"):
        Containment(start=0.6, end=0.6)
