"""A sequence is read once, and again when anything has changed what it becomes: also the empty one,
from which ComfyUI measures weights."""

import pytest

LENGTH = 308


def test_a_weight_costs_no_second_pass_and_a_sequence_that_is_kept_none(inside, tiny):
    passes = inside("kept_checks.passes", path=str(tiny))
    assert sorted(passes["first"]) == [2, LENGTH, LENGTH]
    assert sorted(passes["weighted"]) == [2, LENGTH]
    assert passes["empty"] == [2]
    assert sorted(passes["plain"]) == [2, LENGTH]
    assert passes["again"] == passes["first again"] == [2]


@pytest.mark.parametrize(
    "change",
    [
        "LoRA",
        "LoRA of a key projection",
        "bypass LoRA",
        "hook",
        "scheduled hook",
        "clip skip",
        "last place",
        "padding token",
        "in place",
    ],
)
def test_no_change_of_a_clip_leaves_it_the_states_of_before(inside, tiny, change):
    for found in inside("kept_checks.after", path=str(tiny), change=change).values():
        assert found["moved"] > 1e-4
        assert found["same"]


def test_few_are_kept(inside, tiny):
    assert inside("kept_checks.kept", path=str(tiny)) == 16
