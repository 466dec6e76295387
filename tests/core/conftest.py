"""How hypothesis makes boxes, regions and layouts, and the authors' own token sequences."""

import json
from pathlib import Path

import pytest
from hypothesis import strategies as st

from reco_core.control import STRONGEST, Control
from reco_core.layout import Box, Layout, Region

FRACTIONS = st.floats(0, 1)
# Rich in what the prompt grammar is made of.
TEXTS = st.text(st.sampled_from("ab 09<>|(:)-/.,bin\n\té字") | st.characters(codec="utf-8"))


@st.composite
def boxes(draw):
    x0, x1 = sorted((draw(FRACTIONS), draw(FRACTIONS)))
    y0, y1 = sorted((draw(FRACTIONS), draw(FRACTIONS)))
    return Box(x0, y0, x1, y1)


@st.composite
def controls(draw):
    start, end = sorted(draw(st.lists(FRACTIONS, min_size=2, max_size=2, unique=True)))
    return Control(draw(st.floats(0, STRONGEST)), start, end, draw(TEXTS))


st.register_type_strategy(Box, boxes())
st.register_type_strategy(Control, st.just(Control()) | controls())
st.register_type_strategy(
    Region,
    st.builds(
        Region,
        TEXTS.filter(str.strip),
        boxes(),
        st.floats(-10, 10),
        st.none() | st.from_regex(r"#[0-9a-f]{6}", fullmatch=True),
        control=st.from_type(Control),
    ),
)
st.register_type_strategy(
    Layout,
    st.builds(
        Layout,
        TEXTS,
        st.lists(st.from_type(Region), max_size=5).map(tuple),
        st.integers(1, 256).map(lambda n: 8 * n),
        st.integers(1, 256).map(lambda n: 8 * n),
    ),
)


@pytest.fixture(scope="session")
def golden() -> list[dict]:
    """Prompts and the token ids that the authors' own code makes of them."""
    path = Path(__file__).resolve().parent.parent / "data" / "tokens.json"
    return json.loads(path.read_text(encoding="utf-8"))
