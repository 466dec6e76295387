"""Layouts to draw, from the samples of a data set."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from reco_core.layout import Layout, Region
from train.data.decode import UNREADABLE
from train.data.sample import Problem, Sample
from train.data.transforms import View, draw_view

T = TypeVar("T")
_NO_CHANCE = np.random.default_rng(0)  # a centre crop without flips draws nothing that counts


def choose(count: int, wanted: int) -> list[int]:
    """`wanted` places of `count` in rising order, all for 0: the same every time, and among those
    of a larger number. Sets are sorted (PaintSkills by relation), so the first would not do.

    Raises:
        ValueError: the number is below 0.
    """
    if wanted < 0:
        raise ValueError(f"layouts = {wanted}: give the number of layouts to draw, 0 for all")
    mixed = np.random.default_rng(0).permutation(count)
    return sorted(mixed[: wanted or None].tolist())


def usable(
    keys: Sequence[str], places: Sequence[int], read: Callable[[int], T]
) -> tuple[dict[int, T], list[Problem]]:
    """What `read` makes of these places of a set, and which it makes nothing of, and why.

    Raises:
        ValueError: nothing of any.
    """
    found: dict[int, T] = {}
    problems: list[Problem] = []
    for place in tqdm(places, desc="looking at the layouts", unit="layouts", delay=2):
        try:
            found[place] = read(place)
        except UNREADABLE as error:
            problems.append(Problem(keys[place], str(error)))
    if not found:
        first = f", first {problems[0].key}: {problems[0].reason}" if problems else ""
        raise ValueError(f"none of the {len(places)} layouts can be used{first}")
    return found, problems


def square_view(sample: Sample, side: int) -> View:
    """The middle of a picture as a square of so many pixels, as the paper evaluates on COCO."""
    return draw_view(_NO_CHANCE, sample.width, sample.height, (side, side), "centre", 0.0)


def seen_layout(
    sample: Sample, view: View, extras: Sequence[T], limit: int
) -> tuple[Layout, tuple[T, ...]]:
    """A sample's first caption and its regions in a view, and what belongs to each region.

    extras: one for each region of the sample. limit: at most so many regions, the largest; they
    come largest first, as in the released code's evaluation. Those outside the view are left out.
    """
    seen: list[tuple[Region, T]] = []
    for region, extra in zip(sample.regions, extras, strict=True):
        box = view.box(region.box)
        if box is not None:
            seen.append((Region(region.text, box), extra))
    seen.sort(key=lambda pair: -pair[0].box.area)
    kept = seen[:limit]
    layout = Layout(sample.captions[0], tuple(region for region, _ in kept), *view.size)
    return layout, tuple(extra for _, extra in kept)


def case_names(keys: Sequence[str]) -> list[str]:
    """Legal file names without suffix, one for each key and no two alike: "val/a b.jpg" is
    val_a_b; where two would be alike in any letter case, a number follows."""
    names = [re.sub(r"[^\w.-]", "_", str(PurePosixPath(key).with_suffix(""))) for key in keys]
    often = Counter(name.lower() for name in names)
    return [
        name if often[name.lower()] == 1 else f"{name}_{number}"
        for number, name in enumerate(names)
    ]
