"""Embedding tables whose new rows freeze, learn and decay apart from the old ones."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextModel
from transformers.models.clip.modeling_clip import CLIPTextEmbeddings

from reco_core.position_tokens import CLIP_LENGTH, CLIP_VOCABULARY_SIZE


class ExtendedEmbedding(nn.Module):
    """An embedding table in two parameters: the rows it had, and those ReCo adds.

    In state dicts it is one tensor `weight`, as it is in CLIP.
    """

    def __init__(self, table: Tensor, old_rows: int):
        super().__init__()
        self.old = nn.Parameter(table[:old_rows].detach().clone())
        self.new = nn.Parameter(table[old_rows:].detach().clone())

    @property
    def weight(self) -> Tensor:
        """The whole table (rows, width), a copy."""
        return torch.cat([self.old, self.new])

    def forward(self, ids: Tensor) -> Tensor:
        """ids (...,) -> rows (..., width)."""
        count = len(self.old)
        old = F.embedding(ids.clamp(max=count - 1), self.old)
        new = F.embedding((ids - count).clamp(min=0), self.new)
        return torch.where((ids >= count)[..., None], new, old)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.weight if keep_vars else self.weight.detach()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        if f"{prefix}weight" in state_dict:
            table = state_dict[f"{prefix}weight"]
            state_dict = {f"{prefix}old": table[: len(self.old)]}
            state_dict[f"{prefix}new"] = table[len(self.old) :]
        super()._load_from_state_dict(state_dict, prefix, *rest)


def split_tables(encoder: CLIPTextModel) -> None:
    """Split the token table after CLIP's vocabulary, the position table after CLIP's 77 rows."""
    embeddings = next(m for m in encoder.modules() if isinstance(m, CLIPTextEmbeddings))
    for name, rows in (
        ("token_embedding", CLIP_VOCABULARY_SIZE),
        ("position_embedding", CLIP_LENGTH),
    ):
        table = getattr(embeddings, name).weight
        if len(table) > rows:
            setattr(embeddings, name, ExtendedEmbedding(table, rows))


def position_token_rows(encoder: CLIPTextModel) -> Tensor:
    """The rows (bins, width) of an encoder's position tokens, which may be none."""
    table = encoder.get_input_embeddings()
    if isinstance(table, ExtendedEmbedding):
        return table.new.detach()
    return table.weight.detach()[CLIP_VOCABULARY_SIZE:]


def neighbour_cosine(rows: Tensor) -> float:
    """The mean cosine of each row (bins, width) and the next: near 1 where neighbouring bins mean
    nearly the same, near 0 for rows without order. Noise alone wears an ordered start down."""
    rows = rows.float()
    return float(F.cosine_similarity(rows[:-1], rows[1:], dim=1).mean())
