"""Any JSON at the doors that take parsed data or JSON text: a layout, or a clear error."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parent))

from doors import check_message, check_reading  # noqa: E402

from reco_core.coco import layout_from_coco
from reco_core.forms.table import read_layout
from reco_core.interop import layout_from_boxes, layout_from_elements
from reco_core.layout import Layout
from reco_core.sidecar import layout_from_sidecar  # noqa: E402

# Of all forms, so that data come near to what is read.
NAMES = st.sampled_from(
    "caption regions text box weight color width height version elements bbox desc type label "
    "bbox_2d x y metadata images annotations categories id image_id category_id name iscrowd "
    "high_level_description compositional_deconstruction".split()
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 1000)
    | st.floats(0, 1)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["obj", "text", "#aabbcc", "a dog"])
)
BOXES = st.lists(st.integers(0, 1000) | st.floats(0, 1), min_size=4, max_size=4)
JSON = st.recursive(
    VALUES | BOXES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
DOORS = {
    "read_layout": lambda data: read_layout(json.dumps(data), 512, 512),
    "Layout": lambda data: Layout.from_json(json.dumps(data)),
    "layout_from_elements": lambda data: layout_from_elements(data),
    "layout_from_boxes": lambda data: layout_from_boxes(data, (), "", 640, 427),
    "layout_from_coco": lambda data: layout_from_coco(json.dumps(data)),
    "layout_from_sidecar": lambda data: layout_from_sidecar(json.dumps(data)),
}


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=20)
@given(JSON)
def test_any_json_is_read_right_or_refused(door, data):
    try:
        check_reading(DOORS[door](data))
    except ValueError as error:
        check_message(error)
