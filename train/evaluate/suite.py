"""What every suite of layouts has in common: cases to draw, and scores of what was drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from reco_core.layout import Layout
from train.data.sample import Problem

if TYPE_CHECKING:
    from train.model.sampling import SecondPass


@dataclass(frozen=True)
class Case:
    """One picture to draw.

    name: unique in its suite, a legal file name without suffix.
    seed: of the noise the picture starts from; with it, one picture can be made again alone.
    second: of a picture that is drawn at the layout's size, and enlarged then.
    """

    name: str
    layout: Layout
    seed: int
    second: SecondPass | None = field(default=None, kw_only=True)

    @property
    def drawn_alike(self) -> tuple[int, int, float, float]:
        """What is the same for cases that can be drawn in one batch, in an order."""
        second = (self.second.scale, self.second.strength) if self.second else (1.0, 1.0)
        return self.layout.width, self.layout.height, *second


@dataclass(frozen=True)
class PictureScore:
    """What was found in one picture.

    score: 0 (worst) to 1, by which pictures are ranked.
    regions: one JSON object per region of the case's layout, in its order.
    details: what belongs to the whole picture.
    """

    case: Case
    score: float
    regions: Sequence[Mapping[str, Any]] = ()
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Table:
    """Rows of a report; a cell that is a float from 0 to 1 under a heading ending in "%" is
    written as percent."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


@dataclass(frozen=True)
class Result:
    """All that a suite says about a checkpoint.

    figures: names to numbers, nested at will: what scores.json holds of the whole.
    tables: the report's, best first; the rows of the first are also plotted.
    warnings: of figures that say less than they seem to, and why.
    """

    figures: Mapping[str, Any]
    tables: Sequence[Table]
    pictures: Sequence[PictureScore]
    warnings: Sequence[str] = ()


Pictures = Callable[[Case], Image.Image]
"""Opens the picture that was drawn for a case: PIL RGB, of the layout's size, or what a second pass
made of it."""


class Suite(Protocol):
    """A named set of layouts with truth to score against. Its files and options were looked at when
    it was made; what cannot be used is no case."""

    name: str
    cases: Sequence[Case]

    @property
    def left_out(self) -> Mapping[str, Sequence[Problem]]:
        """What of the set cannot be used: "pictures" or "annotations" -> which, and why."""

    def score(self, pictures: Pictures) -> Result:
        """Score all cases; shows its progress. Pictures are opened one at a time."""
