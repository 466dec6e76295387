"""A tokenizer for ComfyUI's CLIP that understands layouts and ReCo prompts."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Any

import torch
from comfy.sd1_clip import SD1Tokenizer, SDTokenizer

from ..reco_core.adapter_rows import Applied
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.checks import quote
from ..reco_core.facts import FACTS, Facts
from ..reco_core.layout import Layout
from ..reco_core.layout_remarks import uncontrolled
from ..reco_core.position_tokens import BOS_ID, EOS_ID, PositionVocabulary
from ..reco_core.prompt import normalize_text
from ..reco_core.sequence import TokenSequence
from .account import Tokenized, overflow_remarks, read_prompt

UNBOUNDED = 1 << 30  # one chunk, whatever its length: the sequence is cut as a whole, not by text

_notes: ContextVar[list[str] | None] = ContextVar("notes", default=None)
"""What is to be said of the embeddings in the text that is being read."""


class NormalizingTokenizer:
    """CLIP's tokenizer behind ReCo's text normalisation.

    SDTokenizer calls it on the plain spans that remain once prompt weights and `embedding:` names
    are parsed, so that neither loses its case or sign. It remembers spans, since a call takes a
    tenth of a millisecond however short its span.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids = lru_cache(maxsize=20_000)(lambda text: tuple(tokenizer(text)["input_ids"]))

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": list(self._ids(normalize_text(text)))}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


class TextTokenizer(SDTokenizer):
    """One text -> [BOS, ..., EOS] of (token id or embedding vector, weight), unpadded and uncut."""

    tokenizer: Any

    def __init__(
        self,
        embedding_size: int,
        embedding_directory: list[str] | None = None,
        tokenizer_data: dict | None = None,
    ) -> None:
        super().__init__(
            max_length=UNBOUNDED,
            pad_to_max_length=False,
            embedding_directory=embedding_directory,
            embedding_size=embedding_size,
        )
        self.tokenizer = NormalizingTokenizer(self.tokenizer)

    def read(self, text: str, **options: Any) -> Tokenized:
        """The items of a text, and what is to be said of its embeddings.

        Raises:
            ValueError: the file of an embedding cannot be read.
        """
        notes: list[str] = []
        token = _notes.set(notes)
        try:
            return self.tokenize_with_weights(text, **options)[0], tuple(notes)
        finally:
            _notes.reset(token)

    def _try_get_embedding(self, embedding_name: str) -> tuple:
        """As ComfyUI's, but what it would leave out, or the encoder would ignore, is noted.

        An embedding that cannot be used becomes no vectors at all.
        """
        nothing = torch.zeros(0, self.embedding_size)
        if not embedding_name.split():
            self._note("embedding: names no embedding: write embedding:name without a space.")
            return nothing, "", ""
        try:
            embedding, *name, leftover = super()._try_get_embedding(embedding_name)
            problem = self._problem(embedding, embedding_name.split()[0])
        except Exception as error:  # a file of others can hold, and so raise, anything
            raise ValueError(
                f"embedding:{embedding_name.split()[0]} cannot be read ({type(error).__name__}): "
                "it is no embedding for Stable Diffusion 1; take it out, or fetch it again"
            ) from error
        if problem:
            self._note(problem)
        return (nothing if problem else embedding), *name, leftover

    def _problem(self, embedding: torch.Tensor | None, name: str) -> str:
        """Why an embedding cannot be used, and what to do; empty if it can."""
        written = quote(f"embedding:{name}")
        if embedding is None:
            return (
                f"{written} was left out: ComfyUI's embeddings folders have no file of this name. "
                "A name ends at a space, so write one behind it."
            )
        if embedding.ndim not in (1, 2) or embedding.shape[-1] != self.embedding_size:
            return (
                f"{written} was left out: it is of shape {tuple(embedding.shape)}, and this "
                f"checkpoint's are {self.embedding_size} wide. Use one made for it."
            )
        if not embedding.float().isfinite().all():
            return f"{written} was left out: it holds numbers that are not finite."
        return ""

    def _note(self, problem: str) -> None:
        notes = _notes.get()
        if notes is None:
            logging.warning(f"ReCo: {problem}")
        else:
            notes.append(problem)


class ReCoTokenizer(SD1Tokenizer):
    """Layouts and prompts -> one chunk of exactly the checkpoint's length, in ComfyUI's token form.

    It is reached through `clip.tokenizer`, which clones of a CLIP share; `info` describes the
    checkpoint, and `facts` are what ComfyUI saves of it with the text encoder. `adapters` are those
    that gave a loaded CLIP its position tokens, with the strengths of their LoRA in it.
    """

    info: CheckpointInfo
    facts: Facts | None
    adapters: Applied
    vocabulary: PositionVocabulary
    padding: int

    def __init__(self, embedding_directory: list[str] | None, tokenizer_data: dict) -> None:
        self.info = tokenizer_data["reco_info"]
        self.facts = tokenizer_data.get("reco_facts")
        self.adapters = tokenizer_data.get("reco_adapters", ())
        self.vocabulary = PositionVocabulary(self.info.num_bins)
        (encoder,), (size,) = self.info.family.encoders, self.info.encoders
        self.padding = encoder.padding
        text_tokenizer = partial(TextTokenizer, size.width)
        super().__init__(embedding_directory, clip_name=encoder.key, tokenizer=text_tokenizer)
        ids = range(self.vocabulary.offset, self.vocabulary.offset + self.info.num_bins)
        self.texts.inv_vocab.update({token: self.vocabulary.word(token) for token in ids})

    @property
    def texts(self) -> TextTokenizer:
        """The tokenizer of single texts."""
        return getattr(self, self.clip)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What ComfyUI saves of a tokenizer beside the weights of its text encoder."""
        return {f"{self.clip}.{FACTS}": self.facts.tensor()} if self.facts else {}

    def tokenize_with_weights(
        self, text: Layout | str, return_word_ids: bool = False, **kwargs: Any
    ) -> dict[str, list]:
        """{"l": [[(token id or vector, weight), ...]]} of one chunk.

        A string may be in any written form of a layout; one in none is a plain caption. ComfyUI's
        own nodes come here, which show nothing: all there is to know goes to the log.

        Raises:
            ValueError: as read_prompt.
        """
        account = read_prompt(self, text, weights=not kwargs.get("disable_weights", False))
        overflow = overflow_remarks(account, self.info.max_length)
        for remark in (*account.remarks, *overflow, *uncontrolled(account.layout)):
            logging.warning(f"ReCo: {remark.message}")
        return self.chunk(account.sequence, return_word_ids)

    def chunk(self, sequence: TokenSequence, return_word_ids: bool = False) -> dict[str, list]:
        """A sequence in ComfyUI's token form, for clip.encode_from_tokens_scheduled."""
        items = _with_word_ids(sequence) if return_word_ids else list(sequence.ids)
        return {self.clip_name: [items]}

    def read_text(self, text: str, weights: bool = True) -> Tokenized:
        """The items of one text with BOS and EOS, and what is to be said of its embeddings."""
        return self.texts.read(text, disable_weights=not weights)


def _with_word_ids(sequence: TokenSequence) -> list[tuple]:
    """Items with a third member: 0 for what is not a word, else the number of the caption or
    region it belongs to, counted from 1."""
    numbers = [0] * len(sequence.ids)
    spans = (sequence.caption_span, *sequence.region_spans)
    for number, (start, stop) in enumerate(spans, start=1):
        for position in range(start, stop):
            if _is_word(sequence.ids[position][0]):
                numbers[position] = number
    return [(*item, number) for item, number in zip(sequence.ids, numbers, strict=True)]


def _is_word(token: object) -> bool:
    return not isinstance(token, int) or token < min(BOS_ID, EOS_ID)
