"""How captions and regions become the token sequences that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from reco_core.layout import Layout, Region
from reco_core.position_tokens import EOS_ID, PositionVocabulary
from reco_core.positional_words import in_words
from reco_core.sequence import TokenSequence, build_sequence
from train.model.tokenizer import plain_tokenize


@dataclass(frozen=True)
class Words:
    """What a model reads: L tokens, its bins (0: none), and regions of a batch's row.

    positional_words: places are told in words instead of position tokens (the paper's baseline).
    padding: id of the tokens after the last text.
    """

    max_length: int
    num_bins: int
    max_regions: int
    positional_words: bool = False
    padding: int = EOS_ID

    def sequence(self, layout: Layout) -> TokenSequence:
        """A layout's token ids, the same in training as in generation.

        Raises:
            ValueError: regions, and the model has neither position tokens nor positional words.
        """
        if self.positional_words:
            return self._built(in_words(layout), None)
        if layout.regions and not self.num_bins:
            raise ValueError(
                "this model has no position tokens: add some (model.num_bins), or train on "
                "captions alone with data.use_regions = false"
            )
        vocabulary = PositionVocabulary(self.num_bins) if self.num_bins else None
        return self._built(layout, vocabulary)

    def told(self, layout: Layout) -> tuple[Layout, str]:
        """What of a layout can be told, and what cannot and why; empty where nothing is lost.

        As training cuts at L: the regions from the first on that does not fit whole are left out,
        and a caption that does not fit alone loses its end, in `sequence`. A model that reads no
        regions is told the caption; that is no loss of this kind.
        """
        if not (self.num_bins or self.positional_words):
            layout = replace(layout, regions=())
        sequence = self.sequence(layout)
        lost = ["the end of its caption"] if not sequence.caption_fits else []
        if left := len(sequence.overflow):  # what overflows is a tail
            layout = replace(layout, regions=layout.regions[:-left])
            lost.append(f"{left} region{'s' * (left > 1)} of {len(sequence.region_spans)}")
        if not lost:
            return layout, ""
        return layout, (
            f"{' and '.join(lost)} cannot be told: the layout needs {sequence.needed} tokens, more "
            f"than the checkpoint's {self.max_length}"
        )

    def _built(self, layout: Layout, vocabulary: PositionVocabulary | None) -> TokenSequence:
        return build_sequence(layout, tokenize, self.max_length, vocabulary, self.padding)

    def encode(self, layout: Layout, untold: Sequence[Region] = ()) -> dict[str, Any]:
        """A layout's ids (L,), boxes (R, 4) and spans (R, 2), and how much of it was cut at L.

        untold: regions of the picture that the layout lacks; their boxes follow, with empty spans.
        """
        sequence = self.sequence(layout)
        boxes = torch.zeros(self.max_regions, 4)
        spans = torch.zeros(self.max_regions, 2, dtype=torch.int32)
        for i, region in enumerate([*layout.regions, *untold]):
            boxes[i] = torch.tensor([region.box.x0, region.box.y0, region.box.x1, region.box.y1])
        for i, span in enumerate(sequence.region_spans):
            spans[i] = torch.tensor(span)
        cut = len(sequence.overflow) + (not sequence.caption_fits)
        ids = torch.tensor(sequence.ids, dtype=torch.int32)
        return {"ids": ids, "boxes": boxes, "spans": spans, "cut": cut}


@lru_cache(maxsize=200_000)
def tokenize(text: str) -> tuple[int, ...]:
    """Token ids of a text, remembered: region texts come again and again."""
    return tuple(plain_tokenize()(text))
