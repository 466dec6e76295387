"""The token sequence of a layout (ReCo, section 3.1):

[BOS caption EOS], then per region x0 y0 x1 y1 [BOS region text EOS], padded with EOS, or with what
another family of text encoders has for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .layout import Layout
from .position_tokens import DEFAULT_VOCABULARY, EOS_ID, PositionVocabulary

Tokenize = Callable[[str], Sequence[Any]]
Span = tuple[int, int]


@dataclass(frozen=True)
class TokenSequence:
    """A layout as the text encoder gets it.

    ids: exactly max_length items, of the kind that the tokenizer returned.
    caption_span, region_spans: (start, stop) indices into ids, cut at max_length; a region's
        span begins with its four position tokens.
    needed: how many tokens the layout wanted before the cut.
    overflow: indices of the regions that are not wholly inside.
    caption_fits: whether the caption lost nothing.
    """

    ids: list[Any]
    caption_span: Span
    region_spans: tuple[Span, ...]
    needed: int
    overflow: tuple[int, ...]
    caption_fits: bool

    @property
    def used(self) -> int:
        """Tokens before the padding."""
        return min(self.needed, len(self.ids))

    @property
    def padding_span(self) -> Span:
        return self.used, len(self.ids)


def build_sequence(
    layout: Layout,
    tokenize: Tokenize,
    max_length: int,
    vocabulary: PositionVocabulary | None = DEFAULT_VOCABULARY,
    padding: int = EOS_ID,
) -> TokenSequence:
    """Lay a layout out as max_length tokens, cut as the authors cut.

    tokenize: gets each text as written and returns its items with BOS and EOS. Items are plain
        ids, or tuples (id or embedding vector, prompt weight, ...); position and padding tokens
        are made of the same kind, and a region's weight multiplies those of all its tokens.
    vocabulary: of the position tokens; None writes none, and regions are texts after the caption.
    padding: id of the tokens after the last text, the family's.

    Raises:
        ValueError: max_length has no room for BOS and EOS.
    """
    if max_length < 2:
        raise ValueError(f"max_length = {max_length}: BOS and EOS need at least 2")
    caption = list(tokenize(layout.caption))
    bos = caption[0]
    needed, region_spans = len(caption), []
    # Each text is cut to max_length with its EOS kept, then the whole sequence is cut. For
    # region texts the second cut hides the first.
    fits = needed <= max_length
    items = list(caption) if fits else [*caption[: max_length - 1], caption[-1]]
    for region in layout.regions:
        tokens = vocabulary.encode(region.box) if vocabulary else ()
        positions = [_like(bos, token) for token in tokens]
        block = [_weighted(item, region.weight) for item in (*positions, *tokenize(region.text))]
        region_spans.append((needed, needed + len(block)))
        items += block
        needed += len(block)
    items = items[:max_length]
    return TokenSequence(
        ids=items + [_like(bos, padding)] * (max_length - len(items)),
        caption_span=_clipped((0, len(caption)), max_length),
        region_spans=tuple(_clipped(span, max_length) for span in region_spans),
        needed=needed,
        overflow=tuple(i for i, (_, stop) in enumerate(region_spans) if stop > max_length),
        caption_fits=fits,
    )


def fit_layout(
    layout: Layout,
    tokenize: Tokenize,
    max_length: int,
    vocabulary: PositionVocabulary = DEFAULT_VOCABULARY,
) -> tuple[Layout, tuple[int, ...]]:
    """The layout up to the last region that fits whole, and the indices of those left out."""
    overflow = build_sequence(layout, tokenize, max_length, vocabulary).overflow
    kept = layout.regions[: len(layout.regions) - len(overflow)]  # what overflows is a tail
    return replace(layout, regions=kept), overflow


def take_regions(
    whole: TokenSequence, regions: Sequence[int], max_length: int, padding: int = EOS_ID
) -> TokenSequence:
    """The sequence of the caption and some regions of one that is not cut.

    regions: their indices; the spans are theirs, in that order. max_length, padding: as for
    build_sequence.

    Raises:
        ValueError: they do not fit.
    """
    spans = [whole.region_spans[index] for index in regions]
    items = list(_part(whole.ids, whole.caption_span))
    taken = []
    for span in spans:
        taken.append((len(items), len(items) + span[1] - span[0]))
        items += _part(whole.ids, span)
    if len(items) > max_length:
        raise ValueError(f"{len(items)} tokens do not fit into {max_length}")
    return TokenSequence(
        ids=items + [_like(whole.ids[0], padding)] * (max_length - len(items)),
        caption_span=whole.caption_span,
        region_spans=tuple(taken),
        needed=len(items),
        overflow=(),
        caption_fits=True,
    )


def _like(bos: Any, token: int) -> Any:
    """A token of weight 1 in the same kind of item as the tokenizer's BOS."""
    return (token, 1.0, *bos[2:]) if isinstance(bos, tuple) else token


def _weighted(item: Any, weight: float) -> Any:
    return (item[0], item[1] * weight, *item[2:]) if isinstance(item, tuple) else item


def _clipped(span: Span, max_length: int) -> Span:
    return min(span[0], max_length), min(span[1], max_length)


def _part(items: list[Any], span: Span) -> list[Any]:
    return items[span[0] : span[1]]
