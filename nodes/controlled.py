"""A prompt with control, as it goes with its conditioning: which states hold when, and what the
cells of the picture see of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ..reco_core.containment import Containment, Seen, attention_bias
from ..reco_core.layout import Layout
from ..reco_core.sequence import Span


@dataclass(frozen=True, eq=False)
class States:
    """What the text encoder made of the regions that count from start to end, fractions of the
    sampling: states (1, L, C), where each region is in them, and spans that no cell sees."""

    start: float
    end: float
    states: torch.Tensor
    seen: tuple[Seen, ...]
    hidden: tuple[Span, ...]
    biases: dict[float | None, Bias] = field(default_factory=dict)  # by feather, as they are needed


@dataclass(frozen=True, eq=False)
class Controlled:
    """A prompt with control. phases: of which one holds at any moment. caption: states of the
    caption alone, where guidance is not 1."""

    layout: Layout
    phases: tuple[States, ...]
    caption: torch.Tensor | None
    guidance: float
    containment: Containment | None

    def at(self, sigma: float, percent_to_sigma: Callable[[float], float]) -> States:
        """The phase that holds at a step's noise level."""
        later = (phase for phase in self.phases[::-1] if sigma <= percent_to_sigma(phase.start))
        return next(later, self.phases[0])

    def containment_at(
        self, sigma: float, percent_to_sigma: Callable[[float], float]
    ) -> Containment | None:
        """The containment, if it holds at a step's noise level."""
        bounds = self.containment
        if bounds and percent_to_sigma(bounds.end) < sigma <= percent_to_sigma(bounds.start):
            return bounds
        return None


@dataclass(frozen=True, eq=False)
class Bias:
    """What the cells see of a row's tokens. made: (cells, L) by grid, as they are needed."""

    layout: Layout
    phase: States
    feather: float | None
    made: dict[tuple, torch.Tensor | None] = field(default_factory=dict)

    def on(self, grid: tuple[int, int], like: torch.Tensor) -> torch.Tensor | None:
        """(cells, L) of the kind of a tensor, or None where nothing is hidden or stressed."""
        key = (grid, like.dtype, like.device)
        if key not in self.made:
            length = self.phase.states.shape[1]
            hidden = self.phase.hidden if self.feather is not None else ()
            bias = attention_bias(self.layout, self.phase.seen, length, grid, self.feather, hidden)
            self.made[key] = None if bias is None else bias.to(like)
        return self.made[key]
