"""A trainer's run small enough for a test: seconds on a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.config import load_config

CONFIG = Path(__file__).parents[2] / "train" / "configs" / "reco-shapes.toml"
TINY = (
    "autoencoder.steps=2",
    "autoencoder.encoder_steps=1",
    "autoencoder.batch_size=2",
    "data.samples=8",
    "model.unet_channels=[32, 32]",
    "model.text_width=32",
    "model.text_layers=1",
    "model.text_heads=2",
    "optimizer.steps=4",
    "optimizer.batch_size=2",
    "optimizer.warmup_steps=1",
    "sample.every=4",
    "sample.layouts=2",
    "sample.steps=2",
    "save_every=2",
)


@pytest.fixture
def config_file():
    return CONFIG


@pytest.fixture
def overrides(tmp_path):
    """Words for `python -m train fit` that make its run tiny and keep it in tmp_path."""
    return [
        *TINY,
        f'folder="{tmp_path.as_posix()}/run"',
        f'output="{tmp_path.as_posix()}/out.safetensors"',
    ]


@pytest.fixture
def tiny_config(overrides):
    return load_config(CONFIG, overrides)
