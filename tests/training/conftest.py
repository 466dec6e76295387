"""A trainer's run small enough for a test: seconds on a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from random_checkpoint import HEADS, Size, random_state_dict
from safetensors.torch import save_file

from train.config import load_config

CONFIGS = Path(__file__).parents[2] / "train" / "configs"
SHORT = (
    "data.sets.0.samples=8",
    "optimizer.steps=4",
    "optimizer.batch_size=2",
    "optimizer.warmup_steps=1",
    "sample.every=4",
    "sample.layouts=2",
    "sample.steps=2",
    "validation.every=4",
    "validation.samples=4",
    "log.every=1",
    "save_every=2",
)
FROM_SCRATCH = (
    "autoencoder.steps=2",
    "autoencoder.encoder_steps=1",
    "autoencoder.batch_size=2",
    "model.unet_channels=[32]",
    "model.text_width=32",
    "model.text_layers=1",
    "model.text_heads=2",
    "model.num_bins=1000",
    "model.max_length=96",
    "data.use_regions=true",
    "data.max_regions=4",
    "loss.grounding_weight=2.0",
)


@pytest.fixture(scope="session")
def config_file():
    """The configuration of a model from nothing, which FROM_SCRATCH makes tiny."""
    return CONFIGS / "shapes-captions.toml"


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A small plain SD1-type file of random weights."""
    path = tmp_path_factory.mktemp("base") / "plain.safetensors"
    save_file(random_state_dict(Size(max_length=77, num_bins=0), torch.float32), path, HEADS)
    return path


@pytest.fixture(scope="session")
def words_in():
    """Words for `python -m train fit` that make its run tiny and keep it in a folder."""
    return lambda folder, name="run": [*SHORT, *FROM_SCRATCH, *places(folder, name)]


@pytest.fixture
def overrides(words_in, tmp_path):
    """Such words for a run in tmp_path."""
    return words_in(tmp_path)


@pytest.fixture
def tiny_config(config_file, overrides):
    return load_config(config_file, overrides)


def places(folder, name="run"):
    """Overrides that keep a run in a folder of its own."""
    return [
        f'folder="{(folder / name).as_posix()}"',
        f'output="{(folder / f"{name}.safetensors").as_posix()}"',
    ]
