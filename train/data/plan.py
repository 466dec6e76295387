"""Which samples make which micro-batch: a pure function, so that a run continues anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Draw:
    """Sample `number` of the mixture, as shown in an epoch."""

    epoch: int
    number: int


class Plan:
    """The order of an endless training: epochs of chunks, each of samples of equal size.

    sizes: the picture size of each sample in `numbers`, which are their numbers in the mixture.
    chunk: samples that go through a model together.
    A size whose samples do not fill whole chunks shows some twice in an epoch.
    """

    def __init__(
        self, sizes: Sequence[tuple[int, int]], numbers: Sequence[int], chunk: int, seed: int
    ):
        if not len(numbers):
            raise ValueError("there is nothing to train on: no sample of the data sets is usable")
        of_size: dict[tuple[int, int], list[int]] = {}
        for size, number in zip(sizes, numbers, strict=True):
            of_size.setdefault(size, []).append(number)
        self.members = [np.array(of_size[size]) for size in sorted(of_size)]
        self.chunk_size, self.seed = chunk, seed
        self.chunks_per_epoch = sum(-(-len(m) // chunk) for m in self.members)
        self._epoch, self._order = -1, np.empty((0, chunk), int)

    def chunk(self, number: int) -> list[Draw]:
        """The samples of chunk `number`, counted from the start of training."""
        epoch, place = divmod(number, self.chunks_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return [Draw(epoch, int(sample)) for sample in self._order[place]]

    def _shuffled(self, epoch: int) -> np.ndarray:
        """(chunks, chunk) numbers of an epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        chunks = [self._fill(rng.permutation(members)) for members in self.members]
        order = np.concatenate(chunks)
        # One size is in random order already, and so its order does not depend on the chunk's size.
        return order if len(chunks) == 1 else rng.permutation(order)

    def _fill(self, members: np.ndarray) -> np.ndarray:
        rows = -(-len(members) // self.chunk_size)
        return np.resize(members, (rows, self.chunk_size))


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
