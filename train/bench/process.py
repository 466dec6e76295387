"""Run a trainer and time its steps from the progress bar it shows; start-up does not count."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from train.bench.work import ROOT

WARM_UP = 2
"""Steps that do not count."""


@dataclass(frozen=True)
class Stamp:
    """When so many steps were done: seconds on the clock, and of processor since the start, of the
    process and those that it started."""

    step: int
    wall: float
    cpu: float


@dataclass(frozen=True)
class Run:
    """What a run of so many steps showed, and the bytes of memory it took at most."""

    stamps: tuple[Stamp, ...]
    peak: int
    steps: int

    def steady(self, name: str) -> Stamp:
        """Steps after the warm-up, and the seconds they took.

        Raises:
            ValueError: no progress that can be timed; name: of the trainer.
        """
        timed = [stamp for stamp in self.stamps if stamp.step >= WARM_UP]
        if len(timed) < 2:
            raise ValueError(
                f"{name} shows no progress bar of {self.steps} steps, or is too fast for it: a "
                "trainer needs a tqdm over its steps; use more --steps"
            )
        first, last = timed[0], timed[-1]
        # The system counts processor time in hundredths of a second.
        cpu = max(last.cpu - first.cpu, 0.01)
        return Stamp(last.step - first.step, last.wall - first.wall, cpu)


def run_process(command: list[str], log: Path, threads: int, steps: int) -> Run:
    """Run a command to its end, in as many threads; what it says goes to `log`.

    steps: the total of its progress bar, a tqdm ("12/20 [" for twelve of twenty steps).

    Raises:
        ValueError: it fails; quotes its last lines.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        stamps = _watch(process, log, steps)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            process.terminate()
            process.wait()
    if process.returncode:
        lines = re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace").strip())
        raise ValueError(
            f"{' '.join(command[:4])} ... ended with {process.returncode}; {log} ends:\n"
            + "\n".join(lines[-5:])
        )
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(stamps, used.ru_maxrss * unit, steps)


def _watch(process: subprocess.Popen, log: Path, steps: int) -> tuple[Stamp, ...]:
    """Copy the output to `log` until it ends; note when each step first shows, of the last bar of
    so many: one before it may have been of files that were loaded."""
    assert process.stdout is not None
    shown = re.compile(rb"\b(\d+)/%d \[" % steps)
    seen = psutil.Process(process.pid)
    stamps: list[Stamp] = []
    rest = b""
    with log.open("wb") as file:
        while piece := os.read(process.stdout.fileno(), 1 << 16):
            file.write(piece)
            *lines, rest = re.split(rb"(?<=\[)", rest + piece)
            for match in filter(None, map(shown.search, lines)):
                step = int(match[1])
                if stamps and step < stamps[-1].step:
                    stamps.clear()
                if step > (stamps[-1].step if stamps else -1):
                    stamps.append(Stamp(step, time.monotonic(), _used(seen)))
    return tuple(stamps)


def _used(process: psutil.Process) -> float:
    """Seconds of processor of a process and those below it."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(used.user + used.system for used in times)
