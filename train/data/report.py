"""What a check of a data set found, as text and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reco_core.positional_words import SMALL
from train.data.problems import Problem, check_losses, counted, problem_table

_BAR = 40  # characters of the longest bar
_CUTS = 30  # that are printed
_ROWS = 24  # of a histogram


@dataclass(frozen=True)
class Summary:
    """How some numbers are spread; all 0 when there are none."""

    minimum: float = 0
    median: float = 0
    p95: float = 0
    maximum: float = 0

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        return cls(*np.percentile(values, (0, 50, 95, 100)).tolist()) if len(values) else cls()


@dataclass(frozen=True)
class Cut:
    """A sample that does not fit into L, by how many tokens, and what is lost."""

    key: str
    tokens: int
    reason: str


@dataclass(frozen=True)
class Report:
    """What a set holds that can be used, and what is left out.

    width, height: of pictures in pixels. area: of boxes, share of the picture; aspect: width over
    height in pixels; touching, tiny, clipped: boxes at the border, below SMALL of the picture, and
    cut at its edges. caption, region, sequence: tokens, with BOS and EOS; a region's with its four
    position tokens. drawn_from: samples with more than max_regions regions; their sequence is
    counted with the largest.
    """

    samples: int
    captions: int
    regions: int
    decoded: bool
    regions_per_sample: dict[int, int]
    width: Summary
    height: Summary
    area: Summary
    aspect: Summary
    touching: int
    tiny: int
    clipped: int
    crowds: int
    caption: Summary
    region: Summary
    sequence: Summary
    max_length: int
    max_regions: int
    drawn_from: int
    common_texts: tuple[tuple[str, int], ...]
    cuts: tuple[Cut, ...]
    problems: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return dataclasses.asdict(self)

    def check(self, name: str) -> None:
        """Raise ValueError when nothing is left of the set of this name, or of its regions."""
        check_losses(name, self.samples, self.regions, self.problems, self.crowds)

    def to_text(self) -> str:
        """The report for a person."""
        return "\n".join(
            [
                *self._counts(),
                *_histogram("regions per sample", self.regions_per_sample),
                *self._spreads(),
                *self._common(),
                *self._cut(),
                *self._left_out(),
            ]
        )

    def _counts(self) -> Iterator[str]:
        yield f"{self.samples} samples, {self.captions} captions, {self.regions} regions"
        if self.crowds:
            yield f"{self.crowds} crowds (iscrowd), which are no regions"
        yield "every picture was read" if self.decoded else "pictures were not read (--no-decode)"
        for count, what in (
            (self.touching, "touch the border"),
            (self.tiny, f"are smaller than 1/{1 / SMALL:.0f} of the picture"),
            (self.clipped, "stuck out of the picture and were cut at its edges"),
        ):
            if count:
                yield f"{count} boxes ({count / max(self.regions, 1):.1%}) {what}"

    def _spreads(self) -> Iterator[str]:
        yield ""
        yield f"{'':26}{'min':>9}{'median':>9}{'95 %':>9}{'max':>9}"
        for name, summary, digits in (
            ("picture width", self.width, 0),
            ("picture height", self.height, 0),
            ("box area / picture", self.area, 4),
            ("box width / height", self.aspect, 2),
            ("tokens of a caption", self.caption, 0),
            ("tokens of a region", self.region, 0),
            ("tokens of a sequence", self.sequence, 0),
        ):
            cells = "".join(f"{v:9.{digits}f}" for v in dataclasses.astuple(summary))
            yield f"{name:26}{cells}"

    def _common(self) -> Iterator[str]:
        if self.common_texts:
            yield ""
            yield "most common region texts"
            yield from (f"{count:9}  {text}" for text, count in self.common_texts)

    def _cut(self) -> Iterator[str]:
        yield ""
        if self.drawn_from:
            yield (
                f"{self.drawn_from} samples have more than {self.max_regions} regions: training "
                "draws that many each time; below, the largest count"
            )
        if not self.cuts:
            yield f"every sequence fits into L = {self.max_length}"
            return
        yield (
            f"{len(self.cuts)} samples are cut at L = {self.max_length} (training shuffles the "
            "regions, so others may be lost there)"
        )
        for cut in self.cuts[:_CUTS]:
            yield f"  {cut.key}: {cut.tokens} tokens too many, {cut.reason}"
        if len(self.cuts) > _CUTS:
            yield f"  and {len(self.cuts) - _CUTS} more; --json names all"

    def _left_out(self) -> Iterator[str]:
        yield ""
        if not self.problems:
            yield "no problems"
            return
        yield f"{len(self.problems)} problems; left out: {counted(self.problems)}"
        yield from problem_table(self.problems)


def _histogram(title: str, counts: dict[int, int]) -> Iterator[str]:
    """A bar for each number; what comes after the last row that is shown shares one."""
    if not counts:
        return
    yield ""
    yield title
    rows = {str(n): counts.get(n, 0) for n in range(min(max(counts) + 1, _ROWS))}
    if rest := sum(count for number, count in counts.items() if number >= _ROWS):
        rows[f"{_ROWS} or more"] = rest
    most = max(rows.values())
    for name, count in rows.items():
        yield f"{name:>11} {count:9} {'#' * round(_BAR * count / most)}".rstrip()
