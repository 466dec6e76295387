"""When memory runs out, micro-batches are halved and training goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = (
    "model.unet_channels=[64, 64]",
    "image_size=256",
    "data.sets.0.samples=16",
    "optimizer.steps=1",
    "optimizer.warmup_steps=0",
    "sample.every=0",
    "validation.every=0",
)
# Each thread would take address space of its own.
LEAN = os.environ | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
# The first run brings in all that torch loads on the way; after it, `room` is what is left to use.
PROGRAM = """
import re, resource, sys
from pathlib import Path
from train.config import load_config
from train.fit.loop import fit

def used():
    return int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

room, config, *words = sys.argv[1:]
small, large = (
    load_config(Path(config), [word.replace("/run", f"/{name}") for word in words] + [batch])
    for name, batch in (("small", "optimizer.batch_size=1"), ("large", "optimizer.batch_size=32"))
)
fit(small)
resource.setrlimit(resource.RLIMIT_AS, (used() + (int(room) << 20),) * 2)
fit(large)
"""


@pytest.fixture
def log_within(config_file, overrides, tmp_path):
    """Train one batch of 32 with so many MiB to spare; the log's lines by group."""

    def run(room):
        here = tmp_path / str(room)
        words = [word.replace(tmp_path.as_posix(), here.as_posix()) for word in overrides]
        command = [sys.executable, "-c", PROGRAM, str(room), str(config_file), *words, *WORDS]
        done = subprocess.run(
            command, cwd=ROOT, env=LEAN, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
        lines = (here / "large" / "log.jsonl").read_text().splitlines()
        return {line["group"]: line for line in map(json.loads, lines)}

    return run


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_micro_batches_are_halved_until_they_fit(log_within):
    ample, scarce = log_within(20_000), log_within(900)
    assert "note" not in ample
    assert "memory ran out: micro-batches of" in scarce["note"]["message"]
    assert scarce["train"]["total"] == pytest.approx(ample["train"]["total"], rel=1e-4)
