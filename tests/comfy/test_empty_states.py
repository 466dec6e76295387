"""The empty sequence, from which ComfyUI measures weights and which most negatives are, is read
once, and again when anything has changed what it becomes."""

import pytest

LENGTH = 308


def test_a_weight_costs_no_second_pass_and_an_empty_negative_none(inside, tiny):
    passes = inside("empty_checks.passes", path=str(tiny))
    assert sorted(passes["first"]) == [2, LENGTH, LENGTH]
    assert sorted(passes["weighted"]) == [2, LENGTH]
    assert passes["empty"] == [2]
    assert passes["plain"] == [LENGTH]


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
def test_no_change_of_a_clip_leaves_it_the_empty_states_of_before(inside, tiny, change):
    for found in inside("empty_checks.after", path=str(tiny), change=change).values():
        assert found["moved"] > 1e-4
        assert found["same"]


def test_few_are_kept(inside, tiny):
    assert inside("empty_checks.kept", path=str(tiny)) == 4
