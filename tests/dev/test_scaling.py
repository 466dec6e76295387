"""The arithmetic of docs/scaling.md, and its tables."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from docs import scaling
from train.memory.speed import CARDS

COUNTED = json.loads(scaling.COUNTS.read_text("utf-8"))
H100 = CARDS[0]


def test_the_page_has_the_tables_that_the_command_makes():
    text = scaling.PAGE.read_text("utf-8")
    assert scaling.page(text, COUNTED) == text


@pytest.mark.parametrize("places", [1, 2, 3, 8])
def test_bytes_of_a_ring_are_those_of_its_rounds(places):
    """Each sends a piece of 1 / places in every round: to add up, then to tell the sums."""
    rounds = 2 * (places - 1)
    assert scaling.exchanged(10**9, places) == pytest.approx(rounds * 10**9 / places)


def test_gradients_count_as_far_as_they_stick_out():
    step = scaling.Step(
        8, 1, arithmetic=1.0, window=0.5, inside=0.4, between=0.0, reading=0, decoding=0
    )
    assert step.total == 1.0
    assert replace(step, between=0.7).total == pytest.approx(1.2)
    assert replace(step, decoding=3.0).total == 3.0
    assert next(iter(replace(step, decoding=3.0).parts)) == "decoding"


def test_a_batch_is_shared_by_no_more_devices_than_it_has_samples():
    config = scaling._config("lora-8gb")
    step = scaling.step(config, COUNTED["lora-8gb"], H100, 4, 1e9)
    assert (step.devices, step.samples) == (16, 1)
    assert step.between == pytest.approx(2 * 3 / 4 * COUNTED["lora-8gb"]["gradients"] / 1e9)


@pytest.mark.slow
@pytest.mark.parametrize("name", scaling.CONFIGS)
def test_what_was_counted_is_counted_still(name):
    assert scaling.count(name) == COUNTED[name]
