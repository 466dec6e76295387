"""A run that is killed, stopped or out of disk goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train_command import start, train

from train.config import load_config
from train.fit.loop import fit

ROOT = Path(__file__).parents[2]
ACCUMULATING = ("optimizer.steps=7", "optimizer.batch_size=4", "optimizer.micro_batch=2")
"""With eight samples an epoch is two steps, and a state is written every two: 3 and 5 lie between
states, and 3 and 5 are in the middle of an epoch."""


@pytest.fixture
def command(config_file, overrides):
    """The words of a tiny run with accumulation and averages, continued by itself."""
    words = [*overrides, *ACCUMULATING, "optimizer.ema_decay=0.9", "data.flip=0.5"]
    return ["fit", "--config", config_file, *words]


def started(command, tmp_path, reached):
    """A run whose log says that it has reached a step."""
    process, log = start(*command, folder=tmp_path / "said"), tmp_path / "run" / "log.jsonl"
    while not (log.exists() and f'"step": {reached}, "group": "train"' in log.read_text()):
        assert process.is_alive(), (tmp_path / "said" / "stderr").read_text()
        time.sleep(0.005)
    return process


def kill_at(command, tmp_path, step):
    """Start a run and kill -9 it as soon as its log says it has reached a step."""
    process = started(command, tmp_path, step)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it had ended before it could be killed"


def test_kill_9_at_any_moment_changes_nothing_in_the_end(command, tmp_path):
    here, apart = tmp_path.as_posix(), f"{tmp_path.as_posix()}/whole"
    whole = [str(word).replace(here, apart) for word in command]
    assert (done := train(*whole)).returncode == 0, done.stderr
    for step in (1, 3, 5):
        kill_at(command, tmp_path, step)
    assert (done := train(*command)).returncode == 0, done.stderr
    ours, theirs = (
        load_file(tmp_path / "run.safetensors"),
        load_file(tmp_path / "whole/run.safetensors"),
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    log = (tmp_path / "run" / "log.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert [x["step"] for x in lines if x["group"] == "train"] == [1, 2, 3, 4, 5, 6, 7]
    states = sorted(path.name for path in (tmp_path / "run" / "states").iterdir())
    assert states == ["step-0000006.pt", "step-0000007.pt"], "the newest two, and no leftovers"


def test_a_stopped_run_saves_the_step_it_was_at(command, tmp_path):
    process = started([*command, "optimizer.steps=500"], tmp_path, 3)
    process.terminate()
    process.join(120)
    assert process.exitcode == 130
    assert "the same command continues" in (tmp_path / "said" / "stderr").read_text()
    log = (tmp_path / "run" / "log.jsonl").read_text()
    last = max(json.loads(line)["step"] for line in log.splitlines())
    newest = max((tmp_path / "run" / "states").iterdir())
    assert torch.load(newest, weights_only=True)["step"] >= last >= 3


@pytest.mark.skipif(os.name == "nt", reason="limits file sizes")
def test_a_state_that_cannot_be_written_leaves_the_former_ones(command, tmp_path):
    import resource

    small = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (200_000, 200_000))
    assert train(*command, "optimizer.steps=2").returncode == 0
    states = tmp_path / "run" / "states"
    before = {path.name: path.read_bytes() for path in states.iterdir()}
    done = train(*command, before=small)
    assert done.returncode == 2, done.stderr
    assert "step 4 could not be written" in done.stderr and "make room" in done.stderr
    assert {path.name: path.read_bytes() for path in states.iterdir()} == before
    assert train(*command).returncode == 0, "and the same command continues"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("folder=FILE/run", "cannot be written"),
        ("output=FILE/out.safetensors", "cannot be written"),
        ("output=out.ckpt", ".ckpt is neither"),
        ("keep=1000000000", "GiB free"),
        ("keep=0", "at least 1"),
        ("optimizer.micro_batch=3", "does not divide"),
    ],
)
def test_what_cannot_work_is_said_before_training(word, message, config_file, overrides, tmp_path):
    (tmp_path / "file").write_text("in the way")
    words = [*overrides, word.replace("FILE", f"{tmp_path.as_posix()}/file")]
    steps = []
    with pytest.raises(ValueError, match=message):
        fit(load_config(config_file, words), after_step=steps.append)
    assert not steps


def test_a_run_does_not_go_on_with_other_options(config_file, overrides, tmp_path):
    fit(load_config(config_file, [*overrides, "optimizer.steps=2"]))
    with pytest.raises(ValueError, match="learning_rate was 0.001 and is 0.5"):
        fit(load_config(config_file, [*overrides, "optimizer.learning_rate=0.5"]))
    fit(load_config(config_file, [*overrides, "sample.layouts=1", "licence=none"]))


def test_a_damaged_state_is_named(config_file, overrides, tmp_path):
    fit(load_config(config_file, [*overrides, "optimizer.steps=2"]))
    newest = max((tmp_path / "run" / "states").iterdir())
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"{newest.name}.*cannot be read.*remove it"):
        fit(load_config(config_file, overrides))
