"""Command line of training: python -m train fit | evaluate | convert | data | memory | bench."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from train.bench import add_command as add_bench
from train.convert import add_command as add_convert
from train.data.commands import add_commands as add_data
from train.memory_plan import add_command as add_memory


def main() -> int:
    """Run one command; a user's mistake is one plain line and exit code 2."""
    arguments = _parser().parse_args()
    try:
        return arguments.run(arguments)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command continues", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="train a checkpoint, or continue a training")
    fit.add_argument("--config", type=Path, required=True, help="TOML file; see train/configs")
    fit.add_argument(
        "overrides", nargs="*", metavar="OPTION=VALUE", help="for instance optimizer.steps=100"
    )
    fit.set_defaults(run=_fit)

    evaluate = commands.add_parser("evaluate", help="score a checkpoint on unseen layouts")
    evaluate.add_argument("--checkpoint", required=True, help="ReCo checkpoint (.safetensors)")
    evaluate.add_argument("--layouts", type=int, default=200)
    evaluate.add_argument("--held-out-layouts", type=int, default=100)
    evaluate.add_argument("--sampler", default="euler", help="euler, ddim or plms")
    evaluate.add_argument("--steps", type=int, default=20)
    evaluate.add_argument("--guidance", type=float, default=3.0)
    evaluate.add_argument("--seed", type=int, default=0)
    evaluate.add_argument("--output", type=Path, default=Path("runs/evaluate"), help="folder")
    evaluate.set_defaults(run=_evaluate)
    add_convert(commands)
    add_data(commands)
    add_memory(commands)
    add_bench(commands)
    return parser


def _fit(arguments: argparse.Namespace) -> int:
    from train.config import load_config
    from train.fit import fit

    path = fit(load_config(arguments.config, arguments.overrides))
    print(f"wrote {path}")
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from train.evaluate.shapeskills import EvaluationConfig, evaluate

    options = {k: v for k, v in vars(arguments).items() if k not in ("run", "output")}
    result = evaluate(EvaluationConfig(**options), arguments.output)
    print(f"region accuracy      {result['region_accuracy']:7.1%} of {result['regions']} regions")
    for things, accuracy in result["region_accuracy_by_things"].items():
        print(f"  with {things} things      {accuracy:7.1%}")
    held_out, controls = result["held_out"], result["controls"]
    print(
        f"held-out pairs       {held_out['region_accuracy']:7.1%} of {held_out['regions']} regions"
    )
    print(f"control, truth       {controls['rendered_truth']:7.1%}")
    print(f"control, shuffled    {controls['shuffled_layouts']:7.1%}")
    print(f"wrote {arguments.output / 'scores.json'} and {arguments.output / 'contact_sheet.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
