"""Random inputs near real ones at every door of reco_core: a right answer or a clear error.

Every case has a limit of time and of memory, and a name: DOOR:SEED. `RECO_FUZZ_SEED=DOOR:SEED
python dev.py test tests/fuzz` repeats one alone; a number in its place is the first seed of all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

from doors import DOORS, forgotten  # noqa: E402

IN_CI = 18  # cases of each door
IN_ALL = 1_500
SEED = os.environ.get("RECO_FUZZ_SEED", "")


def wrong(*words: str) -> list[str]:
    """Run cases in a process of its own: those that went wrong, and why."""
    command = [sys.executable, str(HERE / "worker.py"), *words]
    single = {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    ended = subprocess.run(
        command, capture_output=True, encoding="utf-8", env={**os.environ, **single}
    )
    lines = ended.stdout.splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    faults = [f"{each['case']}: {each['wrong']}" for each in found]
    if ended.returncode:
        faults.append(f"{lines[-1] if lines else 'start'}: {ended.stderr[-2_000:]}")
    return faults


def first_seed(default: int) -> int:
    seed = int(SEED) if SEED.isdecimal() else default
    print(f"RECO_FUZZ_SEED={seed}")
    return seed


def test_no_door_is_forgotten():
    assert forgotten() == []


@pytest.mark.skipif(":" in SEED, reason="one case is repeated")
def test_some_inputs_are_read_right_or_refused():
    seed = first_seed(0)
    assert wrong(*(f"{door}:{seed}+{IN_CI}" for door in DOORS)) == []


@pytest.mark.fuzz
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.skipif(":" in SEED, reason="one case is repeated")
def test_many_inputs_are_read_right_or_refused(door):
    seed = first_seed(int(time.time()) * 1_000)
    assert wrong(f"{door}:{seed}+{IN_ALL}") == []


@pytest.mark.skipif(":" not in SEED, reason="RECO_FUZZ_SEED names no case")
def test_the_case_that_is_asked_for():
    assert wrong(SEED) == []
