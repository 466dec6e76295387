"""Work on samples in threads, whose results come in the samples' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from train.data.sample import Sample

T = TypeVar("T")


def ahead(
    samples: Iterable[Sample], work: Callable[[Sample], T], threads: int = 0
) -> Iterator[tuple[Sample, T]]:
    """Samples in order, each with what came of it; some are worked on ahead.

    threads: that do it (0: one for each core).
    """
    threads = threads or os.cpu_count() or 1
    waiting: deque[tuple[Sample, Future[T]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for sample in samples:
            waiting.append((sample, pool.submit(work, sample)))
            if len(waiting) > 4 * threads:
                first, result = waiting.popleft()
                yield first, result.result()
        for first, result in waiting:
            yield first, result.result()
