"""Grounding: one head of every cross-attention is drawn to each region's own box.

Not in the paper, which starts from a pretrained model. A model from scratch learns colours and
shapes long before it looks at its position tokens; this loss tells it where to look from the
first step. It acts in training only and leaves architecture and file as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

GROUNDED_HEAD = 0


class RecordingAttention:
    """Attention processor that keeps the grounded head's probabilities of the last call."""

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
        self.probabilities = scores.unflatten(0, (-1, attn.heads))[:, GROUNDED_HEAD]
        output = attn.batch_to_head_dim(torch.bmm(scores, value))
        return attn.to_out[1](attn.to_out[0](output))


def record_cross_attention(unet: UNet2DConditionModel) -> list[RecordingAttention]:
    """Make every cross-attention of the UNet keep what `grounding_loss` reads."""
    recorders = []
    for name, module in unet.named_modules():
        if isinstance(module, Attention) and name.endswith("attn2"):
            recorders.append(RecordingAttention())
            module.set_processor(recorders[-1])
    return recorders


def grounding_loss(
    recorders: list[RecordingAttention], boxes: Tensor, spans: Tensor, aspect: float = 1.0
) -> Tensor:
    """(B,) cross-entropy between attention on a region's tokens and its box.

    The mean over a sample's regions and over layers; 0 where a sample has no regions.
    boxes: (B, R, 4) xyxy in [0, 1]; spans: (B, R, 2) start and stop in the sequence, equal where
    a sample has fewer than R regions; aspect: height of the latents over their width.
    """
    present = spans[..., 1] > spans[..., 0]  # (B, R)
    used = max(1, int(present.sum(dim=1).max()))
    boxes, spans, present = boxes[:, :used], spans[:, :used], present[:, :used]
    losses = []
    for recorder in recorders:
        attention = recorder.probabilities  # (B, N, L)
        position = torch.arange(attention.shape[-1], device=spans.device)
        member = (position >= spans[..., :1]) & (position < spans[..., 1:])  # (B, R, L)
        mass = attention.float() @ member.float().transpose(1, 2)  # (B, N, R)
        rows = round((attention.shape[1] * aspect) ** 0.5)
        inside = box_coverage(boxes, rows, attention.shape[1] // rows).flatten(2)  # (B, R, N)
        error = F.binary_cross_entropy(
            mass.transpose(1, 2).clamp(1e-4, 1 - 1e-4), inside, reduction="none"
        ).mean(dim=-1)
        losses.append((error * present).sum(dim=1) / present.sum(dim=1).clamp(min=1))
    return torch.stack(losses).mean(dim=0)


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
