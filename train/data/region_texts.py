"""Region texts that `python -m train data caption` wrote, in place of a set's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from reco_core.checks import check_text, quote
from train.data.json_lines import parse_object
from train.data.problems import Problem
from train.data.sample import Sample, SampleSet, SampleStream

RegionTexts = Mapping[str, Mapping[int, str]]
"""Sample's key -> index of a region -> its text."""


class RetoldSet:
    """A set whose regions have other texts."""

    def __init__(self, told: SampleSet, texts: RegionTexts, problems: list[Problem]):
        self.told, self.texts = told, texts
        self.problems = [*told.problems, *problems]
        self.clipped, self.crowds = (getattr(told, name, 0) for name in ("clipped", "crowds"))
        self.is_met = False

    def __len__(self) -> int:
        return len(self.told)

    def __getitem__(self, index: int) -> Sample:
        sample = self.told[index]
        self.is_met = self.is_met or sample.key in self.texts
        return retell(sample, self.texts)


class RetoldStream:
    """A stream whose regions have other texts."""

    def __init__(self, told: SampleStream, texts: RegionTexts, problems: list[Problem]):
        self.told, self.texts = told, texts
        self.problems = told.problems  # the same list, which grows as the stream is read
        self.problems += problems
        self.is_met = False

    @property
    def clipped(self) -> int:
        return getattr(self.told, "clipped", 0)

    def epoch(self, number: int, seed: int, worker: int = 0, workers: int = 1) -> Iterator[Sample]:
        self.is_met = False
        key = ""
        for sample in self.told.epoch(number, seed, worker, workers):
            key = sample.key
            self.is_met = self.is_met or key in self.texts
            try:
                yield retell(sample, self.texts)
            except ValueError as error:
                self.problems.append(Problem.of(key, error))
        if key:
            check_met(self, key)


def check_met(opened: object, key: str) -> None:
    """Raise ValueError when a set has region texts, and none is for a sample read so far.

    key: of one of these, to be compared.
    """
    if isinstance(opened, RetoldSet | RetoldStream) and opened.texts and not opened.is_met:
        raise ValueError(
            f"region_captions has texts for {len(opened.texts)} samples, such as "
            f"{quote(next(iter(opened.texts)))}, and none for those of this set, such as "
            f"{quote(key)}: make them anew for this set (python -m train data caption)"
        )


def retell(sample: Sample, texts: RegionTexts) -> Sample:
    """The sample with the regions' texts that are given for it; others keep theirs.

    Raises ValueError when a text is for a region the sample has not: it is of another set.
    """
    own = texts.get(sample.key, {})
    if not own:
        return sample
    if max(own) >= len(sample.regions):
        raise ValueError(
            f"{sample.key}: region_captions has a text for region {max(own) + 1} of "
            f"{len(sample.regions)}; make them anew for this set"
        )
    return replace(
        sample,
        regions=tuple(
            replace(region, text=own.get(index, region.text))
            for index, region in enumerate(sample.regions)
        ),
    )


def read_region_texts(path: Path) -> tuple[RegionTexts, list[Problem]]:
    """What `python -m train data caption` wrote, and which lines cannot be used.

    Of several texts for a region the last counts. Raises ValueError when there is no such file.
    """
    if not path.is_file():
        raise ValueError(f"region_captions = {str(path)!r} is not a file")
    texts: dict[str, dict[int, str]] = defaultdict(dict)
    problems = []
    with path.open("rb") as file:
        for number, line in enumerate(tqdm(file, desc=path.name, unit="lines", delay=2), 1):
            try:
                key, index, text = _region_text(line)
            except ValueError as error:
                problems.append(Problem.of(f"{path.name}:{number}", error, "words"))
            else:
                texts[key][index] = text
    return dict(texts), problems


def _region_text(line: bytes) -> tuple[str, int, str]:
    data = parse_object(line)
    key, index, text = (data.get(name) for name in ("key", "index", "text"))
    if not isinstance(key, str) or not isinstance(index, int) or index < 0:
        raise ValueError(f'expected {{"key", "index", "text"}}, got {quote(data)}')
    check_text("text", text)
    if not str(text).strip():
        raise ValueError(f"region {index} of {quote(key)} has no text")
    return key, index, str(text)
