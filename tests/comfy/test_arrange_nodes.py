"""Layouts merged, reordered, scaled and flipped in a running ComfyUI."""

import pytest
from workflows import CAT, layout_node, node, places

from reco_core.layout import Box, Layout, Region


def test_layouts_are_merged_reordered_flipped_and_scaled(boxes_of):
    more = Layout("at dusk", (Region("a bird", Box(0, 0, 0.25, 0.25)),))
    boxes, _, texts = boxes_of(
        first=layout_node(),
        second=layout_node(more),
        merged=node("ReCoMergeLayouts", first=["first", 0], second=["second", 0]),
        ordered=node(
            "ReCoReorderRegions", layout=["merged", 0], order="3-2", others="put behind them"
        ),
        flipped=node(
            "ReCoFlipLayout",
            layout=["ordered", 0],
            horizontal=True,
            vertical=False,
            swap_words=True,
        ),
        layout=node("ReCoScaleLayout", layout=["flipped", 0], picture_factor=2.0, box_factor=0.5),
    )
    assert texts == "a bird\na cat, right of it\na dog"
    assert places(boxes) == [
        {"x": 208, "y": 8, "width": 32, "height": 16},
        {"x": 32, "y": 56, "width": 64, "height": 48},
        {"x": 152, "y": 48, "width": 48, "height": 32},
    ]


def test_regions_that_the_order_does_not_name_can_be_left_out(boxes_of):
    ordered = node("ReCoReorderRegions", layout=["source", 0], order="2", others="leave out")
    _, _, texts = boxes_of(source=layout_node(), layout=ordered)
    assert texts == CAT.text


ORDER = {"layout": ["source", 0], "others": "leave out"}
BAD = {
    "order in words": (
        {"source": layout_node(), "layout": node("ReCoReorderRegions", order="first", **ORDER)},
        "'first' in 'first' is not a region number",
    ),
    "order beyond the last": (
        {"source": layout_node(), "layout": node("ReCoReorderRegions", order="3", **ORDER)},
        "no region 3: the layout has 2",
    ),
    "scale of nothing": (
        {
            "source": layout_node(),
            "layout": node("ReCoScaleLayout", layout=["source", 0], picture_factor=0, box_factor=1),
        },
        "smaller than min of 0.05",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_cause(refused, case):
    refused(*BAD[case])
