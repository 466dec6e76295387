"""From samples to batches, in reading processes of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from reco_core.layout import Layout, Region
from train.data.batch import Batch, Row, stack
from train.data.cache import LatentCache
from train.data.decode import UNREADABLE
from train.data.mixture import Mixture
from train.data.options import DataConfig
from train.data.picture import read_picture
from train.data.plan import Draw, Plan, Share
from train.data.problems import Problem
from train.data.sample import Sample
from train.data.transforms import DROPOUTS, View, draw_regions, draw_view, drop_words, view_sample
from train.model.words import Words


class TrainingSet(Dataset):
    """Rows of a mixture: which crop, caption and regions is drawn anew in every epoch."""

    def __init__(
        self,
        mixture: Mixture,
        config: DataConfig,
        words: Words,
        seed: int,
        cache: LatentCache | None = None,
    ):
        self.mixture, self.config, self.words = mixture, config, words
        self.seed, self.cache = seed, cache

    def __getitem__(self, draw: Draw) -> Row:
        rng = np.random.default_rng([self.seed, draw.epoch, draw.number])
        target = self.mixture.target(draw.number)
        try:
            sample = self.mixture.sample(draw.number)
        except UNREADABLE as error:
            return self._gone(draw.number, error)
        if self.cache is None:
            return training_row(rng, sample, target, self.config, self.words)
        view, layout, untold = draw_view_and_layout(rng, sample, target, self.config)
        mean, spread = self.cache.read(draw.number, view.flipped)
        return Row(picture=mean, spread=spread, **self.words.encode(layout, untold))

    def _gone(self, number: int, error: Exception) -> Row:
        """A row that counts nothing, of a sample whose files changed since the set was opened."""
        width, height = self.mixture.target(number)
        picture, spread = torch.zeros(3, height, width), None
        if self.cache is not None:
            picture, spread = self.cache.read(number)
        problem = self.mixture.lost(number, error)
        words = self.words.encode(Layout("", ()))
        return Row(picture=picture, spread=spread, problem=problem, **words)


def training_row(
    rng: np.random.Generator,
    sample: Sample,
    target: tuple[int, int],
    config: DataConfig,
    words: Words,
) -> Row:
    """A sample as it is trained with once: crop, caption and regions are drawn."""
    view, layout, untold = draw_view_and_layout(rng, sample, target, config)
    return read_row(sample, view, words.encode(layout, untold))


def draw_view_and_layout(
    rng: np.random.Generator, sample: Sample, target: tuple[int, int], config: DataConfig
) -> tuple[View, Layout, list[Region]]:
    """A crop of a sample, the caption and regions it is trained with, and the regions that the
    picture shows as well but whose words were left out."""
    view = draw_view(rng, sample.width, sample.height, target, config.crop, config.flip)
    caption = sample.captions[rng.integers(len(sample.captions))]
    regions: Sequence[Region] = sample.regions if config.use_regions else ()
    caption, regions = view_sample(caption, regions, view, config.min_visible)
    regions = draw_regions(rng, regions, config.max_regions)
    dropouts = {name: getattr(config, name) for name in DROPOUTS}
    caption, told = drop_words(rng, caption, regions, **dropouts)
    return view, Layout(caption, told), [region for region in regions if region not in told]


def read_row(sample: Sample, view: View, encoded: dict[str, Any]) -> Row:
    """The row of a picture, or one that counts nothing and says why it could not be read."""
    try:
        return Row(picture=read_picture(sample, view), **encoded)
    except UNREADABLE as error:
        blank = torch.zeros(3, view.size[1], view.size[0])
        return Row(picture=blank, problem=Problem.of(sample.key, error, "unreadable"), **encoded)


def training_batches(
    data: TrainingSet, plan: Plan, share: Share, pin: bool, step: int
) -> Iterator[Batch]:
    """Endless micro-batches of one process, from a step on."""
    return iter(
        DataLoader(
            data,
            batch_sampler=Endless(share, plan, step),
            collate_fn=stack,
            pin_memory=pin,
            **reading(data.config.workers),
        )
    )


def reading(workers: int) -> dict[str, Any]:
    """Options of a DataLoader that reads in so many processes."""
    return {"num_workers": workers, "multiprocessing_context": "spawn" if workers else None}


@dataclass(frozen=True)
class Endless:
    """A batch sampler that starts at a step and never ends."""

    share: Share
    plan: Plan
    step: int

    def __iter__(self) -> Iterator[list[Draw]]:
        return self.share.sampler(self.plan, self.step)
