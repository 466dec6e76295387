"""How much memory and time a configuration needs, before anything is trained.

    python -m train memory --config train/configs/full-24gb.toml model.base=FILE
    python -m train memory --config FILE optimizer.micro_batch=2 --json
    python -m train memory --config FILE --probe

Nothing is allocated: a whole step is done with tensors that have shapes but no content, and what
they would take is added up. Only --probe does steps on the device that is here.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from train.allocator import keep_memory
from train.command_line import in_range
from train.fit.options import FitConfig
from train.memory.plan import MemoryPlan, Speed
from train.memory.speed import HOUR, SHARE_OF_PEAK, estimates
from train.options import Positive

GIB = 2**30
LEFT_OUT = (
    "the CUDA context (0.5 to 1), gaps between the allocator's blocks, work space of cuDNN and "
    "cuBLAS"
)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `memory` to the command line."""
    parser = commands.add_parser("memory", help="how much memory and time a run needs")
    parser.add_argument("--config", type=Path, required=True, help="TOML file; see train/configs")
    parser.add_argument(
        "--processes", type=in_range(Positive), default=1, help="that share a batch (1)"
    )
    parser.add_argument(
        "--probe", action="store_true", help="measure samples a second on this device, in ten steps"
    )
    parser.add_argument("--json", action="store_true", help="bytes as JSON instead of a table")
    parser.add_overrides("image_size=256")
    parser.set_defaults(run=_run)


def table(plan: MemoryPlan) -> str:
    """The plan in lines of GiB."""
    rows = [
        ("weights of the UNet", plan.unet),
        ("weights of the text encoder", plan.text_encoder),
        ("weights of the autoencoder", plan.autoencoder),
        ("gradients", plan.gradients),
        ("optimiser states", plan.optimizer),
        ("averaged weights", plan.average),
        ("activations beside gradients", plan.activations),
        ("update of averages", plan.averaging),
        ("sample grid, beyond a step", plan.drawing),
        ("total on a device", plan.total),
        ("states and files on disk", plan.disk),
    ]
    lines = [f"  {name:<30}{size / GIB:8.2f} GiB" for name, size in rows]
    return "\n".join(
        [
            f"model: {plan.base}",
            f"micro-batch of {plan.micro_batch}, {' x '.join(map(str, plan.picture))} pixels, "
            f"{plan.max_length} tokens",
            *lines,
            f"A forward pass leaves {plan.kept_for_backward / GIB:.2f} GiB for the backward pass.",
            f"Not counted: {LEFT_OUT}.",
        ]
    )


def estimated(plan: MemoryPlan, config: FitConfig, processes: int = 1) -> str:
    """Lines of how long the training takes on well-known cards, and what that is scaled from."""
    options, compute = config.optimizer, config.compute
    samples = options.steps * options.batch_size
    found = estimates(plan, samples // processes, compute.precision, compute.tf32)
    cards = "one card" if processes == 1 else f"{processes} cards, as if they never waited"
    rows = [f"  {one.card:<12}{one.samples:8.2f} samples/s{one.hours:9.1f} h" for one in found]
    return "\n".join(
        [
            f"{samples:,} samples of {plan.flops / 1e9:,.1f} G operations, estimated for {cards}:",
            *rows,
            f"Not measured: {SHARE_OF_PEAK:.0%} of a card's peak, as a training of Stable "
            "Diffusion's UNet reached on A100s (train/memory/speed.py); --probe measures here.",
        ]
    )


def measured(speed: Speed, config: FitConfig, processes: int = 1) -> str:
    """A line of how long the training takes at a speed that was measured."""
    samples = config.optimizer.steps * config.optimizer.batch_size
    hours = samples / processes / speed.samples / HOUR
    return (
        f"{samples:,} samples at {speed.samples:.2f} a second and device, measured in "
        f"{speed.steps} steps on {speed.device}: {hours:.1f} h, besides reading pictures, "
        "validation and sample grids"
    )


def _run(arguments: argparse.Namespace) -> int:
    keep_memory()
    from train.config import load_config
    from train.memory.count import count_memory
    from train.memory.probe import measure_speed

    config, processes = load_config(arguments.config, arguments.overrides), arguments.processes
    plan = count_memory(config, processes)
    speed = measure_speed(config) if arguments.probe else None
    if arguments.json:
        figures = dataclasses.asdict(plan) | {"total": plan.total, "disk": plan.disk}
        figures |= {"speed": dataclasses.asdict(speed)} if speed else {}
        print(json.dumps(figures, indent=2))
        return 0
    print(table(plan))
    print(measured(speed, config, processes) if speed else estimated(plan, config, processes))
    return 0
