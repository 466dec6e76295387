"""A look at every sample of a set: counts, boxes, tokens, what would be cut, what is broken."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import numpy as np
from tqdm import tqdm

from reco_core.layout import Layout, Region
from reco_core.position_tokens import DEFAULT_VOCABULARY, PositionVocabulary
from reco_core.positional_words import SMALL
from reco_core.sequence import build_sequence
from train.data.ahead import ahead
from train.data.decode import UNREADABLE
from train.data.limits import Limits
from train.data.problems import Problem
from train.data.region_texts import check_met
from train.data.report import Cut, Report, Summary
from train.data.sample import Sample, SampleSet, SampleStream, each_sample, is_stream, picture_of
from train.data.set_config import SetConfig
from train.data.transforms import largest_regions
from train.model.tokenizer import plain_tokenize

EDGE = 1e-3
"""Fractions of a picture within which a side touches its border."""
COMMON_TEXTS = 10


@dataclass(frozen=True)
class TrainedSets:
    """The sets of a training, what it has room for, and the side of pictures that it draws."""

    sets: tuple[SetConfig, ...]
    limits: Limits
    size: int


def check_set(
    opened: SampleSet | SampleStream,
    limits: Limits,
    decode: bool = True,
    pick: int = 0,
    threads: int = 0,
) -> tuple[Report, list[Sample]]:
    """The report of a set, and `pick` of its usable samples, drawn evenly.

    decode: read every picture, as the trainer will; those that cannot be read, or are not as large
        as annotated, count as broken. threads: that do it (0: one for each core).
    """
    problems: list[Problem] = []
    tally = Tally(limits)
    rng = np.random.default_rng(0)
    picked: list[Sample] = []
    total = None if is_stream(opened) else len(cast(SampleSet, opened))
    bar = tqdm(each_sample(opened, problems), "checking", total, unit="samples", delay=2)
    looked = ahead(bar, picture_fault, threads) if decode else ((s, None) for s in bar)
    for sample, fault in looked:
        if fault:
            problems.append(fault)
            continue
        tally.add(sample)
        place = len(picked) if len(picked) < pick else int(rng.integers(tally.samples))
        if place < pick:  # every sample so far has the same chance to be here
            picked[place : place + 1] = [sample]
    if tally.samples:
        check_met(opened, sample.key)
    clipped, crowds = (getattr(opened, name, 0) for name in ("clipped", "crowds"))
    return tally.report([*opened.problems, *problems], clipped, crowds, decode), picked


def picture_fault(sample: Sample) -> Problem | None:
    """Why the trainer cannot use a sample's picture; None when it can."""
    try:
        picture_of(sample)
    except UNREADABLE as error:
        return Problem.of(sample.key, error, "unreadable")
    return None


@dataclass
class Tally:
    """What has been counted so far."""

    limits: Limits
    samples: int = 0
    captions: int = 0
    touching: int = 0
    tiny: int = 0
    drawn_from: int = 0
    region_counts: Counter[int] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    cuts: list[Cut] = field(default_factory=list)
    values: dict[str, array] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        self.samples += 1
        self.captions += len(sample.captions)
        self.region_counts[len(sample.regions)] += 1
        self._note("width", sample.width)
        self._note("height", sample.height)
        for region in sample.regions:
            self._add_region(region, sample.width, sample.height)
        for caption in sample.captions:
            self._note("caption", token_count(caption))
        self._add_sequence(sample)

    def _add_region(self, region: Region, width: int, height: int) -> None:
        box = region.box
        self.texts[region.text] += 1
        self.tiny += box.area < SMALL
        self.touching += min(box.x0, box.y0) < EDGE or max(box.x1, box.y1) > 1 - EDGE
        self._note("area", box.area)
        self._note("aspect", (box.x1 - box.x0) * width / ((box.y1 - box.y0) * height))
        self._note("region", 4 + token_count(region.text))

    def _add_sequence(self, sample: Sample) -> None:
        """The longest caption with the regions a step can hold: the largest, if there are more."""
        regions = largest_regions(sample.regions, self.limits.max_regions)
        self.drawn_from += len(regions) < len(sample.regions)
        caption = max(sample.captions, key=token_count)
        bins = self.limits.num_bins
        layout = Layout(caption, regions if bins else ())
        vocabulary = PositionVocabulary(bins) if bins else DEFAULT_VOCABULARY
        sequence = build_sequence(layout, _tokens, self.limits.max_length, vocabulary)
        self._note("sequence", sequence.needed)
        if sequence.needed > self.limits.max_length:
            lost = [layout.regions[i].text for i in sequence.overflow]
            if sequence.caption_fits:
                reason = (
                    f"{len(lost)} of {len(layout.regions)} regions do not fit: {', '.join(lost)}"
                )
            else:
                reason = f"the caption alone has {token_count(caption)} tokens"
            over = sequence.needed - self.limits.max_length
            self.cuts.append(Cut(sample.key, over, reason))

    def _note(self, name: str, value: float) -> None:
        self.values.setdefault(name, array("d")).append(value)

    def report(
        self, problems: Sequence[Problem], clipped: int, crowds: int, decoded: bool
    ) -> Report:
        summaries = {
            name: Summary.of(self.values.get(name, ()))
            for name in ("width", "height", "area", "aspect", "caption", "region", "sequence")
        }
        return Report(
            samples=self.samples,
            captions=self.captions,
            regions=sum(count * number for count, number in self.region_counts.items()),
            decoded=decoded,
            regions_per_sample=dict(sorted(self.region_counts.items())),
            **summaries,
            touching=self.touching,
            tiny=self.tiny,
            clipped=clipped,
            crowds=crowds,
            max_length=self.limits.max_length,
            max_regions=self.limits.max_regions,
            drawn_from=self.drawn_from,
            common_texts=tuple(self.texts.most_common(COMMON_TEXTS)),
            cuts=tuple(self.cuts),
            problems=tuple(problems),
        )


@lru_cache(maxsize=200_000)
def _tokens(text: str) -> tuple[int, ...]:
    return tuple(plain_tokenize()(text))


def token_count(text: str) -> int:
    """Tokens of a text with BOS and EOS."""
    return len(_tokens(text))
