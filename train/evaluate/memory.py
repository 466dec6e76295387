"""Memory that runs out, told as that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from train.model.compute import is_out_of_memory


@contextmanager
def memory_told(doing: str, at_once: int, otherwise: str) -> Iterator[None]:
    """Within the block an error that says that memory ran out becomes a ValueError with advice.

    at_once: pictures; half as many are advised. otherwise: what to do where that is one.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        advice = f"give --batch-size {at_once // 2}" if at_once > 1 else otherwise
        raise ValueError(
            f"memory ran out while {doing} ({reason}): {advice}; what is drawn stays, and the same "
            "command goes on"
        ) from error
