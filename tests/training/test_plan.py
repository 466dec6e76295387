"""The order of training: every sample in every epoch, the same however the work is divided."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.data.plan import WINDOW, Plan, Share

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


def numbers_of(order, epoch=0):
    """Of one epoch, in order."""
    chunks = range(order._before(epoch), order._before(epoch + 1))
    return [draw.number for chunk in chunks for draw in order.chunk(chunk)]


def test_the_order_of_runs_that_have_begun_stays():
    """They go on from their states, which know the step alone."""
    assert numbers_of(plan([SQUARE] * 8, 4, seed=5), 1) == [4, 2, 5, 0, 7, 6, 3, 1]
    mixed = plan([SQUARE, WIDE, TALL, WIDE] * 2, 2, seed=5)
    assert numbers_of(mixed) == [1, 3, 4, 0, 6, 2, 7, 5]


@given(st.lists(st.sampled_from([SQUARE, WIDE]), min_size=1, max_size=40), st.integers(1, 5))
def test_blocks_change_the_order_alone(sizes, chunk):
    blocks = np.arange(len(sizes)) // 3
    order, plain = Plan(sizes, range(len(sizes)), chunk, 0, blocks), plan(sizes, chunk)
    for epoch in range(3):
        assert sorted(numbers_of(order, epoch)) == sorted(numbers_of(plain, epoch))
        whole = [order.chunk(n) for n in range(order._before(epoch + 1))]
        assert all(len({sizes[draw.number] for draw in one}) == 1 for one in whole)


BLOCK, BLOCKS = 10, 5 * WINDOW
BLOCKED = np.arange(BLOCK * BLOCKS) // BLOCK


@pytest.mark.parametrize("sizes", [[SQUARE], [SQUARE, WIDE, TALL]], ids=["one", "three"])
def test_what_is_read_at_a_time_is_in_a_few_blocks(sizes):
    """Of three sizes too, which read the same blocks together."""
    samples = len(BLOCKED)
    order = Plan((sizes * samples)[:samples], range(samples), 4, 0, BLOCKED)
    numbers, stretch = np.array(numbers_of(order)), BLOCK * WINDOW // 2
    for start in range(0, samples - stretch, stretch):
        assert len(set(BLOCKED[numbers[start : start + stretch]])) <= 2 * WINDOW
    assert len(set(BLOCKED[numbers[:stretch]])) > WINDOW / 2, "of more than one at a time"
    others = np.array(numbers_of(order, 1))
    assert set(BLOCKED[numbers[:stretch]]) != set(BLOCKED[others[:stretch]])


def test_samples_without_blocks_are_spread_between_those_that_have_them():
    samples = len(BLOCKED)
    blocks = np.concatenate([BLOCKED, np.full(samples, -1)])
    order = Plan([SQUARE] * 2 * samples, range(2 * samples), 4, 0, blocks)
    loose = np.array(numbers_of(order)) >= samples
    shares = loose[: len(loose) // 20 * 20].reshape(20, -1).mean(axis=1)
    assert 0.4 < shares.min() and shares.max() < 0.6


def test_a_set_of_few_blocks_is_shuffled_as_a_whole():
    blocks = np.arange(40) // 4
    assert numbers_of(Plan([SQUARE] * 40, range(40), 4, 0, blocks)) == numbers_of(
        plan([SQUARE] * 40, 4)
    )
