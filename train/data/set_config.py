"""What every kind of data set has: options, and what a training may ask of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, ClassVar

from train.options import Count, Place, Range, name_of_place, options


@options
class SetConfig:
    """One data set. A kind adds its own options, in the file of its reader."""

    kind: str
    """Which reader: train/data/sets.py lists them."""
    region_captions: Place = ""
    """JSON lines written by `python -m train data caption`; they replace the regions' texts."""
    samples: Count = 0
    """Use the first so many; 0: all."""
    repeats: Annotated[int, Range(1, 10_000)] = 1
    """How often one epoch shows each sample."""

    is_stream: ClassVar[bool] = False
    """Whether it can only be read from front to back: then it is trained on alone."""

    @property
    def place(self) -> str:
        """Where its files are; empty for what is drawn."""
        return getattr(self, "path", "")

    @property
    def title(self) -> str:
        """How a checkpoint names what it learned from; not where that was."""
        return f"{self.kind} {name_of_place(self.place)}"

    def unseen(self, samples: int) -> SetConfig | None:
        """As many samples like these that no training sees and no suite scores; None where they
        cannot be made. What is told of these (region_captions) is not told of them."""
        return None

    def words(self) -> Collection[str] | None:
        """Every word of its captions and regions, where that can be told."""
        return None
