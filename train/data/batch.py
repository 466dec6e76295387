"""What one pass through the model gets: pictures or latents, token ids, boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from reco_core.autoencoder import DOWNSAMPLING
from train.data.problems import Problem


@dataclass(frozen=True)
class Row:
    """One sample, ready to be stacked; `picture` is the image or its latents."""

    ids: Tensor
    boxes: Tensor
    spans: Tensor
    picture: Tensor
    spread: Tensor | None = None
    problem: Problem | None = None
    cut: int = 0


@dataclass(frozen=True)
class Batch:
    """Stacked samples. Regions that a sample lacks have a box without area; those, and regions
    whose words were left out, have a span of zero length."""

    ids: Tensor
    """(B, L) token ids."""
    boxes: Tensor
    """(B, R, 4) xyxy in [0, 1]."""
    spans: Tensor
    """(B, R, 2) start and stop of each region in the sequence."""
    present: Tensor
    """(B,) 1, or 0 for a picture that could not be read and counts nothing."""
    pictures: Tensor
    """(B, 3, H, W) in [-1, 1], or with cached latents (B, 4, h, w): the posterior's mean."""
    spread: Tensor | None = None
    """(B, 4, h, w) the posterior's standard deviation, where latents are drawn from one."""
    problems: tuple[Problem, ...] = ()
    cut: int = 0
    """Regions and captions that did not fit into L."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def latent_size(self) -> tuple[int, int]:
        """Height and width of the latents."""
        channels, height, width = self.pictures.shape[1:]
        if channels != 3:
            return height, width
        return height // DOWNSAMPLING, width // DOWNSAMPLING

    def to(self, device: torch.device) -> Batch:
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self._map(lambda tensor: tensor.pin_memory())

    def with_problems(self, problems: Sequence[Problem]) -> Batch:
        return replace(self, problems=(*self.problems, *problems))

    def split(self, parts: int) -> list[Batch]:
        """Equal parts in order; problems stay with the first."""
        pieces = {
            f.name: getattr(self, f.name).chunk(parts)
            for f in fields(self)
            if isinstance(getattr(self, f.name), Tensor)
        }
        return [
            replace(self, **{name: piece[i] for name, piece in pieces.items()})
            for i in range(len(pieces["ids"]))
        ]

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tensors = {
            f.name: change(value)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **tensors)


def stack(rows: Sequence[Row]) -> Batch:
    """Rows of equal shape as a batch."""
    spreads = [row.spread for row in rows if row.spread is not None]
    return Batch(
        ids=torch.stack([row.ids for row in rows]).long(),
        boxes=torch.stack([row.boxes for row in rows]),
        spans=torch.stack([row.spans for row in rows]).long(),
        present=torch.tensor([float(row.problem is None) for row in rows]),
        pictures=torch.stack([row.picture for row in rows]).float(),
        spread=torch.stack(spreads).float() if spreads else None,
        problems=tuple(row.problem for row in rows if row.problem),
        cut=sum(row.cut for row in rows),
    )
