"""What one pass through the model gets: pictures or latents, token ids, boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import torch
from torch import Tensor

from reco_core import DEFAULT_VOCABULARY, Layout, PositionVocabulary, build_sequence
from train.data.sample import Problem
from train.tokenizer import plain_tokenize


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
    """Stacked samples. Regions that a sample lacks have a span of zero length."""

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
        return (height // 8, width // 8) if channels == 3 else (height, width)

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


def encode_layout(
    layout: Layout, max_length: int, num_bins: int, max_regions: int
) -> dict[str, Tensor | int]:
    """A layout's ids (L,), boxes (R, 4) and spans (R, 2), and how much of it was cut at L.

    The sequence is the one of generation, cut as the released code cuts it.

    Raises:
        ValueError: regions, and num_bins is 0.
    """
    if layout.regions and not num_bins:
        raise ValueError(
            "this model has no position tokens: add some (model.num_bins), or train on captions "
            "alone with data.use_regions = false"
        )
    vocabulary = PositionVocabulary(num_bins) if num_bins else DEFAULT_VOCABULARY
    sequence = build_sequence(layout, tokenize, max_length, vocabulary)
    boxes, spans = torch.zeros(max_regions, 4), torch.zeros(max_regions, 2, dtype=torch.int32)
    for i, (region, span) in enumerate(zip(layout.regions, sequence.region_spans, strict=True)):
        boxes[i] = torch.tensor([region.box.x0, region.box.y0, region.box.x1, region.box.y1])
        spans[i] = torch.tensor(span)
    cut = len(sequence.overflow) + (not sequence.caption_fits)
    ids = torch.tensor(sequence.ids, dtype=torch.int32)
    return {"ids": ids, "boxes": boxes, "spans": spans, "cut": cut}


@lru_cache(maxsize=200_000)
def tokenize(text: str) -> tuple[int, ...]:
    """Token ids of a text, remembered: region texts come again and again."""
    return tuple(plain_tokenize()(text))
