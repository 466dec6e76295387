"""Several data sets as one, each sample with the size it is trained at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from train.data.buckets import buckets, nearest_bucket, nearest_size
from train.data.options import DataConfig
from train.data.outline import Outline, outline_of
from train.data.problems import Problem, check_losses
from train.data.sample import Sample, SampleSet
from train.data.set_config import SetConfig
from train.data.sets import open_set

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Samples of several sets, some more than once; what cannot be used is left out.

    entries: (N, 2) set, and index in it, of every sample. sizes: (N, 2) its width and height in
    pixels. blocks: (N,) what it is near to in its set; -1 where any order is as good. places: where
    each set is from.
    """

    sets: Sequence[SampleSet]
    entries: np.ndarray
    sizes: np.ndarray
    blocks: np.ndarray
    problems: tuple[Problem, ...] = field(default=())
    places: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def target(self, number: int) -> Size:
        """Width and height in pixels that sample `number` is trained at."""
        width, height = self.sizes[number].tolist()
        return width, height

    def sample(self, number: int) -> Sample:
        """Sample `number`. Raises ValueError that names its set where it can no longer be read."""
        chosen, index = self.entries[number].tolist()
        try:
            return self.sets[chosen][index]
        except (ValueError, OSError) as error:
            place = self.places[chosen] if self.places else f"set {chosen}"
            raise ValueError(
                f"sample {index} of {place!r} can no longer be read ({error}): a file of this set "
                "was changed since it was opened; bring back what it was and run the same command"
            ) from error

    def lost(self, number: int, error: Exception) -> Problem:
        """The problem of a sample that `sample` raised for."""
        return Problem.of(f"sample {number + 1}", error)

    def take(self, numbers: np.ndarray | Sequence[int]) -> Mixture:
        """The same with only these samples, by number."""
        taken = {name: getattr(self, name)[numbers] for name in ("entries", "sizes", "blocks")}
        return replace(self, **taken)

    def split(self, held_out: int) -> tuple[Mixture, Mixture]:
        """All but the last `held_out` samples of the first set, and those, each once."""
        chosen, index = self.entries.T
        is_last = (chosen == 0) & (index >= len(self.sets[0]) - held_out)
        _, once = np.unique(index[is_last], return_index=True)
        return self.take(np.flatnonzero(~is_last)), self.take(np.flatnonzero(is_last)[once])


def mix(
    sets: Sequence[SampleSet],
    outlines: Sequence[Outline],
    repeats: Sequence[int],
    sizes: PictureSizes,
    places: tuple[str, ...] = (),
) -> Mixture:
    """Sets as one, in their order. repeats: how often each set's samples come, one by one."""
    entries, targets, blocks, first = [], [], [], 0
    for chosen, (one, outline, count) in enumerate(zip(sets, outlines, repeats, strict=True)):
        indices = np.repeat(outline.indices, count)
        entries.append(np.stack([np.full(len(indices), chosen), indices], axis=1))
        targets.append(np.repeat(sizes.of_all(outline.sizes), count, axis=0))
        size = getattr(one, "block", 0)
        if not size:
            blocks.append(np.full(len(indices), -1))
            continue
        # Each time that a sample is shown has blocks of its own, so that they come far apart.
        turns = np.tile(np.arange(count), len(outline.indices))
        number = len(one) // size + 1
        blocks.append(first + turns * number + indices // size)
        first += count * number
    problems = tuple(problem for outline in outlines for problem in outline.problems)
    return Mixture(
        sets,
        np.concatenate(entries),
        np.concatenate(targets),
        np.concatenate(blocks),
        problems,
        places,
    )


def open_mixture(sets: Sequence[SetConfig], config: DataConfig, image_size: int) -> Mixture:
    """Open sets and learn every picture's size, without its pixels.

    Raises:
        ValueError: shards, which are read from front to back, a set that cannot be opened, or one
            of which nothing is left, or no region where regions are used.
    """
    if streams := [one.kind for one in sets if one.is_stream]:
        raise ValueError(
            f"{streams[0]} cannot be mixed with other sets: give one set of {streams[0]} alone, or "
            "pack them (python -m train data pack)"
        )
    opened = [cast(SampleSet, open_set(one, image_size)) for one in sets]
    outlines = []
    for number, (one, options) in enumerate(zip(opened, sets, strict=True), 1):
        found = outline_of(one, f"set {number}")
        samples = len(found.indices)
        needed = samples
        if config.use_regions and found.regions is not None:
            needed = found.regions
        name = f"{options.kind} {options.place!r}"
        check_losses(name, samples, needed, found.problems, getattr(one, "crowds", 0))
        outlines.append(found)
    places = tuple(one.place or one.kind for one in sets)
    repeats = [one.repeats for one in sets]
    return mix(opened, outlines, repeats, PictureSizes(config, image_size), places)


class PictureSizes:
    """The size a picture is trained at: a square, or the bucket nearest its shape."""

    def __init__(self, config: DataConfig, image_size: int):
        self.sizes, self.nearest = [(image_size, image_size)], nearest_bucket
        if config.bucket_sizes:
            self.sizes, self.nearest = list(dict.fromkeys(config.bucket_sizes)), nearest_size
        elif config.buckets:
            self.sizes = buckets(image_size, config.bucket_step, config.max_aspect)

    def of(self, width: int, height: int) -> Size:
        if len(self.sizes) == 1:
            return self.sizes[0]
        return self.nearest(width, height, self.sizes)

    def of_all(self, sizes: np.ndarray) -> np.ndarray:
        """The same of many. sizes: (N, 2) width and height."""
        different, place = np.unique(sizes[:, 0] << 32 | sizes[:, 1], return_inverse=True)
        targets = [self.of(one >> 32, one & 0xFFFFFFFF) for one in different.tolist()]
        return np.array(targets, int).reshape(-1, 2)[place]
