"""Strengths and times of regions, and the phases of the sampling that they make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_core.control import MAX_PHASES, Control, phases

LISTS = st.lists(st.from_type(Control), max_size=6)


@given(LISTS, st.floats(0, 1, exclude_max=True))
def test_exactly_one_phase_holds_at_any_moment_with_the_regions_that_count_then(controls, moment):
    found = phases(controls)
    assert found[0].start == 0 and found[-1].end == 1
    assert all(one.end == other.start for one, other in zip(found, found[1:], strict=False))
    (holding,) = (phase for phase in found if phase.start <= moment < phase.end)
    assert holding.regions == tuple(
        index
        for index, control in enumerate(controls)
        if control.strength > 0 and control.start <= moment < control.end
    )


@given(LISTS)
def test_a_phase_begins_only_where_something_changes(controls):
    found = phases(controls)
    assert all(a.regions != b.regions for a, b in zip(found, found[1:], strict=False))


def test_what_is_off_divides_nothing():
    assert len(phases([Control(strength=0, start=0.3, end=0.5), Control()])) == 1


def test_more_phases_than_are_encoded_are_refused():
    controls = [Control(start=i / 50) for i in range(1, MAX_PHASES)]
    assert len(phases(controls)) == MAX_PHASES
    with pytest.raises(ValueError, match=f"into {MAX_PHASES + 1} parts"):
        phases([*controls, Control(start=0.99)])


@given(st.from_type(Control))
def test_json_keeps_it_and_says_only_what_is_set(control):
    assert Control.from_data(control.to_data()) == control
    assert Control().to_data() == {}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"strength": -0.1}, "strength = -0.1 is not between 0 and 10"),
        ({"strength": 11}, "strength = 11 is not between 0 and 10"),
        ({"strength": float("nan")}, "strength"),
        ({"start": 1.5}, "start = 1.5 is not between 0 and 1"),
        ({"start": 0.5, "end": 0.5}, "start = 0.5 is not before end = 0.5"),
        ({"negative": 3}, "negative text"),
        ({"strength": "2"}, "strength"),
    ],
)
def test_what_makes_no_sense_is_refused(values, why):
    with pytest.raises(ValueError, match=why):
        Control.from_data(values)
