"""Seconds a step of one process and of several, which share the same batch.

    python -m train scaling --processes 2 4

All train the UNet of the same small random model (work.py) on cached latents, with torch's gloo on
one machine, and take turns in every round, in one order and then in the other; ratios are of the
same round. Start-up and saving do not count. Time is taken on the clock, and of the processor for
each process: where others use the machine too, or it has fewer cores than there are processes, the
second is what to compare. What a step costs whatever its batch is (fixed_costs.py) stands beside.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from reco_core.atomic import write_text_atomically
from train.bench.process import WARM_UP, run_process
from train.bench.spread import spread_of, told
from train.bench.work import ROOT, TINY, Size, Work, add_options, make_work
from train.command_line import in_range
from train.options import Positive

OPTIONS = ("data.cache_latents=true", "compute.threads=1")
FIGURES = ("seconds", "cpu_seconds")
FIXED = {
    "sending": "gradients sent, s",
    "changing": "weights changed, s",
}
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


@dataclass(frozen=True)
class StepTime:
    """Of a step: seconds on the clock, and of the processor for each process."""

    seconds: float
    cpu_seconds: float
    sending: float
    """Seconds in which gradients are sent, with nothing to hide behind."""
    changing: float
    """Seconds in which weights are changed."""


@dataclass(frozen=True)
class ScalingConfig:
    """What is measured, and how often; batch_size is that of all processes together."""

    output: Path = Path("runs/scaling")
    processes: tuple[int, ...] = (2,)
    steps: int = 6
    batch_size: int = 8
    image_size: int = 128
    rounds: int = 3
    options: tuple[str, ...] = ()
    tiny: bool = False


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `scaling` to the command line."""
    defaults = ScalingConfig()
    parser = commands.add_parser("scaling", help="speed of several processes beside one's")
    add_options(parser, defaults)
    parser.add_argument(
        "--processes", type=in_range(Positive), nargs="+", default=defaults.processes
    )
    parser.add_argument(
        "--options", nargs="+", default=(), metavar="OPTION=VALUE", help="of all trainings"
    )
    parser.set_defaults(run=_run)


def scaling(config: ScalingConfig) -> dict[str, Any]:
    """Measure, and write `scaling.json` and `scaling.md` to the output folder after every round.

    Raises:
        ValueError: a batch that does not divide by the processes, or a training that fails.
    """
    for count in config.processes:
        if config.batch_size % count:
            raise ValueError(
                f"--batch-size {config.batch_size} does not divide by --processes {count}: give a "
                "multiple of it"
            )
    work = Work(config.output.resolve(), config.image_size, config.batch_size)
    make_work(work, TINY if config.tiny else Size())
    counts = (1, *(count for count in config.processes if count > 1))
    rounds: list[dict[int, StepTime]] = []
    result: dict[str, Any] = {}
    with tqdm(total=config.rounds * len(counts), desc="scaling", unit="training") as bar:
        for number in range(config.rounds):
            times = {}
            for count in counts if number % 2 == 0 else counts[::-1]:
                bar.set_postfix_str(f"{count} processes")
                times[count] = measure(count, work, config)
                bar.update()
            rounds.append(times)
            result = summary(rounds) | {"settings": _settings(config)}
            write_text_atomically(work.folder / "scaling.json", json.dumps(result, indent=2) + "\n")
            write_text_atomically(work.folder / "scaling.md", table(result["processes"]))
    return result


def measure(count: int, work: Work, config: ScalingConfig) -> StepTime:
    """A training in so many processes; ValueError where it fails."""
    output = work.folder / "runs" / str(count)
    cache = f"data.cache_folder={json.dumps((work.folder / 'cache').as_posix())}"
    shutil.rmtree(output, ignore_errors=True)
    steps = WARM_UP + config.steps
    command = work.our_command((*OPTIONS, cache, *config.options), steps, output)
    run = run_process(_launched(command, count), work.folder / "logs" / f"{count}.txt", 1, steps)
    spent = run.steady(f"a training in {count} processes")
    fixed = measure_fixed(count, work)
    return StepTime(spent.wall / spent.step, spent.cpu / spent.step / count, **fixed)


def measure_fixed(count: int, work: Work) -> dict[str, float]:
    """What a step costs whatever its batch is, in so many processes; the median of several."""
    command = [sys.executable, "-m", "train.bench.fixed_costs", str(work.model / "unet"), "5"]
    done = subprocess.run(
        _launched(command, count),
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ValueError(f"fixed costs of {count} processes: {done.stderr[-500:]}")
    rounds = json.loads(done.stdout.splitlines()[-1])
    return {name: median(one[name] for one in rounds) for name in FIXED}


def _launched(command: list[str], count: int) -> list[str]:
    """A command of this Python, in so many processes."""
    return [sys.executable, *LAUNCH, str(count), *command[1:]] if count > 1 else command


def summary(rounds: list[dict[int, StepTime]]) -> dict[str, Any]:
    """Medians with lowest and highest by number of processes, and ratios to one of the same
    round."""
    found: dict[int, Any] = {}
    for count in rounds[0]:
        found[count] = {}
        for figure in FIGURES:
            mine, ones = ([getattr(r[who], figure) for r in rounds] for who in (count, 1))
            found[count][figure] = spread_of(mine)
            ratios = [one / other for one, other in zip(mine, ones, strict=True)]
            found[count][f"{figure}_x_one"] = spread_of(ratios)
        for figure in FIXED:
            found[count][figure] = spread_of([getattr(r[count], figure) for r in rounds])
    return {"processes": found, "rounds": [{n: asdict(t) for n, t in r.items()} for r in rounds]}


def table(processes: dict[int, Any]) -> str:
    """The summary as a table in Markdown."""
    heads = ("processes", "s a step", "x one", "CPU s a step, each", "x one", *FIXED.values())
    lines = [heads, ("---:",) * len(heads)]
    for count, figures in processes.items():
        columns = [*(column for one in FIGURES for column in (one, f"{one}_x_one")), *FIXED]
        lines.append((str(count), *(told(figures[column]) for column in columns)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _settings(config: ScalingConfig) -> dict[str, Any]:
    import torch

    settings = asdict(config) | {"output": config.output.name, "cores": os.cpu_count()}
    return settings | {"torch": torch.__version__}


def _run(arguments: argparse.Namespace) -> int:
    options = {name: value for name, value in vars(arguments).items() if name != "run"}
    lists = {name: tuple(options[name]) for name in ("processes", "options")}
    config = ScalingConfig(**options | lists)
    print(table(scaling(config)["processes"]), end="")
    print(f"wrote {config.output / 'scaling.md'} and {config.output / 'scaling.json'}")
    return 0
