"""Encode layouts whose regions have strengths, times, negatives and bounds: conditioning that the
sampling of region_sampling.py reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import comfy.sd

from ..reco_core.containment import APART, PADDING, Containment, Seen
from ..reco_core.control import Phase, phases
from ..reco_core.layout import Layout, Region
from ..reco_core.remarks import Reading
from ..reco_core.sequence import Span
from .account import Account, read_prompt
from .controlled import Controlled, States
from .encoding import Encoded, encode_parts, reco_tokenizer
from .inputs import OVERFLOW_ERROR
from .joined import Part, describe, left_out, sequences_of
from .region_sampling import KEY, NEEDS, NeedsControl
from .tokenizer import ReCoTokenizer


@dataclass(frozen=True)
class Prompt:
    """A prompt that is encoded with control. guidance: of its regions, 1 is as trained."""

    clip: comfy.sd.CLIP
    tokenizer: ReCoTokenizer
    account: Account
    containment: Containment | None
    guidance: float
    overflow: str

    def parts(self, regions: Sequence[int]) -> tuple[Part, ...]:
        return sequences_of(self.account, self.tokenizer, self.overflow, regions)

    @property
    def regions(self) -> tuple[Region, ...]:
        return self.account.layout.regions


def encode_controlled(
    clip: comfy.sd.CLIP,
    prompt: Layout | str | Reading,
    containment: Containment | None = None,
    guidance: float = 1.0,
    overflow: str = OVERFLOW_ERROR,
    size: tuple[int, int] | None = None,
) -> Encoded:
    """Encode a prompt with the control that its regions say.

    containment: of the regions in their boxes. guidance: how far the regions draw away from the
    caption alone, in multiples of the CFG scale. Raises ValueError as encode_prompt, and where the
    regions' times divide the sampling too often.
    """
    tokenizer = reco_tokenizer(clip)
    account = read_prompt(tokenizer, prompt, size)
    p = Prompt(clip, tokenizer, account, containment, guidance, overflow)
    times = phases([region.control for region in p.regions])
    parts = [p.parts(phase.regions) for phase in times]
    fullest = max(parts, key=lambda some: sum(len(part.regions) for part in some))
    readings = [(phase.regions, some) for phase, some in zip(times, parts, strict=True)]
    remarks = (*account.remarks, *left_out(account, tokenizer, readings))
    report = "\n".join([*_times(p, times), describe(account, tokenizer, fullest, remarks)])
    return Encoded(_conditioning(p, times, parts), report, remarks)


def _conditioning(p: Prompt, times: Sequence[Phase], parts: Sequence[tuple[Part, ...]]) -> list:
    """A conditioning entry for each that the CLIP's own schedule has."""
    encoded = [_encoded(p, some) for some in parts]
    is_plain = len(times) == 1 and p.guidance == 1 and not p.containment
    if is_plain and all(region.control.strength == 1 for region in p.regions):
        return encoded[0]
    captions = encode_parts(p.clip, p.parts(())) if p.guidance != 1 else None
    conditioning = []
    for index, (states, options) in enumerate(encoded[0]):
        controlled = Controlled(
            layout=p.account.layout,
            phases=tuple(
                States(phase.start, phase.end, entry[index][0], *_seen(p, some))
                for phase, some, entry in zip(times, parts, encoded, strict=True)
            ),
            caption=captions[index][0] if captions else None,
            guidance=p.guidance,
            containment=p.containment,
        )
        guard = {**options.get("model_conds", {}), NEEDS: NeedsControl()}
        conditioning.append([states, {**options, KEY: controlled, "model_conds": guard}])
    return conditioning


def _encoded(p: Prompt, parts: tuple[Part, ...]) -> list:
    conditioning = encode_parts(p.clip, parts)
    if not p.containment or p.containment.how != APART:
        return conditioning
    for part, offset in _offsets(parts):
        for index, span in zip(part.regions, part.sequence.region_spans, strict=True):
            alone = p.parts((index,))
            (source,) = alone[0].sequence.region_spans
            for entry, (states, _) in zip(conditioning, encode_parts(p.clip, alone), strict=True):
                entry[0][:, offset + span[0] : offset + span[1]] = states[:, slice(*source)]
    return conditioning


def _seen(p: Prompt, parts: tuple[Part, ...]) -> tuple[tuple[Seen, ...], tuple[Span, ...]]:
    """The regions and where their tokens are, and what no cell is to see: padding that has read
    them."""
    seen = [
        Seen(p.regions[index], (_shifted(span, offset),))
        for part, offset in _offsets(parts)
        for index, span in zip(part.regions, part.sequence.region_spans, strict=True)
    ]
    if not seen or not p.containment or p.containment.how != PADDING:
        return tuple(seen), ()
    padding = [_shifted(part.sequence.padding_span, offset) for part, offset in _offsets(parts)]
    return tuple(seen), tuple(padding)


def _offsets(parts: Sequence[Part]) -> Iterator[tuple[Part, int]]:
    """Each sequence and where it begins among all."""
    offset = 0
    for part in parts:
        yield part, offset
        offset += len(part.sequence.ids)


def _shifted(span: Span, offset: int) -> Span:
    return span[0] + offset, span[1] + offset


def _times(p: Prompt, times: Sequence[Phase]) -> Iterator[str]:
    """Lines on when which regions count, where that changes, and how strongly."""
    for phase in times if len(times) > 1 else ():
        named = ", ".join(str(index + 1) for index in phase.regions) or "none"
        yield f"from {phase.start:.0%} to {phase.end:.0%}: regions {named}"
    for number, region in enumerate(p.regions, start=1):
        if region.control.strength != 1:
            yield f"region {number}: strength {region.control.strength:g}"
