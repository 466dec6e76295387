"""The order of training: every sample in every epoch, the same however the work is divided."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.data.plan import Plan, Share

SQUARE, WIDE, TALL = (64, 64), (96, 48), (48, 96)


def plan(sizes, chunk=2, seed=0):
    return Plan(sizes, range(len(sizes)), chunk, seed)


@given(st.lists(st.sampled_from([SQUARE, WIDE]), min_size=1, max_size=40), st.integers(1, 5))
def test_an_epoch_shows_every_sample_in_chunks_of_one_size(sizes, chunk):
    order = plan(sizes, chunk)
    drawn = [order.chunk(number) for number in range(order.chunks_per_epoch)]
    assert {draw.number for draw in chain(*drawn)} == set(range(len(sizes)))
    assert all(len(c) == chunk for c in drawn)
    assert all(len({sizes[draw.number] for draw in c}) == 1 for c in drawn)
    assert len(set(chain(*drawn))) == len(drawn) * chunk  # no draw is made twice


@given(
    st.lists(st.sampled_from([SQUARE, WIDE, TALL]), min_size=1, max_size=30),
    st.integers(1, 9),
    st.integers(0, 40),
)
def test_samples_of_any_size_are_shown_equally_often(sizes, chunk, epoch):
    """However few have their size: never twice more than another of it, and never ahead by more
    than a chunk of what the epochs that are over show."""
    order = plan(sizes, chunk)
    shown = Counter()
    for number in range(order._before(epoch)):
        shown.update(draw.number for draw in order.chunk(number))
    for size in set(sizes):
        counts = [shown[n] for n, own in enumerate(sizes) if own == size]
        assert max(counts) - min(counts) <= 1
        assert 0 <= sum(counts) - epoch * len(counts) < chunk


@pytest.mark.parametrize(("chunk", "epochs"), [(2, 2), (4, 4), (8, 3), (3, 7), (5, 1)])
def test_a_picture_alone_in_its_size_is_shown_once_an_epoch(chunk, epochs):
    order = plan([SQUARE] * 8 * chunk + [WIDE], chunk)
    shown = Counter(
        draw.number for number in range(order._before(epochs)) for draw in order.chunk(number)
    )
    assert {shown[number] for number in range(8 * chunk)} == {epochs}
    assert epochs <= shown[8 * chunk] < epochs + chunk


def test_every_number_is_a_chunk_of_its_epoch():
    order = plan([SQUARE] * 7 + [WIDE] * 2 + [TALL], 4)
    seen = [order.chunk(number) for number in range(200)]
    again = plan([SQUARE] * 7 + [WIDE] * 2 + [TALL], 4)
    assert [again.chunk(number) for number in reversed(range(200))] == seen[::-1]
    assert len(set(chain(*seen))) == 800


def test_samples_are_shown_once_when_chunks_are_full():
    order = plan([SQUARE] * 8 + [WIDE] * 4)
    shown = Counter(d.number for n in range(order.chunks_per_epoch) for d in order.chunk(n))
    assert set(shown.values()) == {1}


def test_epochs_differ_and_a_seed_repeats_them():
    order = plan([SQUARE] * 20, 4)
    epochs = [[order.chunk(n + 5 * e) for n in range(5)] for e in range(2)]
    assert [[d.number for d in c] for c in epochs[0]] != [[d.number for d in c] for c in epochs[1]]
    again = plan([SQUARE] * 20, 4)
    assert [again.chunk(n) for n in range(5, 10)] == epochs[1]


@pytest.mark.parametrize(
    ("processes", "chunks", "micro"), [(1, 1, 8), (2, 1, 4), (2, 2, 2), (1, 4, 2)]
)
def test_a_step_has_the_same_samples_in_the_same_places_however_it_is_divided(
    processes, chunks, micro
):
    sizes, step = [SQUARE] * 24, 7
    order = plan(sizes, micro)
    places = {}
    for process in range(processes):
        share = Share(process, processes, chunks, micro)
        for number, first in zip(share.numbers(step), share.places(step), strict=True):
            for offset, draw in enumerate(order.chunk(number)):
                places[first + offset] = draw
    whole = plan(sizes, 8).chunk(step)
    assert [places[i] for i in range(8)] == whole


def test_a_run_continues_where_its_order_was():
    order, share = plan([SQUARE] * 10 + [WIDE] * 7, 3), Share(1, 2, 2, 3)
    whole = list(islice(share.sampler(order, 0), 20))
    assert list(islice(share.sampler(order, 4), 12)) == whole[8:]


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(ValueError, match="nothing to train on"):
        plan([])
