"""python -m train judge: trains the judge of everyday things, for the suite `things`.

    python -m train judge --path fluent-emoji --things train/data/cutouts/fluent_emoji.toml \\
        --output runs/judge.safetensors

One processor core is used; the same options on the same machine make the same judge.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from train.command_line import OptionsParser, add_options, flag_of, given
from train.evaluate.judge.options import JudgeOptions
from train.options import build


def add_command(commands: argparse._SubParsersAction[OptionsParser]) -> None:
    """Add `judge` to the command line."""
    parser = commands.add_parser(
        "judge",
        help="train the judge that scores pictures of everyday things",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, JudgeOptions)
    parser.add_argument("--output", type=Path, required=True, help="new .safetensors file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train and write. Raises ValueError for a user's mistake."""
    from train.evaluate.judge.learn import train_judge
    from train.evaluate.judge.network import save_judge

    output: Path = arguments.output
    if output.suffix != ".safetensors" or output.exists():
        raise ValueError(f"--output {str(output)!r}: name a new file that ends in .safetensors")
    values = given(arguments, JudgeOptions)
    if "path" not in values:
        raise ValueError("judge needs --path: the folder of the things' pictures")
    options = build(JudgeOptions, values, flag_of)
    start = time.process_time()
    judge = train_judge(options)
    save_judge(judge, output)
    seconds = time.process_time() - start
    print(f"wrote {output}: tells {len(judge.names)} things apart, {seconds:.0f} s of one core")
    return 0
