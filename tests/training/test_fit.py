"""The trainer, run for a few steps as a user runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from on_base import on_base
from PIL import Image
from train_command import train

from reco_core.autoencoder import TAESD_ENCODER
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint
from reco_core.layout import Box, Layout, Region
from train.__main__ import main
from train.config import load_config
from train.fit.loop import fit
from train.model.options import ModelConfig
from train.model.sampling import token_ids
from train.model.text_to_image import load_model
from train.model.tokenizer import plain_tokenize

ROOT = Path(__file__).parents[2]


def test_training_writes_a_checkpoint_that_says_what_it_is(config_file, overrides, tmp_path):
    done = train("fit", "--config", config_file, *overrides)
    assert done.returncode == 0, done.stderr
    tensors, metadata = read_checkpoint(tmp_path / "run.safetensors")
    info = describe_checkpoint(tensors, metadata)
    assert (info.is_reco, info.num_bins, info.max_length, info.unet_heads) == (True, 1000, 96, 2)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert metadata["steps"] == "4" and metadata["data"] == "ShapeSkills" and metadata["licence"]
    assert "circle" in info.words and "cat" not in info.words
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    of = {line["group"]: line for line in log}
    assert of["validation"].keys() >= {"loss", "t100", "t950", "gap"}
    assert 0 <= of["samples"]["region_accuracy"] <= 1
    assert of["train"].keys() >= {"total", "rate", "gradient_norm", "images_per_second"}
    with Image.open(tmp_path / "run" / "samples" / "step_000004.png") as sheet:
        assert len(sheet.getcolors(1 << 24)) > 10
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


@pytest.mark.slow
def test_a_compiled_unet_learns_the_same(config_file, words_in, tmp_path):
    totals = []
    for name, own in (("plain", ()), ("compiled", ("compute.compile=true",))):
        words = [*words_in(tmp_path, name), "sample.every=0", *own]
        done = train("fit", "--config", config_file, *words)
        assert done.returncode == 0, done.stderr
        log = map(json.loads, (tmp_path / name / "log.jsonl").read_text().splitlines())
        totals.append([line["total"] for line in log if line["group"] == "train"])
    assert len(totals[0]) == 4
    assert totals[1] == pytest.approx(totals[0], rel=1e-3)


def test_a_checkpoint_is_trained_further(config_file, overrides, tiny_config, tmp_path):
    base = fit(tiny_config)
    words = [w.replace("/run", "/more") for w in overrides]
    more = load_config(config_file, [*words, *on_base(base)])
    tensors, metadata = read_checkpoint(fit(more))
    assert metadata["steps"] == "8"
    before = read_checkpoint(base)[0]
    assert before.keys() == tensors.keys()
    changed = [key for key in before if not torch.equal(before[key], tensors[key])]
    assert any("diffusion_model" in key for key in changed)
    assert any("cond_stage_model" in key for key in changed)
    assert not any("first_stage_model" in key for key in changed)


def test_a_base_takes_a_grown_autoencoder(config_file, overrides, tiny_config, tmp_path):
    base = fit(tiny_config)
    words = [w.replace("/run", "/more") for w in overrides]
    width = 2 * tiny_config.autoencoder.width
    words += [*on_base(base, keep_autoencoder=True), f'autoencoder.base="{base.as_posix()}"']
    tensors = read_checkpoint(fit(load_config(config_file, [*words, f"autoencoder.width={width}"])))
    key = f"{TAESD_ENCODER}0.weight"
    used = [int(x[key].flatten(1).any(dim=1).sum()) for x in (read_checkpoint(base)[0], tensors[0])]
    assert used == [tiny_config.autoencoder.width, width]


def test_an_autoencoder_to_take_and_one_to_train_are_too_many(config_file, overrides):
    words = ["model.autoencoder=taken.safetensors", "autoencoder.base=trained.safetensors"]
    with pytest.raises(ValueError, match=r"taken\.safetensors.*trained\.safetensors"):
        fit(load_config(config_file, [*overrides, *words]))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimizer.steeps=3", "'optimizer.steeps'"),
        ("optimizer.steps=many", "'many'"),
        ("data.sets.3.seed=1", "'3'"),
        ("data.crop=random", 'data.crop = "centre"'),
        ("model.rows=sideways", "'sideways'"),
        ("optimizer.steps", "section.option=value"),
        ("model.base=/nowhere/base.safetensors", "base.safetensors"),
        ("autoencoder.base=/nowhere/base.safetensors", "base.safetensors"),
    ],
)
def test_a_mistake_is_one_line_that_quotes_it(
    word, message, config_file, overrides, monkeypatch, capsys
):
    place = word.removeprefix("model.base=")
    words = [word] if place == word else on_base(place)
    command = ["train", "fit", "--config", str(config_file), *overrides, *words]
    monkeypatch.setattr(sys, "argv", command)
    assert main() == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_a_model_of_positional_words_is_drawn_with_them(config_file, overrides, tmp_path):
    words = ["model.num_bins=0", "model.positional_words=true"]
    tensors, metadata = read_checkpoint(fit(load_config(config_file, [*overrides, *words])))
    assert not describe_checkpoint(tensors, metadata).is_reco
    model = load_model(tensors, metadata, ModelConfig(num_bins=0))
    (left, right, plain) = token_ids(model, [layout_at(0.0), layout_at(0.6), Layout("a dog")])
    told = plain_tokenize()("large square in the left, a dog")
    start = len(plain_tokenize()("a dog"))
    assert left[start : start + len(told)].tolist() == list(told)
    assert not torch.equal(left, right) and not torch.equal(left, plain)


def layout_at(x):
    """A dog in a box with its left edge at x."""
    return Layout("a dog", (Region("a dog", Box(x, 0.3, x + 0.4, 0.7)),))
