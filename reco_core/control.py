"""How strongly and when a region counts, and what is kept out of its box: control beyond the paper,
which samplers take and written prompts have no place for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from .checks import check_text, finite

STRONGEST = 10.0
MAX_PHASES = 40
"""Parts of the sampling with other regions than the part before: the text encoder reads each."""


@dataclass(frozen=True)
class Control:
    """What a sampler does with a region.

    strength: multiplies how much the picture attends to its tokens, from 0 to 10; 1 is as trained,
        and 0 leaves the region out.
    start, end: it counts from the one to the other, fractions of the whole noise schedule from 0 to
        1, of which a run may sample a part.
    negative: what is to be kept out of its box, a text for the negative; "" is nothing.

    Raises:
        ValueError: a number is not in its range, or start is not before end.
    """

    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    negative: str = ""

    def __post_init__(self) -> None:
        for name, highest in (("strength", STRONGEST), ("start", 1.0), ("end", 1.0)):
            value = finite(name, getattr(self, name))
            if not 0.0 <= value <= highest:
                raise ValueError(f"{name} = {value:g} is not between 0 and {highest:g}")
            object.__setattr__(self, name, value)
        if self.start >= self.end:
            raise ValueError(
                f"start = {self.start:g} is not before end = {self.end:g}: the region would never "
                "count; to leave it out, set its strength to 0"
            )
        check_text("negative text", self.negative)

    @property
    def is_on(self) -> bool:
        return self.strength > 0

    def to_data(self) -> dict[str, Any]:
        """As JSON: what is not as it is for any region."""
        return {name: value for name, value in asdict(self).items() if value != _USUAL[name]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Control:
        """Read what `to_data` returned among other names. Raises ValueError as Control."""
        return cls(**{name: data[name] for name in NAMES & data.keys()})


_USUAL = asdict(Control())
NAMES = frozenset(field.name for field in fields(Control))
"""What a region's JSON calls them."""


@dataclass(frozen=True)
class Phase:
    """A part of the sampling, [start, end) as fractions of it, and the regions that count then, by
    index."""

    start: float
    end: float
    regions: tuple[int, ...]


def phases(controls: Sequence[Control]) -> tuple[Phase, ...]:
    """Divide the sampling so that exactly one phase holds at any moment.

    Raises ValueError where there are more than MAX_PHASES.
    """
    bounds = {0.0, 1.0, *(edge for c in controls if c.is_on for edge in (c.start, c.end))}
    found: list[Phase] = []
    for start, end in pairwise(sorted(bounds)):
        regions = tuple(
            index for index, c in enumerate(controls) if c.is_on and c.start <= start < c.end
        )
        if found and found[-1].regions == regions:
            start = found.pop().start
        found.append(Phase(start, end, regions))
    if len(found) > MAX_PHASES:
        raise ValueError(
            f"the regions' starts and ends divide the sampling into {len(found)} parts, more than "
            f"the {MAX_PHASES} that are encoded: let more regions start and end together"
        )
    return tuple(found)
