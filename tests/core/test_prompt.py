"""The two written forms of a layout, and what happens to text before the tokenizer."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reco_core.layout import Box, Layout, Region
from reco_core.position_tokens import PositionVocabulary
from reco_core.prompt import format_prompt, normalize_text, parse_prompt
from reco_core.sequence import build_sequence

RESERVED = re.compile(r"<(bin)?[-+]?[0-9.]+>|<\|startoftext\|>|<\|endoftext\|>")
AUTHORS = "a park <546> <621> <885> <861> brown horse <654> <512> <739> <779> a man in blue shirt"
DIFFUSERS = (
    "a park <|endoftext|> <bin545> <bin620> <bin884> <bin860> <|startoftext|> brown horse "
    "<|endoftext|> <bin653> <bin511> <bin738> <bin778> <|startoftext|> a man in blue shirt "
    "<|endoftext|>"
)
FORMS = st.sampled_from(["authors", "diffusers"])


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("  A Kitchen  with\n a\tstove-top oven. ", "a kitchen with a stove top oven."),
        ("...#!Old photo", "old photo"),
        (" ...old photo", "...old photo"),  # the authors strip marks before they strip spaces
        ("a cat and/or a <Person>", "a cat and or a person"),
        ("-.5", ".5"),
        ("Émile's CAFÉ", "émile's café"),
        ("", ""),
    ],
)
def test_text_is_normalized_as_the_authors_do(text, normalized):
    assert normalize_text(text) == normalized


def test_authors_numbers_are_thousandths_and_the_ports_are_bins():
    vocabulary = PositionVocabulary()
    for prompt in (AUTHORS, DIFFUSERS):
        layout = parse_prompt(prompt)
        assert layout.caption == "a park"
        assert [region.text for region in layout.regions] == ["brown horse", "a man in blue shirt"]
        first, second = (vocabulary.encode(region.box) for region in layout.regions)
        assert [token - 49408 for token in first] == [545, 620, 884, 860]
        assert [token - 49408 for token in second] == [653, 511, 738, 778]


def test_formats_are_the_published_ones():
    assert format_prompt(parse_prompt(DIFFUSERS), "authors") == AUTHORS
    assert format_prompt(parse_prompt(AUTHORS), "diffusers") == DIFFUSERS


def test_prompt_without_positions_is_a_caption():
    assert parse_prompt("a cat <3, 5 > 4, <person>", width=64, height=32) == Layout(
        "a cat <3, 5 > 4, <person>", (), 64, 32
    )


@pytest.mark.parametrize(
    "prompt",
    [
        "<0> <0> <1000> <1000> sky",
        "<0><0><1000><1000>sky",
        "<0>\n<0>\n<1000>\n<1000> sky",
        "<bin000> <bin000> <bin999> <bin999> sky",
        "<|startoftext|><|endoftext|><bin0><bin0><bin999><bin999><|startoftext|>sky<|endoftext|>",
    ],
)
def test_spacing_and_markers_may_be_sloppy(prompt):
    assert parse_prompt(prompt) == Layout("", (Region("sky", Box(0, 0, 1, 1)),))


def test_weights_and_embeddings_stay_as_written():
    text = "(brown Horse:1.3) embedding:My-Style"
    layout = parse_prompt(f"(a park:0.8) <0> <0> <500> <500> {text}")
    assert layout.caption == "(a park:0.8)"
    assert layout.regions[0].text == text


@pytest.mark.parametrize(
    "prompt",
    [
        "(<547> <100> <900> <900> blue square:1.4)",
        "(a park <547> <100> <900> <900> blue square:1.4)",
        "a park ((<1> <2> <3> <4> a:1.2) <5> <6> <7> <8> b:1.1)",
        "a <1> <2> <3> <4> [dog <5> <6> <7> <8> cat]",
        "a <bin001> <bin002> (<bin003> <bin004>) dog",
        "{a <1> <2> <3> <4> dog|b} <5> <6> <7> <8> cat",
    ],
)
def test_brackets_around_regions_are_refused_with_their_place_and_the_remedy(prompt):
    with pytest.raises(ValueError, match=r"bracket at line 1, column \d+.* text of one region"):
        parse_prompt(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "a (park:1.1) <1> <2> <3> <4> (dog:1.2) <5> <6> <7> <8> [cat]",
        "a smiley :) <1> <2> <3> <4> dog (brown) ;)",
        r"a \(park <1> <2> <3> <4> dog\)",
        "a) <1> <2> <3> <4> (dog",
    ],
)
def test_brackets_within_texts_and_lonely_ones_are_no_matter(prompt):
    assert len(parse_prompt(prompt).regions) == prompt.count("<") // 4


@pytest.mark.parametrize(
    "prompt",
    [
        "a <0.547> <0.1> <0.9> <0.9> dog",
        "a <0.0> <0.0> <1.0> <1.0> dog",
        "a <100> <200> <0.5> <900> dog",
        "<0.25><0.25><0.75><0.75>dog",
        "a <0.10> <0.20> <0.30> <0.40> dog <1> <2> <3> <4> cat",
    ],
)
def test_fractions_where_thousandths_belong_are_refused(prompt):
    with pytest.raises(ValueError, match=r"is a fraction, but positions are thousandths.*<\d+>"):
        parse_prompt(prompt)


def test_unseen_characters_between_positions_are_spaces():
    text = "a\ufeff <0>\u200b<0>\u00a0<500>\r\n\u2060<500> dog"
    assert parse_prompt(text).regions == (Region("dog", Box(0, 0, 0.5, 0.5)),)


def test_equal_corners_are_legal_in_a_prompt():
    assert parse_prompt("a <5> <5> <5> <5> dot").regions[0].box.is_empty


@given(st.from_type(Layout), FORMS, st.sampled_from([64, 1000]).map(PositionVocabulary))
def test_written_layout_is_read_back_with_the_same_texts_and_bins(layout, form, vocabulary):
    assume(not any(map(RESERVED.search, (layout.caption, *(r.text for r in layout.regions)))))
    try:
        prompt = format_prompt(layout, form, vocabulary)
    except ValueError as error:  # brackets in two texts would be read as a pair
        assume("bracket" not in str(error) and "looks like" not in str(error))
        raise
    read = parse_prompt(prompt, vocabulary)
    assert read.caption == layout.caption
    assert [region.text for region in read.regions] == [region.text for region in layout.regions]
    for before, after in zip(layout.regions, read.regions, strict=True):
        assert vocabulary.encode(after.box) == vocabulary.encode(before.box)


@pytest.mark.parametrize("form", ["authors", "diffusers"])
def test_written_layout_has_the_same_token_ids(form, tokenize, golden):
    for case in golden:
        layout = parse_prompt(case["prompt"])
        again = parse_prompt(format_prompt(layout, form))
        ids = [build_sequence(each, tokenize, 616).ids for each in (layout, again)]
        assert ids[0] == ids[1]


@pytest.mark.parametrize("num_bins", [2, 64, 1000, 1001])
def test_every_bin_can_be_written_in_thousandths(num_bins):
    vocabulary = PositionVocabulary(num_bins)
    for bin in range(num_bins):
        v = vocabulary.value(bin)
        layout = Layout("", (Region("dot", Box(v, v, v, v)),))
        read = parse_prompt(format_prompt(layout, "authors", vocabulary), vocabulary)
        assert vocabulary.bin(read.regions[0].box.x0) == bin


def test_too_many_bins_for_thousandths_are_refused():
    layout = Layout("", (Region("dot", Box(0, 0, 1, 1)),))
    with pytest.raises(ValueError, match="1002 bins cannot be named in thousandths"):
        format_prompt(layout, "authors", PositionVocabulary(1002))
    vocabulary = PositionVocabulary(5000)
    assert parse_prompt(format_prompt(layout, "diffusers", vocabulary), vocabulary) == layout


@pytest.mark.parametrize("text", ["a <12> cat", "<bin003>", "cat <|endoftext|> dog"])
@pytest.mark.parametrize("form", ["authors", "diffusers"])
def test_text_that_looks_like_a_position_is_not_written(text, form):
    found = RESERVED.search(text).group()
    for layout in (Layout(text), Layout("", (Region(text, Box(0, 0, 1, 1)),))):
        with pytest.raises(ValueError, match=re.escape(repr(found))):
            format_prompt(layout, form)


def test_unknown_form_is_refused():
    with pytest.raises(ValueError, match="'yaml' is unknown: use 'authors' or 'diffusers'"):
        format_prompt(Layout(), "yaml")


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a <1> <2> <3> cat", r"'<1> <2> <3>' before 'cat' has 3 position token"),
        ("a <1> <2> <3> <4> <5> cat", r"'<1> <2> <3> <4> <5>' before 'cat' has 5 position token"),
        ("a <bin1> <bin2> <bin3> cat", r"'<bin1> <bin2> <bin3>' before 'cat' has 3 position token"),
        ("I <3> you", "'<3>' before 'you' has 1 position token"),
        ("a <1> <2> <3> <4>", "in '<1> <2> <3> <4>': region text '' is empty"),
        ("a <1> <2> <3> <4>  <5> <6> <7> <8> b", "has 8 position token"),
        ("a <1> <2> <3> <1001> b", r"<1001> is outside the image: thousandths go from 0 to 1000"),
        ("a <-1> <2> <3> <4> b", "<-1> is outside the image"),
        ("a <bin0> <bin0> <bin1> <bin1000> b", "bin 1000 is outside 0 to 999"),
        ("a <bin0> <bin0> <bin1> <bin1.5> b", "<bin1.5> is not a whole bin"),
        ("a <9> <2> <3> <4> b", r"in '<9> <2> <3> <4> b': box is inverted: x0 = 0\.009"),
        ("a <1> <2> <3> <4> b <bin1> <bin2> <bin3> <bin4> c", "mixes <1> .* with <bin1>"),
        ("a <|endoftext|> b <bin1> <bin2> <bin3> <bin4> c", "in the middle of a text"),
        ("a <bin1> <bin2> <bin3> <bin4> <|startoftext|> <|endoftext|>", "text '' is empty"),
    ],
)
def test_broken_prompt_is_refused_with_the_piece(prompt, message):
    with pytest.raises(ValueError, match=message):
        parse_prompt(prompt)
