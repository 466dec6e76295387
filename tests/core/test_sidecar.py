"""Layouts from and to .bbox files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.layout import Box, Layout, Region
from reco_core.remarks import Reading
from reco_core.sidecar import layout_from_sidecar, layout_to_sidecar

SIDES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda s: s[0] < s[1])
BOXES = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), SIDES, SIDES)
REGIONS = st.builds(Region, st.text(min_size=1).filter(str.strip), BOXES)


@given(st.lists(REGIONS, max_size=5).map(tuple))
def test_what_is_written_is_read_again(regions):
    layout = Layout("a yard", regions)
    assert layout_from_sidecar(layout_to_sidecar(layout), "a yard") == Reading(layout)


def test_boxes_are_cut_at_the_edges_and_those_outside_are_named():
    entries = [
        {"label": "dog", "bbox": [-0.5, 0, 0.5, 1.5]},
        {"label": "cat", "bbox": [1.5, 0, 2, 1]},
    ]
    reading = layout_from_sidecar(json.dumps(entries))
    assert reading.layout.regions == (Region("dog", Box(0, 0, 0.5, 1)),)
    (remark,) = reading.remarks
    assert (remark.kind, remark.region) == ("left out", 1)
    assert ".bbox entry 2 ('cat') is left out: [1.5, 0, 2, 1]" in remark.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "holds a list of objects"),
        ('[{"label": "dog"}]', "entry 1: expected an object like"),
        ('[{"bbox": [0, 0, 1, 1]}]', "entry 1: expected an object like"),
        ('[{"label": "", "bbox": [0, 0, 1, 1]}]', "entry 1: region text '' is empty"),
        ('[{"label": "dog", "bbox": [0, 0, "1", 1]}]', "entry 1: box x1 = '1' is not a finite"),
    ],
)
def test_what_is_no_sidecar_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        layout_from_sidecar(text)
