"""Several processes train as one does with the same batch, and end with the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from on_base import on_base
from safetensors.torch import load_file

from train.config import load_config
from train.fit.loop import fit

ROOT = Path(__file__).parents[2]
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
BRIEF = ("optimizer.batch_size=4", "optimizer.steps=3", "sample.every=0", "compute.threads=1")
ADAPTER = ("lora.rank=2", "lora.text_rank=2", "image_size=64", "data.cache_latents=false")
# Both trainings, and what becomes of processes that differ, in one launch. A process says where it
# is, and digests of all its weights after every step, from inside of the run.
PROGRAM = """
import json, os, sys
from pathlib import Path
import torch
from train.fit import loop, run as module
from train.fit.agreement import check_agreement, digest, model_tensors, share_weights
from train.config import load_config

told, steps, rank = {}, [], int(os.environ["RANK"])
start_model = module.start_model

def started_apart(config, accelerator):
    # as if each process had drawn, or read, weights of its own
    model, base = start_model(config, accelerator)
    told["apart"] = []
    with torch.no_grad():
        for name, tensor in model_tensors(model).items():
            if tensor.is_floating_point() and accelerator.process_index:
                tensor.add_(0.01)
    told["world"] = torch.distributed.get_world_size()
    told["backend"] = torch.distributed.get_backend()
    try:
        check_agreement(model_tensors(model), {}, accelerator, "Here")
    except ValueError as error:
        told["refused"] = str(error)
    return model, base

def watched(model, accelerator):
    share_weights(model, accelerator)
    told["model"] = model

module.start_model, module.share_weights = started_apart, watched
here = Path(sys.argv[1])
for name in ("full", "adapter", "apart"):
    words = json.loads((here / f"{name}.json").read_text())
    config = load_config(Path(sys.argv[2]), words)
    told.clear(), steps.clear()

    def after_step(step):
        steps.append(digest([digest(x) for x in model_tensors(told["model"]).values()]))
        if name == "apart" and rank:
            next(told["model"].unet.parameters()).data.add_(1e-3)

    try:
        loop.fit(config, after_step)
        failure = ""
    except ValueError as error:
        failure = str(error)
    del told["model"]
    said = {**told, "digests": steps, "failure": failure}
    (here / f"{name}-{rank}.json").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def runs(config_file, base, words_in, tmp_path_factory):
    """What two processes and one said of the same trainings: {name: ([process 0, 1], folders)}."""
    here = tmp_path_factory.mktemp("processes")
    adapter = (*ADAPTER, *on_base(base))
    options = {"full": ("data.flip=0.5", "data.text_dropout=0.2"), "adapter": adapter}
    options["apart"] = (*adapter, "save_every=2")
    for name, more in options.items():
        two = [*words_in(here / "two", name), *BRIEF, *more]
        (here / f"{name}.json").write_text(json.dumps(two))
    (here / "program.py").write_text(PROGRAM)
    command = [sys.executable, *LAUNCH, str(here / "program.py"), str(here), str(config_file)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for name in ("full", "adapter"):
        AcceleratorState._reset_state(reset_partial_state=True)
        fit(load_config(config_file, [*words_in(here / "one", name), *BRIEF, *options[name]]))
    return {
        name: ([json.loads((here / f"{name}-{rank}.json").read_text()) for rank in (0, 1)], here)
        for name in options
    }


def losses(folder):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["total"] for line in lines if line["group"] == "train"]


@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_two_processes_end_with_equal_weights_from_unequal_ones(runs, kind):
    both, _ = runs[kind]
    for said in both:
        assert (said["world"], said["backend"], said["failure"]) == (2, "gloo", "")
        assert "process 1 differs from process 0" in said["refused"], "they started alike"
    first, second = (said["digests"] for said in both)
    assert first == second and len(set(first)) == 3


@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_two_processes_have_the_loss_curve_of_one_with_the_same_batch(runs, kind):
    _, here = runs[kind]
    two, one = (losses(here / count / kind) for count in ("two", "one"))
    assert len(one) == 3
    assert two == pytest.approx(one, rel=1e-4)
    ours, theirs = (load_file(here / count / f"{kind}.safetensors") for count in ("two", "one"))
    assert ours.keys() == theirs.keys()
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-2, atol=2e-3)


def test_processes_that_drift_apart_are_stopped_and_nothing_is_written(runs):
    both, here = runs["apart"]
    for said in both:
        assert "After step 2 process 1 differs from process 0 in 1 of" in said["failure"]
        assert "unet.conv_in.weight" in said["failure"]
    assert not list((here / "two" / "apart" / "states").glob("*"))
    assert not (here / "two" / "apart.safetensors").exists()
