"""Where the time of our step goes, when it does the peer's work: by parts, and by operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.profiler import ProfilerActivity, profile, record_function

from train.config import load_config
from train.fit.loop import fit

PARTS = {
    "pictures read": "enumerate(DataLoader)",
    "pictures encoded": "Encoder",
    "texts encoded": "CLIPTextModel",
    "UNet, forward": "UNet2DConditionModel",
    "backward": "autograd::engine::evaluate_function",
    "optimiser": "Optimizer.step",
}
"""Parts of a step, and what the names of their events begin with."""
MODULES = ("Encoder", "CLIPTextModel", "UNet2DConditionModel")
OPERATORS = 14
"""That are listed."""


def profile_steps(path: Path, words: Sequence[str], first: int, last: int, threads: int) -> str:
    """Train in this process; two tables in Markdown, shares of the time on the clock.

    path, words: a configuration and what it is told; first, last: the steps after which the
    profiler starts and stops. It takes time of its own, most where operators are small.
    """
    torch.set_num_threads(threads)
    config = load_config(path, words)
    watch = profile(activities=[ProfilerActivity.CPU])
    with _named_modules():
        fit(config, _between(watch, first, last))
    events = watch.key_averages()
    whole = sum(event.self_cpu_time_total for event in events)
    parts = {
        part: sum(e.cpu_time_total for e in events if e.key.startswith(name))
        for part, name in PARTS.items()
    }
    parts["the rest"] = whole - sum(parts.values())
    largest = sorted(events, key=lambda event: -event.self_cpu_time_total)[:OPERATORS]
    operators = {f"`{event.key}`": event.self_cpu_time_total for event in largest}
    return f"{_table('part', parts, whole)}\n{_table('operator', operators, whole)}"


def _between(watch: profile, first: int, last: int) -> Callable[[int], None]:
    def after_step(step: int) -> None:
        if step == first:
            watch.start()
        elif step == last:
            watch.stop()

    return after_step


@contextmanager
def _named_modules() -> Iterator[None]:
    """Within, forward passes of MODULES are events of their names."""
    opened: list[record_function] = []

    def enter(module: nn.Module, _: Any) -> None:
        if type(module).__name__ in MODULES:
            opened.append(record_function(type(module).__name__))
            opened[-1].__enter__()

    def leave(module: nn.Module, _: Any, __: Any) -> None:
        if type(module).__name__ in MODULES:
            opened.pop().__exit__(None, None, None)

    handles = (register_module_forward_pre_hook(enter), register_module_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _table(head: str, times: dict[str, float], whole: float) -> str:
    lines = [f"| {head} | share |\n| --- | ---: |\n"]
    lines += [f"| {name} | {100 * time / whole:.1f}% |\n" for name, time in times.items()]
    return "".join(lines)
