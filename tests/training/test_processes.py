"""Several processes train as one does with the same batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
LAUNCH = ("accelerate.commands.launch", "--cpu", "--num_machines=1", "--mixed_precision=no")


@pytest.fixture
def losses_of(config_file, overrides, tmp_path):
    """Run training in so many processes; the losses of its steps, and its folder."""

    def run(processes, *words):
        folder = tmp_path / f"{processes}"
        mine = [w.replace(tmp_path.as_posix(), folder.as_posix()) for w in overrides]
        fit = ["train", "fit", "--config", str(config_file), *mine, *words]
        if processes > 1:
            fit = [*LAUNCH, f"--num_processes={processes}", "-m", *fit]
        command = [sys.executable, "-m", *fit]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        lines = map(json.loads, (folder / "run" / "log.jsonl").read_text().splitlines())
        return [x["total"] for x in lines if x["group"] == "train"], folder / "run.safetensors"

    return run


def test_two_processes_have_the_loss_curve_of_one_with_the_same_batch(losses_of):
    words = (
        "optimizer.batch_size=4",
        "optimizer.steps=5",
        "data.flip=0.5",
        "data.text_dropout=0.2",
    )
    one, alone = losses_of(1, *words)
    two, together = losses_of(2, *words)
    assert len(one) == 5
    assert two == pytest.approx(one, rel=1e-4)
    ours, theirs = load_file(together), load_file(alone)
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-2, atol=2e-3)
