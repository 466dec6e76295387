"""Micro-batches of a stream, for sets that are read from front to back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from train.data.batch import Batch, Row, stack
from train.data.loader import reading, training_row
from train.data.mixture import PictureSizes, Size
from train.data.options import DataConfig
from train.data.plan import Share
from train.data.problems import check_losses
from train.data.sample import Sample, SampleStream
from train.model.words import Words


class StreamBatches(IterableDataset):
    """One process's micro-batches from a step on; each reading process has shards of its own.

    What was trained on before the step is read again but not decoded, so a run continues exactly
    with as many processes and workers as before.
    """

    def __init__(
        self,
        stream: SampleStream,
        config: DataConfig,
        sizes: PictureSizes,
        words: Words,
        seed: int,
        share: Share,
        step: int,
    ):
        self.stream, self.config, self.sizes, self.words = stream, config, sizes, words
        self.seed, self.share, self.step = seed, share, step

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        done = len(range(worker, self.step * self.share.chunks, workers))
        first = self.share.process * workers + worker
        told = 0
        for number, chunk in enumerate(self._chunks(first, self.share.processes * workers)):
            if number >= done:
                batch = stack([self._row(sample, size, draw) for sample, size, draw in chunk])
                news, told = self.stream.problems[told:], len(self.stream.problems)
                yield batch.with_problems(news)

    def _chunks(
        self, worker: int, workers: int
    ) -> Iterator[list[tuple[Sample, Size, tuple[int, ...]]]]:
        """Samples of one size, as many as go through the model together, epoch after epoch."""
        held: dict[Size, list[tuple[Sample, Size, tuple[int, ...]]]] = {}
        for epoch in count():
            place, regions = -1, 0
            samples = self.stream.epoch(epoch, self.seed, worker, workers)
            for place, sample in enumerate(samples):
                regions += len(sample.regions)
                size = self.sizes.of(sample.width, sample.height)
                chunk = held.setdefault(size, [])
                chunk.append((sample, size, (epoch, worker, place)))
                if len(chunk) == self.share.micro_batch:
                    yield held.pop(size)
            if place < 0:
                raise ValueError(
                    f"the shards have no usable sample for reader {worker + 1} of {workers}: use "
                    "fewer data.workers, or run `python -m train data check` on them"
                )
            if self.config.use_regions:
                check_losses("the shards", place + 1, regions, self.stream.problems)

    def _row(self, sample: Sample, size: Size, draw: tuple[int, ...]) -> Row:
        rng = np.random.default_rng([self.seed, *draw])
        return training_row(rng, sample, size, self.config, self.words)


def stream_batches(batches: StreamBatches, pin: bool) -> Iterator[Batch]:
    """The micro-batches, read in the configured number of processes."""
    options = reading(batches.config.workers)
    return iter(DataLoader(batches, batch_size=None, pin_memory=pin, **options))
