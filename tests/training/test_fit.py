"""The trainer, run for a few steps as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from reco_core import describe_checkpoint, read_checkpoint
from train.config import load_config
from train.fit import fit

ROOT = Path(__file__).parents[2]


def train(*words, **options):
    command = [sys.executable, "-m", "train", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def test_training_writes_a_checkpoint_that_says_what_it_is(config_file, overrides, tmp_path):
    done = train("fit", "--config", config_file, *overrides)
    assert done.returncode == 0, done.stderr
    tensors, metadata = read_checkpoint(tmp_path / "out.safetensors")
    info = describe_checkpoint(tensors, metadata)
    assert (info.is_reco, info.num_bins, info.max_length, info.unet_heads) == (True, 1000, 96, 2)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert metadata["steps"] == "4" and metadata["data"] == "ShapeSkills" and metadata["licence"]
    assert "circle" in info.words and "cat" not in info.words
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"position_gap", "samples"} <= {line["group"] for line in log}
    with Image.open(tmp_path / "run" / "samples" / "step_000004.png") as sheet:
        assert len(sheet.getcolors(1 << 24)) > 10
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tiny_config, tmp_path):
    whole = replace(tiny_config, folder=str(tmp_path / "a"), output=str(tmp_path / "a.safetensors"))
    parts = replace(tiny_config, folder=str(tmp_path / "b"), output=str(tmp_path / "b.safetensors"))
    fit(whole)

    class Stopped(Exception):
        pass

    with pytest.raises(Stopped):
        fit(parts, after_step=lambda step: stop_at(step, 3, Stopped))
    assert torch.load(tmp_path / "b" / "state.pt", weights_only=True)["step"] == 2
    fit(parts)
    ours, theirs = (read_checkpoint(tmp_path / f"{name}.safetensors")[0] for name in "ab")
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def stop_at(step, last, error):
    if step == last:
        raise error


def test_a_checkpoint_is_trained_further(config_file, overrides, tiny_config, tmp_path):
    base = fit(tiny_config)
    words = [
        *overrides,
        f'model.base="{base.as_posix()}"',
        f'output="{tmp_path.as_posix()}/more.safetensors"',
    ]
    more = load_config(config_file, [*words, f'folder="{tmp_path.as_posix()}/more"'])
    tensors, metadata = read_checkpoint(fit(more))
    assert metadata["steps"] == "8"
    before = read_checkpoint(base)[0]
    assert before.keys() == tensors.keys()
    changed = [key for key in before if not torch.equal(before[key], tensors[key])]
    assert any("diffusion_model" in key for key in changed)
    assert any("cond_stage_model" in key for key in changed)
    assert not any("first_stage_model" in key for key in changed)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimizer.steeps=3", "'optimizer.steeps'"),
        ("optimizer.steps=many", "'many'"),
        ("model.rows=sideways", "'sideways'"),
        ("optimizer.steps", "section.option=value"),
        ("model.base=/nowhere/base.safetensors", "base.safetensors"),
    ],
)
def test_a_mistake_is_one_line_that_quotes_it(word, message, config_file, overrides):
    done = train("fit", "--config", config_file, *overrides, word)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_evaluation_scores_and_draws_what_it_sampled(tiny_config, tmp_path):
    checkpoint, folder = fit(tiny_config), tmp_path / "scores"
    words = ["--layouts", 6, "--held-out-layouts", 3, "--steps", 2, "--output", folder]
    done = train("evaluate", "--checkpoint", checkpoint, *words)
    assert done.returncode == 0, done.stderr
    result = json.loads((folder / "scores.json").read_text())
    assert result["controls"]["rendered_truth"] == 1.0
    assert result["region_accuracy"] < 0.5, "four steps of training cannot draw shapes"
    assert (result["sampler"], result["steps"], result["seed"]) == ("euler", 2, 0)
    assert len(result["pictures"]) == 6 == len(list((folder / "pictures").glob("*.png")))
    assert result["held_out"]["regions"] >= 3
    assert (folder / "contact_sheet.png").exists()


def test_evaluation_names_a_checkpoint_that_is_not_there(tmp_path):
    done = train("evaluate", "--checkpoint", tmp_path / "none.safetensors")
    assert done.returncode == 2 and "none.safetensors" in done.stderr
