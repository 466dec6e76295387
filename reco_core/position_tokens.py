"""Position tokens: the corners of a box as extra words of CLIP's vocabulary.

A coordinate v in [0, 1] becomes bin round(v * (num_bins - 1)), with Python's round (half to
even), and bin b becomes token id offset + b (ReCo, section 3.1 and released code).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .checks import quote
from .layout import Box

BOS_ID = 49406  # CLIP's <|startoftext|>
EOS_ID = 49407  # CLIP's <|endoftext|>
CLIP_VOCABULARY_SIZE = 49408
CLIP_LENGTH = 77  # tokens of CLIP's sequences


@dataclass(frozen=True)
class PositionVocabulary:
    """num_bins position tokens with the ids offset ... offset + num_bins - 1.

    Raises:
        ValueError: fewer than two bins, which cannot tell one edge of an image from the other.
    """

    num_bins: int = 1000
    offset: int = CLIP_VOCABULARY_SIZE

    def __post_init__(self) -> None:
        if self.num_bins < 2:
            raise ValueError(f"num_bins = {self.num_bins}: a position vocabulary needs at least 2")

    def bin(self, v: float) -> int:
        """The bin of a coordinate v in [0, 1]."""
        if not 0.0 <= v <= 1.0:
            raise ValueError(f"coordinate {quote(v)} is outside 0 to 1")
        return round(v * (self.num_bins - 1))

    def value(self, bin: int) -> float:
        """The coordinate in [0, 1] that stands for a bin; `bin(value(b)) == b`."""
        if not 0 <= bin < self.num_bins:
            raise ValueError(f"bin {quote(bin)} is outside 0 to {self.num_bins - 1}")
        return bin / (self.num_bins - 1)

    def encode(self, box: Box) -> tuple[int, int, int, int]:
        """The token ids of a box, in the order x0 y0 x1 y1."""
        x0, y0, x1, y1 = (self.offset + self.bin(v) for v in (box.x0, box.y0, box.x1, box.y1))
        return x0, y0, x1, y1

    def decode(self, ids: Sequence[int]) -> Box:
        """The box of four token ids, each coordinate at the centre of its bin.

        Raises:
            ValueError: not four ids, an id that is no position token, or inverted corners.
        """
        if len(ids) != 4:
            raise ValueError(f"a box is four position tokens, got {len(ids)}: {quote(list(ids))}")
        return Box(*(self.value(token - self.offset) for token in ids))

    def word(self, token: int) -> str:
        """A position token as the diffusers port writes it."""
        return bin_word(token - self.offset)


def bin_word(number: int) -> str:
    """A bin as the diffusers port writes it; `prompt` reads it."""
    return f"<bin{number:03d}>"


DEFAULT_VOCABULARY = PositionVocabulary()
