"""The sequences in which a text encoder reads a layout: one, or as many as it takes, joined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..reco_core.joining import MOST_SEQUENCES, share_out
from ..reco_core.layout_remarks import layout_weights
from ..reco_core.remarks import Remark
from ..reco_core.report import describe_sequence
from ..reco_core.sequence import Span, TokenSequence, take_regions
from .account import Account, overflow_error, overflow_remarks
from .inputs import OVERFLOW_DROP, OVERFLOW_ERROR, OVERFLOW_JOIN
from .remarks import weighted_spans
from .tokenizer import ReCoTokenizer


@dataclass(frozen=True)
class Part:
    """A sequence, and the indices of the regions in it."""

    sequence: TokenSequence
    regions: tuple[int, ...]


Parts = Sequence[Part]


def sequences_of(
    account: Account,
    tokenizer: ReCoTokenizer,
    overflow: str,
    regions: Sequence[int] | None = None,
) -> tuple[Part, ...]:
    """The sequences of a prompt's caption and regions, or of some of its regions, by index.

    Raises ValueError where they do not fit, unless overflow leaves the last ones out.
    """
    whole, limit = account.whole, tokenizer.info.max_length
    wanted = list(range(len(whole.region_spans))) if regions is None else list(regions)
    caption, *lengths = map(_length, (whole.caption_span, *(whole.region_spans[i] for i in wanted)))
    shares = share_out(caption, lengths, limit)
    if shares is None and (caption > limit or overflow != OVERFLOW_DROP):
        raise ValueError(_too_long(account, limit, overflow))
    if overflow == OVERFLOW_ERROR and shares is not None and len(shares) > 1:
        raise ValueError(_too_long(account, limit, overflow))
    if overflow != OVERFLOW_JOIN:
        shares = (_head(caption, lengths, limit),)
    chosen = [tuple(wanted[i] for i in share) for share in shares or ()]
    return tuple(Part(take_regions(whole, c, limit, tokenizer.padding), c) for c in chosen)


def _length(span: Span) -> int:
    return span[1] - span[0]


def _head(caption: int, lengths: Sequence[int], limit: int) -> tuple[int, ...]:
    """The first regions that fit into one sequence."""
    used, head = caption, 0
    for length in lengths:
        used += length
        if used > limit:
            break
        head += 1
    return tuple(range(head))


def _too_long(account: Account, limit: int, overflow: str) -> str:
    if overflow != OVERFLOW_JOIN or not account.sequence.caption_fits:
        remedy = f"set overflow to {OVERFLOW_DROP!r} or {OVERFLOW_JOIN!r}"
        return overflow_error(account, limit, remedy)
    return (
        f"the layout needs {account.whole.needed} tokens, and {MOST_SEQUENCES} sequences of this "
        f"checkpoint's {limit}, each with the caption, do not hold them: shorten the texts, or "
        "remove regions"
    )


def left_out(
    account: Account, tokenizer: ReCoTokenizer, readings: Iterable[tuple[Iterable[int], Parts]]
) -> tuple[Remark, ...]:
    """What sequences have no room for. readings: regions that were to be in some, and these."""
    dropped = {
        index: account.layout.regions[index].text
        for wanted, parts in readings
        for index in sorted(set(wanted) - {i for part in parts for i in part.regions})
    }
    return overflow_remarks(replace(account, dropped=dropped), tokenizer.info.max_length)


def describe(
    account: Account, tokenizer: ReCoTokenizer, parts: Sequence[Part], remarks: Sequence[Remark]
) -> str:
    """How the prompt was read, in words."""
    warnings = [remark.message for remark in remarks]
    if len(parts) == 1:
        return _describe(account, tokenizer, parts[0], warnings)
    used, room = (sum(counts) for counts in zip(*map(_counts, parts), strict=True))
    regions = sum(len(part.regions) for part in parts)
    lines = [f"Warning: {warning}" for warning in warnings]
    lines.append(f"{used} of {room} tokens used, {regions} regions, in {len(parts)} sequences")
    for number, part in enumerate(parts, start=1):
        lines.append(f"\nsequence {number}\n{_describe(account, tokenizer, part, ())}")
    return "\n".join(lines)


def _counts(part: Part) -> tuple[int, int]:
    return part.sequence.used, len(part.sequence.ids)


def _describe(
    account: Account, tokenizer: ReCoTokenizer, part: Part, warnings: Sequence[str]
) -> str:
    regions = account.layout.regions
    layout = replace(account.layout, regions=tuple(regions[index] for index in part.regions))
    return describe_sequence(
        layout,
        part.sequence,
        tokenizer.vocabulary,
        tokenizer.decode,
        warnings,
        layout_weights(layout, weighted_spans),
        part.regions,
    )
