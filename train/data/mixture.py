"""Several data sets as one, each sample with the size it is trained at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from tqdm import tqdm

from train.data.buckets import buckets, nearest_bucket, nearest_size
from train.data.decode import UNREADABLE
from train.data.options import DataConfig
from train.data.problems import Problem, check_losses
from train.data.region_texts import check_met
from train.data.sample import Sample, SampleSet
from train.data.set_config import SetConfig
from train.data.sets import open_set

Size = tuple[int, int]


@dataclass(frozen=True)
class Mixture:
    """Samples of several sets, some more than once; what cannot be used is left out.

    entries: (set, index in it) of every sample; targets: its width and height in pixels; places:
    where each set is from.
    """

    sets: Sequence[SampleSet]
    entries: Sequence[tuple[int, int]]
    targets: Sequence[Size]
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    places: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def sample(self, number: int) -> Sample:
        """Sample `number`. Raises ValueError that names its set where it can no longer be read."""
        chosen, index = self.entries[number]
        try:
            return self.sets[chosen][index]
        except (ValueError, OSError) as error:
            place = self.places[chosen] if self.places else f"set {chosen}"
            raise ValueError(
                f"sample {index} of {place!r} can no longer be read ({error}): a file of this set "
                "was changed since it was opened; bring back what it was and run the same command"
            ) from error

    def take(self, numbers: Sequence[int]) -> Mixture:
        """The same with only these samples, by number."""
        return replace(
            self,
            entries=[self.entries[n] for n in numbers],
            targets=[self.targets[n] for n in numbers],
        )

    def split(self, held_out: int) -> tuple[Mixture, Mixture]:
        """All but the last `held_out` samples of the first set, and those."""
        last = len(self.sets[0]) - held_out
        inside = [n for n, (chosen, index) in enumerate(self.entries) if chosen or index < last]
        outside = {e: n for n, e in enumerate(self.entries) if e[0] == 0 and e[1] >= last}
        return self.take(inside), self.take(list(outside.values()))


def open_mixture(sets: Sequence[SetConfig], config: DataConfig, image_size: int) -> Mixture:
    """Open sets and look at every sample once, without its pixels.

    Raises:
        ValueError: shards, which are read from front to back, a set that cannot be opened, or one
            of which nothing is left, or no region where regions are used.
    """
    if streams := [one.kind for one in sets if one.is_stream]:
        raise ValueError(
            f"{streams[0]} cannot be mixed with other sets: give one set of {streams[0]} alone"
        )
    opened = [cast(SampleSet, open_set(one, image_size)) for one in sets]
    problems: list[Problem] = []
    targets = PictureSizes(config, image_size)
    entries: list[tuple[int, int]] = []
    sizes: list[Size] = []
    bar = tqdm(total=sum(map(len, opened)), desc="reading the sets", unit="samples", delay=2)
    for chosen, one in enumerate(opened):
        lost, samples, regions, key = list(one.problems), 0, 0, ""
        for index in range(len(one)):
            bar.update()
            try:
                sample = one[index]
            except UNREADABLE as error:
                lost.append(Problem.of(f"sample {index + 1} of set {chosen + 1}", error))
                continue
            entries += [(chosen, index)] * sets[chosen].repeats
            sizes += [targets.of(sample)] * sets[chosen].repeats
            samples, key = samples + 1, sample.key
            regions += len(sample.regions)
        problems += lost
        if key:
            check_met(one, key)
        needed = regions if config.use_regions else samples
        name = f"{sets[chosen].kind} {sets[chosen].place!r}"
        check_losses(name, samples, needed, lost, getattr(one, "crowds", 0))
    bar.close()
    places = tuple(one.place or one.kind for one in sets)
    return Mixture(opened, entries, sizes, tuple(problems), places)


class PictureSizes:
    """The size a picture is trained at: a square, or the bucket nearest its shape."""

    def __init__(self, config: DataConfig, image_size: int):
        self.sizes, self.nearest = [(image_size, image_size)], nearest_bucket
        if config.bucket_sizes:
            self.sizes, self.nearest = list(dict.fromkeys(config.bucket_sizes)), nearest_size
        elif config.buckets:
            self.sizes = buckets(image_size, config.bucket_step, config.max_aspect)

    def of(self, sample: Sample) -> Size:
        if len(self.sizes) == 1:
            return self.sizes[0]
        return self.nearest(sample.width, sample.height, self.sizes)
