"""Grounding: one head of every cross-attention is drawn to each region's own box.

Not in the paper, which starts from a pretrained model. A model from scratch learns colours and
shapes long before it looks at its position tokens; this loss tells it where to look from the
first step. It acts in training only and leaves architecture and file as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

GROUNDED_HEAD = 0


SMALLEST_SHARE = 1e-4
"""Of its attention that a head is taken to pay to a region, and elsewhere, at least."""
TINY = 1e-30
"""Keeps logarithms and their gradients finite."""


class RecordingAttention:
    """Attention processor that keeps the grounded head's probabilities of the last call, in fp32:
    half precision knows nothing between 0.996 and 1, where a head that looks well is."""

    def __init__(self) -> None:
        self.probabilities = torch.empty(0)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        value = attn.head_to_batch_dim(attn.to_v(encoder_hidden_states))
        scores = attn.get_attention_scores(query, key, attention_mask)  # (B heads, N, L)
        self.probabilities = _of_grounded_head(attn, scores)
        if scores.dtype != torch.float32:
            self.probabilities = _in_full_precision(attn, query, key, attention_mask)
        output = attn.batch_to_head_dim(torch.bmm(scores, value))
        return attn.to_out[1](attn.to_out[0](output))


def _in_full_precision(attn: Attention, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """(B, N, L) probabilities of the grounded head, whatever precision attention is computed in."""
    with torch.autocast(query.device.type, enabled=False):
        query, key = (_of_grounded_head(attn, x).float() for x in (query, key))
        scores = attn.scale * (query @ key.transpose(1, 2))
        if mask is not None:
            scores = scores + _of_grounded_head(attn, mask)
        return scores.softmax(dim=-1)


def _of_grounded_head(attn: Attention, of_all: Tensor) -> Tensor:
    """(B heads, ...) -> (B, ...)."""
    return of_all.unflatten(0, (-1, attn.heads))[:, GROUNDED_HEAD]


def record_cross_attention(unet: UNet2DConditionModel) -> list[RecordingAttention]:
    """Make every cross-attention of the UNet keep what `grounding_loss` reads."""
    recorders = []
    for name, module in unet.named_modules():
        if isinstance(module, Attention) and name.endswith("attn2"):
            recorders.append(RecordingAttention())
            module.set_processor(recorders[-1])
    return recorders


@contextmanager
def forgotten(recorders: Sequence[RecordingAttention]) -> Iterator[None]:
    """After the block, however it ends, nothing of what was recorded is kept, which would keep the
    graph of a whole pass through the UNet."""
    try:
        yield
    finally:
        for recorder in recorders:
            recorder.probabilities = torch.empty(0)


def grounding_loss(
    recorders: list[RecordingAttention], boxes: Tensor, spans: Tensor, aspect: float = 1.0
) -> Tensor:
    """(B,) cross-entropy between attention on a region's tokens and its box.

    The mean over a sample's regions and over layers; 0 where a sample has no regions.
    boxes: (B, R, 4) xyxy in [0, 1]; spans: (B, R, 2) start and stop in the sequence, equal where
    a sample has fewer than R regions; aspect: height of the latents over their width. Computed in
    fp32, whatever autocast is on: half precision rounds a head that nearly looks at its box to one
    that has nothing left to learn.
    """
    with torch.autocast(boxes.device.type, enabled=False):
        return _grounding_loss(recorders, boxes, spans, aspect)


def _grounding_loss(
    recorders: list[RecordingAttention], boxes: Tensor, spans: Tensor, aspect: float
) -> Tensor:
    present = spans[..., 1] > spans[..., 0]  # (B, R)
    used = max(1, int(present.sum(dim=1).max()))
    boxes, spans, present = boxes[:, :used], spans[:, :used], present[:, :used]
    losses = []
    for recorder in recorders:
        attention = recorder.probabilities.float()  # (B, N, L)
        position = torch.arange(attention.shape[-1], device=spans.device)
        member = (position >= spans[..., :1]) & (position < spans[..., 1:])  # (B, R, L)
        share, rest = (
            (attention @ part.float().transpose(1, 2)).transpose(1, 2) for part in (member, ~member)
        )  # (B, R, N)
        rows = round((attention.shape[1] * aspect) ** 0.5)
        inside = box_coverage(boxes, rows, attention.shape[1] // rows).flatten(2)  # (B, R, N)
        error = _cross_entropy(share, rest, inside).mean(dim=-1)
        losses.append((error * present).sum(dim=1) / present.sum(dim=1).clamp(min=1))
    return torch.stack(losses).mean(dim=0)


def _cross_entropy(share: Tensor, rest: Tensor, inside: Tensor) -> Tensor:
    """(B, R, N) between the share of attention that a cell pays to a region, and its box.

    The value is taken with the share kept from 0 and 1, where it would be infinite; the gradient
    without, and from what is paid elsewhere (`rest`), since 1 - share has no digits left near 1: a
    head that looks away altogether learns as much as any other.
    """
    kept = share.detach().clamp(SMALLEST_SHARE, 1 - SMALLEST_SHARE)
    value = -inside * kept.log() - (1 - inside) * (1 - kept).log()
    gain = inside * (share + TINY).log() + (1 - inside) * (rest + TINY).log()
    return value - (gain - gain.detach())


def box_coverage(boxes: Tensor, rows: int, columns: int) -> Tensor:
    """Share of each cell that a box covers: (..., 4) xyxy in [0, 1] -> (..., rows, columns)."""
    x = _overlap(boxes[..., 0, None], boxes[..., 2, None], columns)
    y = _overlap(boxes[..., 1, None], boxes[..., 3, None], rows)
    return y[..., :, None] * x[..., None, :]


def _overlap(low: Tensor, high: Tensor, cells: int) -> Tensor:
    """Share of each of `cells` equal parts of [0, 1] that lies in [low, high]."""
    start = torch.arange(cells, device=low.device) / cells
    overlap = torch.minimum(high, start + 1 / cells) - torch.maximum(low, start)
    return overlap.clamp(min=0) * cells
