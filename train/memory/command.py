"""How much memory a configuration needs, before anything is trained.

    python -m train memory --config train/configs/full-24gb.toml model.base=FILE
    python -m train memory --config FILE optimizer.micro_batch=2 --json

Nothing is allocated: a whole step is done with tensors that have shapes but no content, and what
they would take is added up.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from train.command_line import in_range
from train.memory.plan import MemoryPlan
from train.options import Positive

GIB = 2**30
LEFT_OUT = (
    "the CUDA context (0.5 to 1), gaps between the allocator's blocks, work space of cuDNN and "
    "cuBLAS, sample grids"
)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `memory` to the command line."""
    parser = commands.add_parser("memory", help="how much memory a configuration needs")
    parser.add_argument("--config", type=Path, required=True, help="TOML file; see train/configs")
    parser.add_argument(
        "--processes", type=in_range(Positive), default=1, help="that share a batch (1)"
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
        ("total on a device", plan.total),
        ("states and output on disk", plan.disk),
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


def _run(arguments: argparse.Namespace) -> int:
    from train.config import load_config
    from train.memory.count import count_memory

    plan = count_memory(load_config(arguments.config, arguments.overrides), arguments.processes)
    if arguments.json:
        figures = dataclasses.asdict(plan) | {"total": plan.total, "disk": plan.disk}
        print(json.dumps(figures, indent=2))
    else:
        print(table(plan))
    return 0
