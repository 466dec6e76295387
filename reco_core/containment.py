"""Where the picture sees a region's tokens: in its box alone, as biases of cross-attention.

A bias is added to the logits of attention, one for each cell of the picture and each token: 0
changes nothing, the logarithm of a factor multiplies the attention by it, HIDDEN takes it away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .layout import Layout, Region
from .sequence import Span

if TYPE_CHECKING:
    import torch

HIDDEN = -10_000.0  # as good as minus infinity, in half precision too


TOKENS = "its tokens"
PADDING = "its tokens, and no padding"
APART = "its tokens, encoded apart"
HOW = (TOKENS, PADDING, APART)
"""What is contained in a region's box. The text encoder is causal: regions after it and the padding
have read it, so that words of it may be seen elsewhere by these. Without padding, or with regions
that the encoder reads apart from one another, they are not."""


@dataclass(frozen=True)
class Containment:
    """how: one of HOW. feather: pixels over which boxes fade outside. start, end: fractions of the
    whole noise schedule between which it holds.

    Raises:
        ValueError: start is not before end.
    """

    how: str = TOKENS
    feather: float = 0.0
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(
                f"containment starts at {self.start:g} and ends at {self.end:g}: let it start "
                "before it ends, or switch it off"
            )


@dataclass(frozen=True)
class Seen:
    """A region among the tokens of a prompt. spans: of its tokens, by [start, stop)."""

    region: Region
    spans: tuple[Span, ...]


def cell_mask(region: Region, width: int, height: int, feather: float = 0.0) -> torch.Tensor:
    """(height, width) in [0, 1]: the cells of a picture's grid that a region covers, at least one.

    A region with a mask covers its shape. feather: over how many cells it fades outside of it.
    """
    import torch

    x0, y0, x1, y1 = region.box.covered_pixels(width, height)
    mask = torch.zeros(height, width)
    inside = mask[y0:y1, x0:x1]
    if region.mask:
        shape = torch.from_numpy(region.mask.sized(x1 - x0, y1 - y0).copy()) / 255
        inside += shape if shape.any() else 1
    else:
        inside += 1
    grown = mask[None]
    for ring in range(1, math.ceil(feather + 0.5)):
        grown = torch.nn.functional.max_pool2d(grown, 3, stride=1, padding=1)
        mask = torch.maximum(mask, grown[0] * max(0.0, 1 - (ring - 0.5) / feather))
    return mask


def attention_bias(
    layout: Layout,
    seen: Sequence[Seen],
    length: int,
    grid: tuple[int, int],
    feather: float | None,
    hidden: Sequence[Span] = (),
) -> torch.Tensor | None:
    """(cells, length) biases for the tokens of a prompt, or None where all are 0.

    Every region's strength counts; its box does where feather is a number, of pixels over which it
    fades outside. grid: (width, height) in cells. hidden: spans of tokens that no cell sees.
    """
    import torch

    width, height = grid
    bias = torch.zeros(height * width, length)
    for one in seen:
        column = torch.full((height * width, 1), _logarithm(one.region.control.strength))
        if feather is not None:
            cells = cell_mask(one.region, width, height, feather * width / layout.width)
            column = column + cells.reshape(-1, 1).log().clamp(min=HIDDEN)
        for start, stop in one.spans:
            bias[:, start:stop] = column
    for start, stop in hidden:
        bias[:, start:stop] = HIDDEN
    return bias if bias.any() else None


def _logarithm(strength: float) -> float:
    return math.log(strength) if strength > 0 else HIDDEN
