"""Run fuzz cases in a process of its own, which may hang or run out of memory.

    python tests/fuzz/worker.py CASE ...

A case is DOOR:SEED, or DOOR:SEED+N for N seeds from SEED on. Every case's name is written when it
begins, so that the last of a process that died is its cause; then a line of JSON if it went wrong.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
sys.path += [str(HERE.parents[1]), str(HERE.parent)]

SECONDS = 2.0  # of processor time
HANGS = 30.0  # seconds after which the process ends itself
MEMORY = 2 << 30  # bytes beyond what the process has when it begins


def cases(words: list[str]) -> Iterator[tuple[str, int]]:
    """(door, seed) of each case that the words name."""
    for word in words:
        door, _, seeds = word.partition(":")
        first, _, count = seeds.partition("+")
        for seed in range(int(first), int(first) + int(count or 1)):
            yield door, seed


def fault(door: str, seed: int) -> str:
    """What is wrong with a case; empty if nothing is."""
    from doors import DOORS, check_message

    call = DOORS[door](random.Random(f"{door}:{seed}"))
    started = time.process_time()
    faulthandler.dump_traceback_later(HANGS, exit=True)
    try:
        try:
            call()
        except (ValueError, FileNotFoundError) as error:
            check_message(error)
    except BaseException:
        return traceback.format_exc(limit=-4)[-2_000:]
    finally:
        faulthandler.cancel_dump_traceback_later()
    taken = time.process_time() - started
    return f"took {taken:.1f} s of {SECONDS:.1f}" if taken > SECONDS else ""


def main(words: list[str]) -> None:
    import doors  # what it imports is not counted

    doors.texts(), doors.weights(), doors.folder()
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if os.path.exists("/proc") else 0
    if pages:
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    for door, seed in cases(words):
        print(f"{door}:{seed}", flush=True)
        if wrong := fault(door, seed):
            print(json.dumps({"case": f"{door}:{seed}", "wrong": wrong}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
