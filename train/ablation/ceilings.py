"""How many boxes positional words let anyone meet, whatever the model: two readers of them.

A phrase ("large square in the top left") stands for many boxes. A *perfect* reader answers it with
the one box that meets most of those that bring the phrase in training; a *calibrated* one, as a
model that has learned how such boxes are spread, with one of them at random. Position tokens say
each box to a thousandth, so that their ceiling is 100 %.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reco_core.layout import Box
from reco_core.positional_words import positional_words
from train.data.shapeskills_set import ShapeSkillsConfig, open_shapeskills
from train.evaluate.shape_finder import MIN_IOU
from train.evaluate.suite import Table

SCENES = 1500
"""Scenes of training that the readers know."""
LARGEST = 600
"""Boxes of a phrase that they are compared by; more change no figure by a point."""


@dataclass(frozen=True)
class Ceilings:
    """Shares of boxes met with an IoU of at least MIN_IOU; phrases: how many occur among them."""

    phrases: int
    perfect: float
    calibrated: float


def words_ceilings(asked: Sequence[Box], known: Sequence[Box]) -> Ceilings:
    """What can be met of boxes that are asked for in words. known: those that words were learned
    by. A phrase that was never learned meets nothing."""
    by_phrase: dict[str, list[Box]] = defaultdict(list)
    for box in known:
        by_phrase[positional_words(box)].append(box)
    wanted: dict[str, list[Box]] = defaultdict(list)
    for box in asked:
        wanted[positional_words(box)].append(box)
    perfect = calibrated = 0.0
    for phrase, boxes in wanted.items():
        if learned := by_phrase[phrase][:LARGEST]:
            best = met(learned, learned).mean(axis=1).argmax()
            meets = met(learned, boxes)
            perfect += float(meets[best].sum())
            calibrated += float(meets.mean(axis=0).sum())
    return Ceilings(len(wanted), perfect / len(asked), calibrated / len(asked))


def met(answers: Sequence[Box], asked: Sequence[Box]) -> np.ndarray:
    """(A, B) bool: whether the IoU of an answer and an asked box is at least MIN_IOU."""
    a, b = (np.array([(x.x0, x.y0, x.x1, x.y1) for x in boxes]) for boxes in (answers, asked))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b)]
    return shared >= MIN_IOU * (areas[0][:, None] + areas[1][None] - shared)


def boxes_of(config: ShapeSkillsConfig, size: int, scenes: int) -> list[Box]:
    """The boxes of a set's first scenes; size: of its pictures in pixels."""
    opened = open_shapeskills(config, size)
    count = min(scenes, len(opened))
    return [region.box for index in range(count) for region in opened[index].regions]


def ceilings_table(found: Ceilings, regions: int) -> Table:
    """As results.md has it below the variants."""
    rows = [
        ("positional words, a perfect reader", found.perfect),
        ("positional words, a calibrated reader", found.calibrated),
        ("position tokens", 1.0),
    ]
    note = (
        f"Of the same {regions} regions, which {found.phrases} phrases tell in words. A perfect "
        "reader answers each phrase with the box that meets most of its boxes; a calibrated one "
        "with one of its boxes at random, as a model that draws samples does at best."
    )
    return Table("What could be met", ("told in", "at most, boxes met %"), rows, note)
