"""Token sequences: the authors' ids, spans, weights, and what happens when room runs out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.layout import Box, Layout, Region
from reco_core.position_tokens import BOS_ID, EOS_ID, PositionVocabulary
from reco_core.prompt import parse_prompt
from reco_core.sequence import build_sequence, fit_layout

WHOLE = Box(0, 0, 1, 1)


def one_token_a_word(text: str) -> list[int]:
    return [BOS_ID, *(len(word) for word in text.split()), EOS_ID]


def weighted(text: str) -> list[tuple[int, float]]:
    return [
        (token, 1.5 if token not in (BOS_ID, EOS_ID) else 1.0) for token in one_token_a_word(text)
    ]


def test_golden_cases_come_out_exactly(tokenize, golden):
    assert len(golden) == 30
    for case in golden:
        sequence = build_sequence(parse_prompt(case["prompt"]), tokenize, case["max_length"])
        padding = [EOS_ID] * (case["max_length"] - len(case["ids"]))
        assert sequence.ids == case["ids"] + padding, case["prompt"]
        assert bool(sequence.overflow) == case["overflow"]


def test_empty_caption_is_bos_and_padding():
    sequence = build_sequence(Layout(), one_token_a_word, 8)
    assert sequence.ids == [BOS_ID] + [EOS_ID] * 7
    assert sequence.caption_span == (0, 2) and sequence.padding_span == (2, 8)


def test_spans_say_which_ids_are_whose():
    layout = Layout("a park", (Region("brown horse", WHOLE), Region("kite", Box(0, 0, 0, 0))))
    sequence = build_sequence(layout, one_token_a_word, 24)
    low, high = 49408, 50407
    assert sequence.ids[slice(*sequence.caption_span)] == [BOS_ID, 1, 4, EOS_ID]
    horse, kite = (sequence.ids[slice(*span)] for span in sequence.region_spans)
    assert horse == [low, low, high, high, BOS_ID, 5, 5, EOS_ID]
    assert kite == [low, low, low, low, BOS_ID, 4, EOS_ID]
    assert sequence.used == sequence.needed == 19
    assert sequence.padding_span == (19, 24)
    assert sequence.overflow == () and sequence.caption_fits


@given(st.from_type(Layout), st.integers(2, 60))
def test_spans_tile_the_sequence_and_overflow_is_a_tail(layout, max_length):
    sequence = build_sequence(layout, one_token_a_word, max_length)
    assert len(sequence.ids) == max_length
    spans = [sequence.caption_span, *sequence.region_spans, sequence.padding_span]
    assert spans[0][0] == 0 and spans[-1][1] == max_length
    assert all(before[1] == after[0] for before, after in zip(spans, spans[1:], strict=False))
    assert sequence.used == min(sequence.needed, max_length)
    count = len(layout.regions)
    assert sequence.overflow == tuple(range(count - len(sequence.overflow), count))
    assert (not sequence.overflow and sequence.caption_fits) == (sequence.needed <= max_length)


@given(st.from_type(Layout), st.integers(2, 60))
def test_plain_and_weighted_items_give_the_same_ids(layout, max_length):
    plain = build_sequence(layout, one_token_a_word, max_length)
    pairs = build_sequence(layout, weighted, max_length)
    assert [token for token, _ in pairs.ids] == plain.ids
    assert (pairs.region_spans, pairs.overflow) == (plain.region_spans, plain.overflow)


def test_region_weight_multiplies_the_weights_of_all_its_tokens_and_no_others():
    layout = Layout("park", (Region("horse", WHOLE, weight=0.5), Region("kite", WHOLE)))
    sequence = build_sequence(layout, weighted, 24)
    weights = [weight for _, weight in sequence.ids]
    horse, kite = sequence.region_spans
    assert weights[: horse[0]] == [1.0, 1.5, 1.0]
    assert weights[slice(*horse)] == [0.5] * 4 + [0.5, 0.75, 0.5]
    assert weights[slice(*kite)] == [1.0] * 4 + [1.0, 1.5, 1.0]
    assert set(weights[slice(*sequence.padding_span)]) == {1.0}


def test_items_may_be_vectors_and_carry_word_ids():
    vector = object()  # an embedding takes the place of an id and is passed on untouched
    sequence = build_sequence(
        Layout("x", (Region("x", WHOLE, 2.0),)),
        lambda text: [(BOS_ID, 1.0, 0), (vector, 1.5, 1), (EOS_ID, 1.0, 0)],
        12,
    )
    assert sequence.ids[1] == (vector, 1.5, 1)
    assert sequence.ids[3] == (49408, 2.0, 0)
    assert sequence.ids[8] == (vector, 3.0, 1)
    assert sequence.ids[10:] == [(EOS_ID, 1.0, 0)] * 2


def test_a_region_cut_in_half_is_reported():
    layout = Layout("park", (Region("horse", WHOLE), Region("big kite", WHOLE)))
    sequence = build_sequence(layout, one_token_a_word, 15)
    assert sequence.ids[-5:] == [49408, 49408, 50407, 50407, BOS_ID]  # no EOS, as the authors cut
    assert sequence.region_spans[1] == (10, 15)
    assert sequence.overflow == (1,) and sequence.needed == 18 and sequence.caption_fits


def test_a_sequence_that_just_fits_loses_nothing():
    layout = Layout("park", (Region("horse", WHOLE),))
    sequence = build_sequence(layout, one_token_a_word, 10)
    assert sequence.ids[-1] == EOS_ID
    assert sequence.overflow == () and sequence.padding_span == (10, 10)


def test_a_caption_that_is_too_long_is_cut_but_ends_with_eos(tokenize):
    layout = Layout("horse " * 700, (Region("kite", WHOLE),))
    sequence = build_sequence(layout, tokenize, 616)
    horse = tokenize("horse")[1]
    assert sequence.ids == [BOS_ID, *[horse] * 614, EOS_ID]
    assert not sequence.caption_fits and sequence.overflow == (0,)
    assert sequence.needed == 702 + 7 and sequence.caption_span == (0, 616)


def test_500_regions_overflow_by_name(tokenize):
    layout = Layout("many", (Region("a brown horse", WHOLE),) * 500)
    sequence = build_sequence(layout, tokenize, 616)
    assert sequence.needed == 3 + 500 * 9
    assert sequence.overflow == tuple(range(68, 500))


@given(st.from_type(Layout), st.integers(2, 60))
def test_fitted_layout_keeps_whole_regions_and_names_the_rest(layout, max_length):
    fitted, left_out = fit_layout(layout, one_token_a_word, max_length)
    assert fitted.regions == tuple(
        region for index, region in enumerate(layout.regions) if index not in left_out
    )
    assert (fitted.caption, fitted.width, fitted.height) == (
        layout.caption,
        layout.width,
        layout.height,
    )
    assert build_sequence(fitted, one_token_a_word, max_length).overflow == ()


def test_another_vocabulary_changes_position_tokens_only():
    sequence = build_sequence(
        Layout("x", (Region("x", WHOLE),)), one_token_a_word, 10, PositionVocabulary(64)
    )
    assert sequence.ids[3:7] == [49408, 49408, 49471, 49471]


def test_a_length_without_room_for_bos_and_eos_is_refused():
    with pytest.raises(ValueError, match="max_length = 1"):
        build_sequence(Layout(), one_token_a_word, 1)
