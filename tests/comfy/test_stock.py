"""Loaded models of any loader are known by their own classes and sizes, and others are named."""

from pathlib import Path

import pytest
import torch
from random_checkpoint import Size, random_state_dict

from reco_core.checkpoint_file import write_checkpoint

PLAIN = Size(max_length=77, num_bins=0)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("stock") / "plain.safetensors"
    write_checkpoint(path, random_state_dict(PLAIN, torch.float32), {})
    return path


@pytest.mark.parametrize(
    "size",
    [
        PLAIN,
        Size(max_length=77, num_bins=0, channels=64, text_width=128, text_layers=1),
        Size(max_length=77, num_bins=0, channel_mult=(1, 1, 2), text_layers=3),
    ],
    ids=["tiny", "wide", "deep"],
)
def test_the_sizes_of_stock_models_are_read(inside, tmp_path, size):
    path = tmp_path / "plain.safetensors"
    write_checkpoint(path, random_state_dict(size), {})
    assert inside("stock_checks.described", path=str(path)) == {
        "family": "sd1",
        "is_reco": False,
        "unet": [size.channels, size.text_width, 8],
        "text": [size.text_width, size.text_layers, 4 * size.text_width, 2],
        "tables": [0, 77],
    }


def test_a_reco_checkpoint_is_known_as_one(inside, tiny):
    assert inside("stock_checks.described_reco", path=str(tiny))


MODELS = {
    "inpainting": "9 input channels instead of 4",
    "editing": "8 input channels instead of 4",
    "SD20": "of Stable Diffusion 2.x:",
    "SDXL": "of SDXL:",
    "SDXLRefiner": "of SDXL's refiner:",
    "SSD1B": "of SDXL:",
    "LotusD": "of Stable Diffusion 2.x:",
    "another latent": "of another kind, SD15:",
    "v": "predicts v, and Stable Diffusion 1.x eps",
    "x0": "predicts the picture, and Stable Diffusion 1.x eps",
    "none": "there is no MODEL",
}


@pytest.mark.parametrize("case", MODELS)
def test_other_models_are_named(inside, plain, case):
    refused = inside("stock_checks.refused_model", path=str(plain), case=case)
    assert refused.startswith("base_model") and MODELS[case] in refused and "connect" in refused


CLIPS = {
    "SD2": "of Stable Diffusion 2.x:",
    "SDXL": "of SDXL:",
    "SDXL's refiner": "of SDXL's refiner:",
    "a long CLIP": "49408 tokens and 248 positions",
    "another": "of another kind, SomeTEModel:",
    "none": "there is no CLIP",
}


@pytest.mark.parametrize("case", CLIPS)
def test_other_text_encoders_are_named(inside, case):
    refused = inside("stock_checks.refused_clip", case=case)
    assert refused.startswith("clip") and CLIPS[case] in refused and "connect" in refused


def test_parts_that_do_not_fit_each_other_are_named(inside, plain, tmp_path):
    other = tmp_path / "wide.safetensors"
    write_checkpoint(other, random_state_dict(Size(max_length=77, num_bins=0, text_width=128)), {})
    refused = inside("stock_checks.refused_pair", path=str(plain), other=str(other))
    assert refused == (
        "clip is 128 wide but model attends to texts of width 64: connect those of one checkpoint"
    )
