"""One account of how a checkpoint reads a prompt: its tokens, and all there is to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.checks import quote
from ..reco_core.forms.table import read_layout
from ..reco_core.layout import Layout
from ..reco_core.layout_remarks import layout_remarks
from ..reco_core.position_tokens import PositionVocabulary
from ..reco_core.remarks import Reading, Remark
from ..reco_core.report import NAMED, name_regions, unknown_words
from ..reco_core.sequence import TokenSequence, build_sequence, fit_layout
from .remarks import weighted_spans

Tokenized = tuple[list, tuple[str, ...]]
"""The items of a text, and what is to be said of its embeddings."""


class Tokenizer(Protocol):
    """What an account asks of a ReCoTokenizer."""

    info: CheckpointInfo
    vocabulary: PositionVocabulary
    padding: int

    def read_text(self, text: str, weights: bool) -> Tokenized: ...

    def decode(self, token_ids: list[int]) -> str: ...


@dataclass(frozen=True)
class Account:
    """layout: as it came. fitted: its regions that fit whole; dropped: the others, {index: text}.

    sequence: what the text encoder gets, cut to its length; whole: the same uncut, of the layout.
    Their items are (token id or embedding vector, weight).
    """

    layout: Layout
    fitted: Layout
    sequence: TokenSequence
    whole: TokenSequence
    dropped: dict[int, str]
    remarks: tuple[Remark, ...]


def read_prompt(
    tokenizer: Tokenizer,
    prompt: Layout | str | Reading,
    size: tuple[int, int] | None = None,
    weights: bool = True,
) -> Account:
    """The account of a prompt for the checkpoint of a ReCoTokenizer.

    prompt: a layout, or a text in any form that read_layout knows, or what was read of one.
    size: (width, height) in pixels of a text's picture. None, as in ComfyUI's own text encoder,
        where no size is known: nothing is said of sizes then.
    weights: whether (words:1.2) counts; false reads it as so many words.

    Raises:
        ValueError: no layout, a weight that no model can use, or a region that has no words left.
    """
    is_sized = not isinstance(prompt, str) or size is not None
    reading = read(tokenizer, prompt, size)
    layout, info = reading.layout, tokenizer.info
    spans = weighted_spans if weights else lambda text: [(text, 1.0)]
    about_layout = layout_remarks(layout, spans)  # first: it refuses what cannot be tokenised
    tokenized: dict[str, Tokenized] = {}

    def tokenize(text: str) -> list:
        if text not in tokenized:
            tokenized[text] = tokenizer.read_text(text, weights)
        return tokenized[text][0]

    length, vocabulary, padding = info.max_length, tokenizer.vocabulary, tokenizer.padding
    sequence = whole = build_sequence(layout, tokenize, length, vocabulary, padding)
    if whole.needed > length:
        whole = build_sequence(layout, tokenize, whole.needed, vocabulary, padding)
    fitted, left_out = fit_layout(layout, tokenize, length, vocabulary)
    if left_out:
        sequence = build_sequence(fitted, tokenize, length, vocabulary, padding)
    _check_words(layout, tokenize)
    remarks = [
        *reading.remarks,
        *(r for r in about_layout if is_sized or r.kind != "small"),
        *_embedding_remarks(layout, tokenized),
        *_word_remarks(whole, tokenizer),
    ]
    if is_sized and (remark := info.size_remark(layout.width, layout.height)):
        remarks.append(remark)
    dropped = {index: layout.regions[index].text for index in left_out}
    return Account(layout, fitted, sequence, whole, dropped, tuple(remarks))


def strange_regions(account: Account, tokenizer: Tokenizer) -> Iterator[int]:
    """Indices of the layout's regions with words that the checkpoint was not trained on."""
    whole = account.whole
    for index, (start, stop) in enumerate(whole.region_spans):
        part = replace(whole, ids=whole.ids[start:stop], needed=stop - start)
        if unknown_words(part, tokenizer.decode, tokenizer.info.words):
            yield index


def overflow_remarks(account: Account, limit: int) -> tuple[Remark, ...]:
    """What the sequence of `limit` tokens has no room for, where that is left out."""
    remarks = []
    if account.dropped:
        remarks.append(
            Remark(
                "overflow",
                f"the prompt needs {account.whole.needed} tokens and this checkpoint reads "
                f"{limit}; left out: {name_regions(account.dropped)}. Shorten the texts, or "
                "remove regions.",
            )
        )
    if not account.sequence.caption_fits:
        remarks.append(
            Remark(
                "overflow",
                f"the caption needs {_caption_tokens(account)} tokens and this checkpoint reads "
                f"{limit}; its end was cut off. Shorten it.",
            )
        )
    return tuple(remarks)


def overflow_error(account: Account, limit: int, remedy: str) -> str:
    """Why what does not fit is refused; empty when all fits. remedy: another way out, in words."""
    if not account.sequence.caption_fits:
        return (
            f"the caption alone needs {_caption_tokens(account)} tokens and this checkpoint reads "
            f"{limit}: shorten it"
        )
    if not account.dropped:
        return ""
    return (
        f"the layout needs {account.whole.needed} tokens and this checkpoint reads {limit}. These "
        f"do not fit: {name_regions(account.dropped)}. Shorten the texts, remove regions, or "
        f"{remedy}"
    )


def read(
    tokenizer: Tokenizer, prompt: Layout | str | Reading, size: tuple[int, int] | None = None
) -> Reading:
    """A prompt as a layout, with what is to be said of its form. Raises as read_prompt."""
    if isinstance(prompt, Reading):
        return prompt
    if isinstance(prompt, Layout):
        return Reading(prompt)
    width, height = size or tokenizer.info.start_size()
    return read_layout(prompt, width, height, tokenizer.vocabulary)


def _caption_tokens(account: Account) -> int:
    start, stop = account.whole.caption_span
    return stop - start


def _check_words(layout: Layout, tokenize: Callable) -> None:
    """Raise ValueError for a region of whose text nothing is left between BOS and EOS."""
    for number, region in enumerate(layout.regions, start=1):
        if len(tokenize(region.text)) <= 2:
            raise ValueError(
                f"region {number} ({quote(region.text)}) has no words left to read: say in words "
                "what its box contains, and write embedding:name by itself, between spaces"
            )


def _embedding_remarks(layout: Layout, tokenized: dict[str, Tokenized]) -> list[Remark]:
    texts: list[tuple[str, int | None, str]] = [("the caption", None, layout.caption)]
    texts += [(f"region {i + 1}", i, r.text) for i, r in enumerate(layout.regions)]
    return [
        Remark("embedding", f"{name}: {note}", index)
        for name, index, text in texts
        for note in tokenized[text][1]
    ]


def _word_remarks(whole: TokenSequence, tokenizer: Tokenizer) -> list[Remark]:
    strange = unknown_words(whole, tokenizer.decode, tokenizer.info.words)
    if not strange:
        return []
    named = ", ".join(strange[:NAMED]) + (", ..." if len(strange) > NAMED else "")
    return [Remark("word", f"this checkpoint was not trained on: {named}.")]
