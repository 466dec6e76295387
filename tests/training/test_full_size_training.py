"""One real step of a model of Stable Diffusion 1's full size: run on request with -m slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from random_checkpoint import FULL_SIZE, random_state_dict
from safetensors.torch import save_file

from comfy_server import FETCHED_COMFYUI, given_comfyui
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint
from reco_core.layout import Box, Layout, Region

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "comfy"))

from inside import Inside  # noqa: E402

PLAIN = replace(FULL_SIZE, num_bins=0, max_length=77)
SMALL_STEP = (
    'data.sets=[{kind="shapeskills",samples=2}]',
    "data.workers=0",
    "image_size=256",
    "optimizer.steps=1",
    "optimizer.batch_size=1",
    "optimizer.micro_batch=1",
    "optimizer.kind=adafactor",
    "optimizer.ema_decay=0",
    "compute.precision=no",
    "compute.frozen_precision=fp32",
    "sample.every=0",
    "validation.every=0",
)


@pytest.mark.slow
def test_a_plain_file_of_full_size_is_trained_a_step_and_opens_in_comfyui(tmp_path, capsys):
    base, output = tmp_path / "sd1.safetensors", tmp_path / "reco.safetensors"
    save_file(random_state_dict(PLAIN), base)
    words = ["--config", "train/configs/full-24gb.toml", *SMALL_STEP, f"model.base={base}"]
    planned = json.loads(run("memory", *words, "--json")[0])["total"] / 2**30
    places = [f"output={output}", f"folder={tmp_path / 'run'}"]
    start = time.monotonic()
    _, peak = run("fit", *words, *places)
    seconds = time.monotonic() - start
    with capsys.disabled():
        print(
            f"\nfull-size step: {seconds:.0f} s, peak memory {peak:.1f} GiB "
            f"({planned:.1f} GiB counted for the step alone)"
        )
    info = describe_checkpoint(*read_checkpoint(output))
    assert (info.is_reco, info.num_bins, info.max_length) == (True, 1000, 616)
    assert peak < 16
    layout = Layout("a dog", (Region("a brown dog", Box(0.1, 0.1, 0.9, 0.9)),), 256, 256)
    inside = Inside(given_comfyui() or FETCHED_COMFYUI)
    step = inside("full_size_step", path=str(output), layout=layout.to_json())
    inside.close()
    assert (step["calls"], step["lengths"], step["finite"]) == ([[2, 4, 32, 32]], [616, 616], True)


def run(*words: str) -> tuple[str, float]:
    """What the trainer printed, and its largest resident set in GiB."""
    command = [sys.executable, "-m", "train", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return printed, usage.ru_maxrss / 2**20
