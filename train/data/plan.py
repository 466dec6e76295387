"""Which samples make which micro-batch: a pure function, so that a run continues anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

WINDOW = 64
"""Blocks whose samples are shuffled among one another, before the next as many are begun."""


@dataclass(frozen=True)
class Draw:
    """Sample `number` of the mixture, as its size shows it for the `epoch`-th time."""

    epoch: int
    number: int


class Plan:
    """The order of an endless training: epochs of chunks, each of samples of equal size.

    sizes: the picture size of each sample in `numbers`, which are their numbers in the mixture.
    chunk: samples that go through a model together.

    Every size goes through its samples again and again, each time in another order, and its chunks
    take them from that without a gap. What an epoch's last chunk shows too early is left out of
    the next one, so that in the long run all samples are shown equally often, however few have
    their size: a picture alone in its size fills a chunk once in as many epochs as a chunk is long.

    blocks: of each sample in `numbers`, what it is stored near to; -1 where any order is as good.
        Samples of a few blocks, drawn at random, are shuffled among one another, so that what is
        read is near together; samples without a block are spread evenly between them.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]] | np.ndarray,
        numbers: Sequence[int] | np.ndarray,
        chunk: int,
        seed: int,
        blocks: np.ndarray | None = None,
    ):
        if not len(numbers):
            raise ValueError("there is nothing to train on: no sample of the data sets is usable")
        numbers = np.asarray(numbers)
        width, height = np.asarray(sizes).T
        keys = width << 32 | height
        self.members = [numbers[keys == key] for key in np.unique(keys)]
        self.samples, self.chunk_size, self.seed = len(numbers), chunk, seed
        self.blocks: np.ndarray | None = None
        if blocks is not None and (blocks >= 0).any():
            self.blocks = np.full(int(numbers.max()) + 1, -1)
            self.blocks[numbers] = blocks
        self._epoch, self._order = -1, np.empty((0, chunk, 2), int)

    @property
    def depends_on_chunk(self) -> bool:
        """Whether the order of samples is another with other chunks, as with several sizes."""
        return len(self.members) > 1

    @property
    def chunks_per_epoch(self) -> int:
        """Of the first epoch; later ones have less where chunks were not full of it."""
        return self._before(1)

    def chunk(self, number: int) -> list[Draw]:
        """The samples of chunk `number`, counted from the start of training."""
        epoch = number * self.chunk_size // self.samples
        while self._before(epoch) > number:
            epoch -= 1
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return [Draw(*draw) for draw in self._order[number - self._before(epoch)].tolist()]

    def _before(self, epoch: int) -> int:
        """Chunks of all epochs before one."""
        return sum(self._first(place, epoch) for place in range(len(self.members)))

    def _first(self, place: int, epoch: int) -> int:
        """The first chunk of a size, counted from the start, that begins in an epoch."""
        return -(-epoch * len(self.members[place]) // self.chunk_size)

    def _shuffled(self, epoch: int) -> np.ndarray:
        """(chunks, chunk, 2) epoch and number of the draws of an epoch."""
        sizes = [self._of_size(place, epoch) for place in range(len(self.members))]
        order = np.concatenate(sizes)
        if not self.depends_on_chunk:
            # In random order already, and so the order does not depend on the chunk's size.
            return order
        rng = np.random.default_rng([self.seed, epoch, len(self.members)])
        if self.blocks is None:
            return rng.permutation(order)
        # Sizes take turns at random, each in its own order, which is by blocks.
        turns = rng.permutation(np.repeat(np.arange(len(sizes)), [len(size) for size in sizes]))
        mixed = np.empty_like(order)
        mixed[np.argsort(turns, kind="stable")] = order
        return mixed

    def _of_size(self, place: int, epoch: int) -> np.ndarray:
        """The chunks of one size that begin in an epoch."""
        members = self.members[place]
        start, stop = (self._first(place, e) * self.chunk_size for e in (epoch, epoch + 1))
        draws = [
            np.stack([np.full(len(members), turn), self._turn(place, turn)], axis=1)
            for turn in range(start // len(members), -(-stop // len(members)))
        ]
        if start == stop:
            return np.empty((0, self.chunk_size, 2), int)
        skipped = start % len(members)
        found = np.concatenate(draws)[skipped : skipped + stop - start]
        return found.reshape(-1, self.chunk_size, 2)

    def _turn(self, place: int, turn: int) -> np.ndarray:
        """A size's samples in the order of one time through them."""
        rng = np.random.default_rng([self.seed, turn, place])
        order = rng.permutation(self.members[place])
        if self.blocks is None:
            return order
        # Samples of blocks change places among themselves alone. What is random already stays so
        # within a window; windows are the same for all sizes, which read them together.
        blocks = self.blocks[order]
        rank = np.random.default_rng([self.seed, turn]).permutation(int(self.blocks.max()) + 1)
        window = rank[blocks[blocks >= 0]] // WINDOW
        order[blocks >= 0] = order[blocks >= 0][np.argsort(window, kind="stable")]
        return order


@dataclass(frozen=True)
class Share:
    """One process's part of every step: `chunks` micro-batches, of `processes` times as many."""

    process: int
    processes: int
    chunks: int
    micro_batch: int

    def numbers(self, step: int) -> range:
        """The numbers, from the start of training, of the chunks this process does in a step."""
        first = (step * self.processes + self.process) * self.chunks
        return range(first, first + self.chunks)

    def places(self, step: int) -> list[int]:
        """Where each of these chunks begins in the step's whole batch."""
        start = step * self.processes * self.chunks
        return [(number - start) * self.micro_batch for number in self.numbers(step)]

    def sampler(self, plan: Plan, step: int) -> Iterator[list[Draw]]:
        """Chunks from a step on, without end: a batch sampler for a DataLoader."""
        while True:
            yield from (plan.chunk(number) for number in self.numbers(step))
            step += 1
