"""A run's micro-batches in order, which can be looked at before they are trained on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from train.data.batch import Batch

SAMPLES = 64
"""Samples that are tried before all are taken to be gone."""


@dataclass
class LookAhead:
    """The micro-batches of an iterator that has no end."""

    batches: Iterator[Batch]
    held: deque[Batch] = field(default_factory=deque)

    def take(self, count: int) -> list[Batch]:
        """The next `count` micro-batches."""
        return [self.held.popleft() if self.held else next(self.batches) for _ in range(count)]

    def finds_picture(self) -> bool:
        """Whether any of the next samples could be read."""
        seen = 0
        for batch in self.held:
            if batch.present.any():
                return True
            seen += len(batch)
        while seen < SAMPLES:
            self.held.append(next(self.batches))
            if self.held[-1].present.any():
                return True
            seen += len(self.held[-1])
        return False
