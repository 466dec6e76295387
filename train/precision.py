"""Precisions of numbers, by the names that options give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
"""Of stored weights."""
MixedPrecision = Literal["no", "bf16", "fp16"]
"""Of matrix products beside fp32 weights; no: they are fp32 too."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
MIXED_PRECISIONS: tuple[MixedPrecision, ...] = get_args(MixedPrecision)


def dtype_of(precision: Precision) -> torch.dtype:
    """torch's name of a precision."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
