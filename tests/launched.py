"""A program that trains several times in processes which know of each other, in one launch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ("-m", "torch.distributed.run", "--standalone")


def launch_program(
    program: str, processes: int, here: Path, config: Path, runs: Mapping[str, Sequence[str]]
) -> dict[str, list[Any]]:
    """What the processes said of each run: {name: [process 0, 1 ...]}.

    program: told the folder `here`, the configuration and the runs' names. It finds a run's words
    in here/NAME.json and leaves what a process says in here/NAME-RANK.json; a run called "stopped"
    ends it with an error.
    """
    for name, words in runs.items():
        (here / f"{name}.json").write_text(json.dumps(list(words)))
    (here / "program.py").write_text(program)
    arguments = [here / "program.py", here, config, *runs]
    done = subprocess.run(
        [sys.executable, *LAUNCH, f"--nproc_per_node={processes}", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == int("stopped" in runs), done.stderr
    found = {name: sorted(here.glob(f"{name}-?.json")) for name in runs}
    assert found[next(iter(runs))], done.stderr
    return {name: [json.loads(path.read_text()) for path in paths] for name, paths in found.items()}
