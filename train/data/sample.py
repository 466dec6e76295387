"""One picture with its words: what every reader of a data set yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from PIL import Image

from reco_core.layout import Region
from train.data.decode import UNREADABLE, UnreadablePicture
from train.data.problems import Problem


@dataclass(frozen=True)
class Sample:
    """A picture, its captions and its regions; readers never change what is stored.

    key: names it in its set and in reports, unique there (a file name, an image id).
    captions: at least one; training draws one each time, everything else takes the first.
    regions: boxes are xyxy fractions of the picture as `open` returns it.
    width, height: of that picture, in pixels.
    open: reads the picture, PIL mode RGB; can be pickled. Raises one of UNREADABLE when it is
        broken.
    version: changes when the picture does (size and time of a file); part of a cache's key.
    """

    key: str
    captions: tuple[str, ...]
    regions: tuple[Region, ...]
    width: int
    height: int
    open: Callable[[], Image.Image]
    version: str = ""


class SampleSet(Protocol):
    """A set that can be indexed; `problems` lists what its reader left out."""

    problems: list[Problem]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, made anew from what is stored. Raises one of UNREADABLE if it cannot."""


class SampleStream(Protocol):
    """A set that is read from front to back, for data that outgrow a disk."""

    problems: list[Problem]

    def epoch(self, number: int, seed: int, worker: int, workers: int) -> Iterator[Sample]:
        """The samples of an epoch in its own order, worker `worker`'s share of `workers`."""


def is_stream(opened: SampleSet | SampleStream) -> bool:
    """Whether a set can only be read from front to back."""
    return hasattr(opened, "epoch")


def each_sample(opened: SampleSet | SampleStream, problems: list[Problem]) -> Iterator[Sample]:
    """Every sample of a set or of a stream's first epoch; those that cannot be made are named."""
    if is_stream(opened):
        yield from cast(SampleStream, opened).epoch(0, 0, 0, 1)
        return
    indexed = cast(SampleSet, opened)
    for index in range(len(indexed)):
        try:
            yield indexed[index]
        except UNREADABLE as error:
            problems.append(Problem.of(f"sample {index + 1}", error))


def picture_of(sample: Sample) -> Image.Image:
    """A sample's picture, RGB. Raises one of UNREADABLE when it is broken, or of another size."""
    image = sample.open()
    if image.size != (sample.width, sample.height):
        raise UnreadablePicture(
            f"the picture is {image.width} x {image.height} pixels, its entry says "
            f"{sample.width} x {sample.height}",
            "size",
        )
    return image
