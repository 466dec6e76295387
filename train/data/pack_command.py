"""Command line of packed sets: python -m train data pack."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from train.command_line import in_range
from train.options import Processes, Range

if TYPE_CHECKING:
    from train.data.set_config import SetConfig

Megabytes = Annotated[int, Range(1, 1_000_000)]


def add_pack_options(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m train data pack`, beside those that name the sets."""
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="new folder for the shards"
    )
    parser.add_argument(
        "--shard-size", type=in_range(Megabytes), default=1000, help="in 10^6 bytes (1000)"
    )
    parser.add_argument(
        "--threads",
        type=in_range(Processes),
        default=0,
        help="that read and decode pictures; 0: all cores",
    )


def pack(sets: list[SetConfig], size: int, arguments: argparse.Namespace) -> int:
    """Pack sets and say how a configuration names them; 1 where shards were not read to their end.

    size: side of pictures that are drawn, in pixels. Raises ValueError for a user's mistake.
    """
    from train.data.pack import pack_set
    from train.data.problems import counted, problem_table
    from train.data.sets import open_set

    output: Path = arguments.output
    folders = [output if len(sets) == 1 else output / str(place) for place in range(len(sets))]
    lost: list[str] = []
    for one, folder in zip(sets, folders, strict=True):
        name = f"{one.kind} {one.place!r}"
        shard_bytes = arguments.shard_size * 10**6
        report = pack_set(open_set(one, size), folder, shard_bytes, name, arguments.threads)
        print(
            f"wrote {report.samples:,} samples of {name} to {folder}: {report.shards} shards, "
            f"{report.bytes / 1e9:.3f} GB"
        )
        if report.problems:
            print(f"{len(report.problems)} problems; left out: {counted(report.problems)}")
            print("\n".join(problem_table(report.problems)))
        lost += [problem.key for problem in report.problems if problem.kind == "shard"]
        repeats = f", repeats = {one.repeats}" if one.repeats > 1 else ""
        print(f'in a configuration: {{kind = "packed", path = "{folder.as_posix()}"{repeats}}}')
    if lost:
        print(
            f"error: {len(lost)} shards were not read to their end, so what was written lacks an "
            "unknown number of samples: write or fetch these anew, and pack again:",
            *lost,
            sep="\n  ",
            file=sys.stderr,
        )
    return 1 if lost else 0
