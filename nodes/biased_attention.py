"""Cross-attention with a bias for each row: what cells of the picture see of its tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy.ldm.modules.attention import optimized_attention, optimized_attention_masked

BIASES = "reco_biases"  # of transformer_options: uuid of a row -> its Bias

Replacement = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, dict], torch.Tensor]


class BiasedAttention:
    """In place of a block's cross-attention; as that where none of the rows has a bias.

    before: another replacement. It keeps what it adds to ordinary attention, as adapters of image
    prompts do, and that is computed twice more for it.
    """

    def __init__(self, before: Replacement | None = None) -> None:
        self.before = before

    def __call__(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]
    ) -> torch.Tensor:
        bias = _bias(q, k, options)
        if bias is None:
            return self.before(q, k, v, options) if self.before else _attention(q, k, v, options)
        biased = _attention(q, k, v, options, bias)
        if self.before is None:
            return biased
        return self.before(q, k, v, options) + biased - _attention(q, k, v, options)


def _attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    options: dict[str, Any],
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    kwargs = {"attn_precision": options["attn_precision"], "transformer_options": options}
    if bias is None:
        return optimized_attention(q, k, v, options["n_heads"], **kwargs)
    return optimized_attention_masked(q, k, v, options["n_heads"], bias, **kwargs)


def _bias(q: torch.Tensor, k: torch.Tensor, options: dict[str, Any]) -> torch.Tensor | None:
    """(B, cells, tokens) for the rows at hand, or None."""
    height, width = options["activations_shape"][-2:]
    rows = options["uuids"]
    biases = [options[BIASES].get(row) for row in rows]
    made = [one and one.on((width, height), q) for one in biases]
    if all(bias is None for bias in made):
        return None
    cells, tokens = q.shape[1], k.shape[1]
    if cells != width * height:
        raise ValueError(
            f"cross-attention has {cells} cells where the picture has {width} x {height}: another "
            "node merges or splits them, with which ReCo's strengths and containment do not work"
        )
    empty = q.new_zeros(cells, tokens)
    # Shorter sequences are repeated to the length of the longest.
    full = [empty if b is None else b.repeat(1, tokens // b.shape[1]) for b in made]
    return torch.stack(full).repeat_interleave(q.shape[0] // len(rows), dim=0)
