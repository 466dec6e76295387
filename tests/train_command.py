"""`python -m train` in a process of its own that need not load its libraries.

Each is forked from one that has loaded them, which saves ten seconds. Signals, limits, output and
exit codes are those of any process. Where there is no fork, it is started as any other.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess

ROOT = Path(__file__).resolve().parents[1]
FORKED = "forkserver" in multiprocessing.get_all_start_methods()
PROCESSES = multiprocessing.get_context("forkserver" if FORKED else "spawn")
if FORKED:
    PROCESSES.set_forkserver_preload(["train.fit.loop", "train.evaluate.command"])


def train(*words: object, before: Callable[[], None] | None = None) -> CompletedProcess[str]:
    """Run a command to its end, within 300 s; what it printed and its exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = start(*words, folder=folder, before=before)
        process.join(300)
        ended = process.exitcode is not None
        process.kill()
        said = ((folder / name).read_text("utf-8") for name in ("stdout", "stderr"))
        assert ended, f"train {' '.join(map(str, words))} takes too long: {[*said]}"
        return CompletedProcess(words, process.exitcode, *said)


def start(*words: object, folder: Path, before: Callable[[], None] | None = None) -> BaseProcess:
    """Start a command, after `before` in its process; it prints to folder/stdout and stderr.

    exitcode is None while it runs, then its exit code, or the negative number of the signal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    process = PROCESSES.Process(target=_run, args=([*map(str, words)], folder, before))
    process.start()
    return process


def _run(words: list[str], folder: Path, before: Callable[[], None] | None) -> None:
    os.chdir(ROOT)
    for number, name in ((1, "stdout"), (2, "stderr")):
        with open(folder / name, "wb") as file:
            os.dup2(file.fileno(), number)
    if before:
        before()
    from train.__main__ import main

    sys.argv = ["train", *words]
    sys.exit(main())
