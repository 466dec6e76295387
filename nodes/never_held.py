"""What of controlled conditioning holds at no step of a run, which may sample only a part of the
noise schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from ..reco_core.checks import quote
from .controlled import Controlled

MOVE = "move them into that, or sample with a higher denoise or more steps"


def never_held(
    controlled: Controlled, sigmas: Sequence[float], percent_to_sigma: Callable[[float], float]
) -> Iterator[str]:
    """Messages on regions that count at no step, and containment that holds at none.

    sigmas: the run's noise levels, falling, one more than it has steps.
    """
    at = cache(percent_to_sigma)
    first, last = (_share_at(sigma, percent_to_sigma) for sigma in (sigmas[0], sigmas[-1]))
    where = f"are shares of the whole noise schedule, of which this run samples {first:.2f} to"
    held = {id(one.region) for sigma in sigmas[:-1] for one in controlled.at(sigma, at).seen}
    encoded = {id(one.region) for phase in controlled.phases for one in phase.seen}
    for number, region in enumerate(controlled.layout.regions, start=1):
        if id(region) in encoded - held:
            times = f"start = {region.control.start:g} and end = {region.control.end:g}"
            named = f"region {number} ({quote(region.text)})"
            yield f"{named} counts at no step: its {times} {where} {last:.2f}; {MOVE}."
    bounds = controlled.containment
    if bounds and encoded and not any(controlled.containment_at(s, at) for s in sigmas[:-1]):
        times = f"contain_from = {bounds.start:g} and contain_until = {bounds.end:g}"
        yield f"containment holds at no step: {times} {where} {last:.2f}; {MOVE}."


def _share_at(sigma: float, percent_to_sigma: Callable[[float], float]) -> float:
    """How much of the noise schedule, from 0 to 1, lies before a noise level."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if percent_to_sigma(middle) > sigma else (low, middle)
    return high
