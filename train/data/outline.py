"""What a training's plan has to know of every sample, without a picture's pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from train.data.decode import UNREADABLE
from train.data.problems import Problem
from train.data.region_texts import check_met
from train.data.sample import SampleSet


@dataclass(frozen=True)
class Outline:
    """Of a set. indices: (N,) samples that can be used; sizes: (N, 2) width and height of their
    pictures in pixels; problems: why others cannot; regions: how many there are, if that was
    counted."""

    indices: np.ndarray
    sizes: np.ndarray
    problems: tuple[Problem, ...] = ()
    regions: int | None = None


def outline_of(opened: SampleSet, name: str) -> Outline:
    """The outline of a set, from its index where it has one, else from a look at every sample.

    name: that samples without a key have in problems.
    """
    sizes = getattr(opened, "known_sizes", None)
    if sizes is not None:
        return Outline(np.arange(len(opened)), sizes, tuple(opened.problems))
    indices: list[int] = []
    looked: list[tuple[int, int]] = []
    problems, regions, key = list(opened.problems), 0, ""
    places = range(len(opened))
    for index in tqdm(places, desc="reading the sets", unit="samples", delay=2):
        try:
            sample = opened[index]
        except UNREADABLE as error:
            problems.append(Problem.of(f"sample {index + 1} of {name}", error))
            continue
        indices.append(index)
        looked.append((sample.width, sample.height))
        regions, key = regions + len(sample.regions), sample.key
    if key:
        check_met(opened, key)
    sized = np.array(looked, int).reshape(-1, 2)
    return Outline(np.array(indices, int), sized, tuple(problems), regions)
