"""The rows of several adapters on one checkpoint: their LoRA matrices add up, their rows cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .adapter import POSITION_ROWS, TOKEN_ROWS, Adapter
from .checks import quote

if TYPE_CHECKING:
    import torch

Applied = Sequence[tuple[Adapter, float]]
"""Adapters and the strengths of their LoRA in the text encoder, in the order they were applied."""

_RELATED = 0.5
"""Correlation of rows that began as the same and were trained apart; of others it is near 0."""


def mean_rows(applied: Applied) -> dict[str, torch.Tensor]:
    """The rows of all adapters by their name, as the mean by the size of their strengths.

    So the rows of one adapter are taken whole at any strength, and one at strength 0 beside others
    changes none.

    Raises:
        ValueError: the adapters bring different numbers of rows.
    """
    first, last = applied[0][0].info, applied[-1][0].info
    if (first.num_bins, first.max_length) != (last.num_bins, last.max_length):
        raise ValueError(
            f"the adapter has {last.num_bins} position tokens and {last.max_length} positions, and "
            f"the one before it {first.num_bins} and {first.max_length}: choose adapters that go "
            "together, or use one"
        )
    shares = [abs(strength) for _, strength in applied]
    total = sum(shares)
    if not total:
        shares, total = [1.0] * len(applied), len(applied)
    heard = [
        (adapter, share / total)
        for (adapter, _), share in zip(applied, shares, strict=True)
        if share
    ]
    if len(heard) == 1:
        return {name: heard[0][0].tensors[name] for name in (TOKEN_ROWS, POSITION_ROWS)}
    return {
        name: sum(share * adapter.tensors[name].float() for adapter, share in heard)
        for name in (TOKEN_ROWS, POSITION_ROWS)
    }


def rows_warning(applied: Applied) -> str:
    """What to tell who applies an adapter whose position tokens are unlike those of the one before;
    empty if they are alike, or one of both is at strength 0."""
    if len(applied) < 2 or not (applied[-1][1] and applied[-2][1]):
        return ""
    last, before = applied[-1][0], applied[-2][0]
    likeness = _correlation(last.tensors[TOKEN_ROWS], before.tensors[TOKEN_ROWS])
    if likeness >= _RELATED:
        return ""
    return (
        f"The position tokens of this adapter{_trained_on(last)} and of the one before it"
        f"{_trained_on(before)} began apart (their correlation is {likeness:.2f}), so their mean "
        "may place no boxes. Use one of both, or adapters that were trained from the same ReCo "
        "checkpoint."
    )


def _trained_on(adapter: Adapter) -> str:
    return f", trained on {quote(adapter.info.base)}," if adapter.info.base else ""


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = (rows.float().flatten() - rows.float().mean() for rows in (a, b))
    return float(a @ b / (a.norm() * b.norm()).clamp(min=1e-12))
