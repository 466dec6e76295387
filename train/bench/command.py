"""Images per second and peak memory, side by side with another trainer given by path.

    python -m train bench --peer train_text_to_image.py
    python -m train bench --profile

The peer takes the options of diffusers' examples/text_to_image/train_text_to_image.py. Both train
the UNet of the same small random model on the same pictures (work.py), each in processes of
its own: the peer, ours doing the same work, and ours with each of its gains. --profile says where
the time of our step goes.

Start-up and saving do not count: steps are timed by the progress bars, from the end of the second
on. All take turns in every round, in one order and then in the other, and ratios are of the same
round. Time is taken on the clock and of the processor: on a CPU that others use too, the second is
what to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from reco_core.atomic import write_text_atomically
from train.allocator import keep_memory
from train.bench.process import WARM_UP, Run, run_process
from train.bench.spread import spread_of, told
from train.bench.work import TINY, Size, Work, add_options, make_work
from train.command_line import in_range
from train.options import Processes
from train.precision import MIXED_PRECISIONS

PEER, EQUAL = "peer", "equal"
_LATENTS, _TEXT = "data.cache_latents=true", "data.cache_text=true"
OURS: dict[str, tuple[str, ...]] = {
    EQUAL: (),
    "plain-attention": ('compute.attention="math"',),
    "contiguous": ("compute.channels_last=false",),
    "cached-latents": (_LATENTS,),
    "cached-text": (_TEXT,),
    "cached": (_LATENTS, _TEXT),
}
"""Our trainer doing the peer's work, and options on top of that: each apart, then both caches.
Plain attention, and pictures encoded in the contiguous layout, are losses."""
RATIOS = {"images_per_second": "times_peer", "images_per_cpu_second": "times_peer_by_cpu"}
"""Figures of a trainer, and the names of their ratios to the peer's."""


@dataclass(frozen=True)
class Speed:
    """A trainer in one round, without its start-up; peak: bytes of memory at most."""

    images_per_second: float
    images_per_cpu_second: float
    peak: int


@dataclass(frozen=True)
class BenchConfig:
    """What is measured, and how often."""

    peer: Path
    output: Path = Path("runs/bench")
    steps: int = 20
    batch_size: int = 4
    image_size: int = 128
    rounds: int = 3
    threads: int = 1
    precision: str = "no"
    ours: tuple[str, ...] = tuple(OURS)
    tiny: bool = False


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `bench` to the command line."""
    defaults = BenchConfig(Path())
    parser = commands.add_parser("bench", help="speed and memory side by side with another trainer")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--peer",
        type=Path,
        default=defaults.peer,
        help="script with train_text_to_image.py's options",
    )
    what.add_argument("--profile", action="store_true", help="say where the time of ours goes")
    add_options(parser, defaults)
    parser.add_argument(
        "--threads", type=in_range(Processes), default=defaults.threads, help="of the CPU"
    )
    parser.add_argument("--precision", choices=MIXED_PRECISIONS, default=defaults.precision)
    parser.add_argument("--ours", nargs="+", choices=list(OURS), default=defaults.ours)
    parser.set_defaults(run=_run)


def bench(config: BenchConfig) -> dict[str, Any]:
    """Measure, and write `bench.json` and `bench.md` to the output folder after every round.

    Raises:
        ValueError: options that cannot work, or a trainer that fails; quotes its last lines.
        FileNotFoundError: no such peer.
    """
    _check_peer(config)
    work = _made(config)
    names = (PEER, *config.ours)
    rounds: list[dict[str, Speed]] = []
    result: dict[str, Any] = {}
    with tqdm(total=config.rounds * len(names), desc="bench", unit="trainer") as bar:
        for number in range(config.rounds):
            speeds = {}
            for name in names if number % 2 == 0 else names[::-1]:
                bar.set_postfix_str(name)
                speeds[name] = measure(name, work, config)
                bar.update()
            rounds.append(speeds)
            result = summary(rounds) | {"settings": _settings(config)}
            _write(work.folder / "bench.json", json.dumps(result, indent=2) + "\n")
            _write(work.folder / "bench.md", table(result["trainers"]))
    return result


def profiled(config: BenchConfig) -> str:
    """Where the time of our steps goes, as tables in Markdown; the peer is not asked.

    Raises:
        ValueError: options that cannot work.
    """
    keep_memory()
    from train.bench.profile import profile_steps

    work = _made(config)
    output = _emptied(work.folder / "runs" / "profile")
    last = WARM_UP + config.steps
    words = work.our_words((), last + 1, output)  # after its last step a run also checks and saves
    return profile_steps(work.config, words, WARM_UP, last, config.threads)


def measure(name: str, work: Work, config: BenchConfig) -> Speed:
    """One trainer's speed in one run.

    Raises:
        ValueError: it fails, or shows no progress that can be timed.
    """
    if _caches(name) and not (work.folder / "runs" / name / "cache").exists():
        _train(name, work, config, 1)  # filling it is paid once, and not per image
    run = _train(name, work, config, WARM_UP + config.steps)
    spent = run.steady(name)
    images = spent.step * config.batch_size
    return Speed(images / spent.wall, images / spent.cpu, run.peak)


def summary(rounds: list[dict[str, Speed]]) -> dict[str, Any]:
    """Medians with lowest and highest per trainer, and ratios to the peer of the same round."""

    trainers = {}
    for name in rounds[0]:
        figures: dict[str, Any] = {"peak_gib": median(r[name].peak for r in rounds) / 2**30}
        for figure, ratio in RATIOS.items():
            mine, peers = ([getattr(r[who], figure) for r in rounds] for who in (name, PEER))
            figures[figure] = spread_of(mine)
            figures[ratio] = spread_of([m / p for m, p in zip(mine, peers, strict=True)])
        trainers[name] = figures
    return {"trainers": trainers, "rounds": [{n: asdict(s) for n, s in r.items()} for r in rounds]}


def table(trainers: dict[str, Any]) -> str:
    """The summary as a table in Markdown."""
    heads = ("", "images/s", "x peer", "images/CPU s", "x peer", "peak GiB")
    lines = [heads, ("---", *("---:",) * (len(heads) - 1))]
    for name, figures in trainers.items():
        spreads = [told(figures[column]) for pair in RATIOS.items() for column in pair]
        label = name if name == PEER else f"ours, {name.replace('-', ' ')}"
        lines.append((label, *spreads, f"{figures['peak_gib']:.2f}"))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _train(name: str, work: Work, config: BenchConfig, steps: int) -> Run:
    """One run from nothing; only what it cached stays."""
    output = _emptied(work.folder / "runs" / name)
    if name == PEER:
        command = work.peer_command(config.peer.resolve(), steps, output)
    else:
        command = work.our_command(OURS[name], steps, output)
    log = work.folder / "logs" / f"{name}.txt"
    return run_process(command, log, config.threads, steps)


def _emptied(output: Path) -> Path:
    for leftover in output.glob("*"):
        if leftover.name == "cache":
            continue
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    return output


def _caches(name: str) -> bool:
    return any("cache" in option for option in OURS.get(name, ()))


def _settings(config: BenchConfig) -> dict[str, Any]:
    import diffusers
    import torch

    settings = asdict(config) | {"peer": config.peer.name, "output": config.output.name}
    return settings | {
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "python": platform.python_version(),
        "cuda": torch.cuda.is_available(),
    }


def _check_peer(config: BenchConfig) -> None:
    if not hasattr(os, "wait4"):
        raise ValueError("this system does not tell a process's peak memory: use Linux or macOS")
    if not config.peer.is_file():
        raise FileNotFoundError(f"there is no peer script {config.peer}")


def _made(config: BenchConfig) -> Work:
    """The work, written to the output folder; ValueError for sizes that cannot be."""
    for name in ("steps", "batch_size", "rounds", "threads"):
        if getattr(config, name) < 1:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} {getattr(config, name)} must be at least 1")
    if config.image_size < 8 or config.image_size % 8:
        raise ValueError(f"--image-size {config.image_size} is not a positive multiple of 8")
    work = Work(
        config.output.resolve(), config.image_size, config.batch_size, precision=config.precision
    )
    make_work(work, TINY if config.tiny else Size())
    return work


def _write(path: Path, text: str) -> None:
    write_text_atomically(path, text)


def _run(arguments: argparse.Namespace) -> int:
    given = vars(arguments) | {"ours": tuple(arguments.ours)}
    config = BenchConfig(**{field.name: given[field.name] for field in fields(BenchConfig)})
    if arguments.profile:
        print(profiled(config), end="")
        return 0
    print(table(bench(config)["trainers"]), end="")
    print(f"wrote {config.output / 'bench.md'} and {config.output / 'bench.json'}")
    return 0
