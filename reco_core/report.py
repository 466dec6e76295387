"""What the text encoder was given, in words: tokens used, the sequence, and warnings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from .checks import shorten
from .layout import Layout
from .position_tokens import BOS_ID, EOS_ID, PositionVocabulary
from .sequence import TokenSequence

NAMED = 8
"""How many regions a message names before it only counts them."""


def name_regions(regions: Mapping[int, str], noun: str = "region") -> str:
    """'region 2 (a cat), region 5 (a dog) and 3 more' from {index from 0: text}."""
    named = [f"{noun} {index + 1} ({_short(text)})" for index, text in regions.items()][:NAMED]
    more = len(regions) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def describe_sequence(
    layout: Layout,
    sequence: TokenSequence,
    vocabulary: PositionVocabulary,
    decode: Callable[[list[int]], str],
    warnings: Sequence[str] = (),
    weights: Sequence[tuple[str, float]] = (),
    indices: Sequence[int] | None = None,
) -> str:
    """A readable account of an encoded layout: warnings, tokens per part, the sequence itself.

    sequence: of (token id or vector, weight) items. decode: ids of words -> text. weights: the
    words whose weight is not 1. indices: of each region among its likes, from 0, where these are
    not all of them.
    """
    total = len(sequence.ids)
    lines = [f"Warning: {warning}" for warning in warnings]
    count = len(layout.regions)
    regions = f"{count} region{'' if count == 1 else 's'}"
    lines.append(f"{sequence.used} of {total} tokens used, {regions}")
    lines.append(f"caption: {_length(sequence.caption_span)} tokens: {_short(layout.caption)}")
    numbers = range(count) if indices is None else indices
    for index, region, span in zip(numbers, layout.regions, sequence.region_spans, strict=True):
        left, top, right, bottom = region.box.to_pixels(layout.width, layout.height)
        corners = f"({left:g}, {top:g}) to ({right:g}, {bottom:g})"
        corners += ", the box of its mask" if region.mask else ""
        tokens = f"{_length(span)} tokens"
        lines.append(f"region {index + 1}: {tokens}: {corners}: {_short(region.text)}")
    if weights:
        listed = ", ".join(f"{_short(words.strip())} {weight:g}" for words, weight in weights)
        lines.append(f"weights other than 1: {listed}")
    lines.append(f"sequence: {_spell(sequence, vocabulary, decode)}")
    return "\n".join(lines)


def unknown_words(
    sequence: TokenSequence, decode: Callable[[list[int]], str], known: Sequence[str]
) -> list[str]:
    """The words of a sequence, in order, that are not among those a checkpoint lists as known.

    Empty when the checkpoint lists none.
    """
    if not known:
        return []
    words, listed = re.findall(r"\w+", " ".join(_texts(sequence, decode))), set(known)
    return list(dict.fromkeys(word for word in words if word not in listed))


def _spell(
    sequence: TokenSequence, vocabulary: PositionVocabulary, decode: Callable[[list[int]], str]
) -> str:
    """The used part of a sequence, with special tokens written out."""
    pieces: list[str] = []
    words: list[int] = []
    for token, *_ in sequence.ids[: sequence.used]:
        if isinstance(token, int) and token < BOS_ID:
            words.append(token)
            continue
        if words:
            pieces.append(decode(words).strip())
            words = []
        pieces.append(_special(token, vocabulary))
    return " ".join([*pieces, decode(words).strip()] if words else pieces)


def _special(token: object, vocabulary: PositionVocabulary) -> str:
    if not isinstance(token, int):
        return "[embedding]"
    if token in (BOS_ID, EOS_ID):
        return "[BOS]" if token == BOS_ID else "[EOS]"
    return vocabulary.word(token)


def _texts(sequence: TokenSequence, decode: Callable[[list[int]], str]) -> list[str]:
    """The words of caption and regions as text, one string each."""
    texts = []
    for start, stop in (sequence.caption_span, *sequence.region_spans):
        items = sequence.ids[start:stop]
        ids = [token for token, *_ in items if isinstance(token, int) and token < BOS_ID]
        texts.append(decode(ids))
    return texts


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _short(text: str) -> str:
    return shorten(text, 60)
