"""Every written form of a layout, written and read again: the same, or its losses are named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reco_core.forms.table import FORMS, read_layout, write_layout
from reco_core.layout import Box, Layout, Region
from reco_core.prompt import format_prompt

BALL = Region("a red ball", Box(0.1, 0.2, 0.4, 0.6))
PARK = Layout("a park", (BALL,), 512, 256)
PROMPTS = {"authors", "diffusers"}  # in which bins may be equal
READ = [form.name for form in FORMS if form.read]


def read(text: str, width: int = 512, height: int = 256):
    return read_layout(text, width, height)


WORDS = st.text(st.sampled_from("ab é字,.!-'"), min_size=1).map(
    lambda text: " ".join(f"a {text} dog".split())
)
WIDE = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda s: s[1] - s[0] > 0.01)
PLAIN = st.builds(
    Layout,
    WORDS,
    st.lists(
        st.builds(
            Region,
            WORDS,
            st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), WIDE, WIDE),
            st.sampled_from([1.0, 1.25]),
            st.sampled_from([None, "#aa0000"]),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    st.integers(64, 256).map(lambda n: 8 * n),
    st.integers(64, 256).map(lambda n: 8 * n),
)
ROUNDING = {  # of a side; other forms are exact
    "authors": 0.0011,
    "diffusers": 0.00051,
    "elements": 0.00051,
    "ideogram": 0.00051,
    "bbox_2d": 0.00051,
    "boxes": 0.51 / 512,
}
LOSSES = {
    "The caption": lambda before, after: before.caption != after.caption,
    "Weights": lambda before, after: differ("weight", before, after),
    "Colors": lambda before, after: differ("color", before, after),
    "The text of region": lambda before, after: differ("text", before, after),
    "Boxes are rounded": lambda before, after: differ("box", before, after),
}


def differ(name: str, before: Layout, after: Layout) -> bool:
    pairs = zip(before.regions, after.regions, strict=True)
    return any(getattr(a, name) != getattr(b, name) for a, b in pairs)


@pytest.mark.parametrize("form", READ)
@settings(max_examples=25)
@given(layout=PLAIN)
def test_plain_words_and_boxes_come_back_from_every_form(form, layout):
    again = read_layout(write_layout(layout, form).text, layout.width, layout.height).layout
    assert not differ("text", layout, again)
    assert (again.width, again.height) == (layout.width, layout.height)
    for before, after in zip(layout.regions, again.regions, strict=True):
        corners = before.box.to_pixels(1, 1)
        assert after.box.to_pixels(1, 1) == pytest.approx(corners, abs=ROUNDING.get(form, 0), rel=0)
    if form in PROMPTS:
        assert format_prompt(again, form) == format_prompt(layout, form)


@pytest.mark.parametrize("form", READ)
@settings(max_examples=25)
@given(layout=st.from_type(Layout))
def test_a_layout_of_any_texts_is_refused_or_read_back_with_its_losses_named(form, layout):
    try:
        written = write_layout(layout, form)
    except ValueError:
        return  # the plain layouts above show that it is not always so
    again = read_layout(written.text, layout.width, layout.height).layout
    assert {remark.kind for remark in written.remarks} <= {"lost"}
    gone = {remark.region for remark in written.remarks if "is left out" in remark.message}
    kept = [region for index, region in enumerate(layout.regions) if index not in gone]
    before = Layout(layout.caption, tuple(kept), layout.width, layout.height)
    messages = [remark.message for remark in written.remarks]
    for words, differs in LOSSES.items():
        assert differs(before, again) == any(message.startswith(words) for message in messages), (
            words
        )


@pytest.mark.parametrize("form", READ)
def test_only_the_forms_that_keep_the_size_are_said_to(form):
    written = write_layout(PARK, form)
    again = read_layout(written.text, 64, 64).layout
    said = any("The picture's size" in remark.message for remark in written.remarks)
    assert said == ((again.width, again.height) != (PARK.width, PARK.height))


def test_json_is_indented_with_each_box_on_one_line():
    layout = Layout('a "park"', (BALL, Region("ein Käfer", BALL.box, 1.5, "#aa0000")), 512, 256)
    assert (
        write_layout(layout, "json").text
        == """{
  "version": 1,
  "caption": "a \\"park\\"",
  "width": 512,
  "height": 256,
  "regions": [
    {"text": "a red ball", "box": [0.1, 0.2, 0.4, 0.6], "weight": 1.0},
    {"text": "ein Käfer", "box": [0.1, 0.2, 0.4, 0.6], "weight": 1.5, "color": "#aa0000"}
  ]
}"""
    )
    for form in ("elements", "ideogram", "bbox_2d", "sidecar", "boxes"):
        lines = write_layout(layout, form).text.splitlines()
        boxes = [line for line in lines if "ball" in line or "Käfer" in line]
        assert len(boxes) == 2 and all(line.rstrip(",")[-1] == "}" for line in boxes), form
    assert '"regions": []' in write_layout(Layout("a park"), "json").text


def test_positional_words_cannot_be_read_back_and_say_so():
    written = write_layout(PARK, "words")
    assert written.text == "a park\nlarge square in the left, a red ball"
    assert "cannot be read back" in written.remarks[0].message


def test_a_form_that_cannot_hold_a_text_refuses_it():
    strange = Layout("", (Region("a <100> sign", BALL.box),))
    for form in ("authors", "diffusers", "lines", "tags"):
        with pytest.raises(ValueError, match="position|looks like"):
            write_layout(strange, form)
    assert read(write_layout(strange, "json").text).layout == Layout("", strange.regions)


def test_a_form_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=f"'yaml' is unknown: use one of {READ[0]}, .*words"):
        write_layout(PARK, "yaml")
