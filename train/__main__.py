"""Command line of training and evaluation.

python -m train fit | evaluate | judge | tally | ablation | convert | transplant | data | memory
    | bench | scaling
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from train.ablation.command import add_command as add_ablation
from train.allocator import keep_memory
from train.bench.command import add_command as add_bench
from train.bench.scaling import add_command as add_scaling
from train.checkpoints.convert import add_command as add_convert
from train.checkpoints.transplant import add_command as add_transplant
from train.command_line import OptionsParser
from train.data.commands import add_commands as add_data
from train.evaluate.command import add_command as add_evaluate
from train.evaluate.judge.command import add_command as add_judge
from train.evaluate.tally import add_command as add_tally
from train.memory.command import add_command as add_memory

if TYPE_CHECKING:
    from train.data.check import TrainedSets


def main() -> int:
    """Run one command; a user's mistake is one plain line and exit code 2."""
    try:
        arguments = _parser().parse_args()
        return arguments.run(arguments)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("train", "reco_core"):
            raise
        print(f'error: {error}: pip install ".[train,evaluate]"', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command continues", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=OptionsParser)

    fit = commands.add_parser("fit", help="train a checkpoint, or continue a training")
    fit.add_argument("--config", type=Path, required=True, help="TOML file; see train/configs")
    fit.add_overrides("optimizer.steps=100", _sections)
    fit.set_defaults(run=_fit)

    add_evaluate(commands)
    add_judge(commands)
    add_ablation(commands)
    add_convert(commands)
    add_transplant(commands)
    add_data(commands, _trained_sets)
    add_tally(commands)
    add_memory(commands)
    add_bench(commands)
    add_scaling(commands)
    return parser


def _sections() -> str:
    from train.config_help import describe_options

    return describe_options()


def _fit(arguments: argparse.Namespace) -> int:
    keep_memory()
    from train.config import load_config
    from train.fit.loop import fit

    path = fit(load_config(arguments.config, arguments.overrides))
    print(f"wrote {path}")
    return 0


def _trained_sets(config: Path, overrides: Sequence[str]) -> TrainedSets:
    from train.config import load_config
    from train.fit.training_data import trained_sets

    return trained_sets(load_config(config, overrides))


if __name__ == "__main__":
    sys.exit(main())
