"""Files of Stable Diffusion 1's own architecture, small and random: four levels, KL autoencoder."""

from __future__ import annotations

import pytest
import torch
from on_base import on_base
from random_checkpoint import HEADS, Size, random_state_dict
from safetensors.torch import save_file

from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint
from train.config import load_config
from train.fit.loop import fit
from train.model.options import ModelConfig
from train.model.text_to_image import load_model, single_file

PLAIN = Size(
    channel_mult=(1, 2, 4, 4),
    res_blocks=2,
    attention_levels=3,
    max_length=77,
    num_bins=0,
    vae="kl",
)


@pytest.fixture(scope="module")
def plain():
    return random_state_dict(PLAIN, torch.float32)


def test_every_tensor_survives_the_modules(plain):
    extended = ModelConfig(num_bins=64, max_length=100)
    ours = single_file(load_model(plain, HEADS, extended))
    tables = {key for key in plain if key.endswith("_embedding.weight")}
    assert ours.keys() == plain.keys()
    for key, tensor in plain.items():
        assert torch.equal(ours[key][: len(tensor)], tensor), key
        assert (len(ours[key]) > len(tensor)) == (key in tables), key


def test_the_kl_autoencoder_gives_the_scaled_posterior(plain):
    codec = load_model(plain, HEADS, ModelConfig()).codec
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    mean, spread = codec.posterior(images)
    theirs = codec.autoencoder.encode(images).latent_dist
    torch.testing.assert_close(mean, theirs.mean * 0.18215)
    torch.testing.assert_close(spread, theirs.std * 0.18215)
    assert codec.decode(mean).shape == images.shape


def test_a_plain_file_learns_position_tokens(plain, config_file, overrides, tmp_path):
    base = tmp_path / "sd15.safetensors"
    save_file({key: tensor.half() for key, tensor in plain.items()}, base, HEADS)
    words = [*overrides, *on_base(base), "image_size=64", "optimizer.steps=1"]
    config = load_config(config_file, words)
    tensors, metadata = read_checkpoint(fit(config))
    info = describe_checkpoint(tensors, metadata)
    assert (info.is_reco, info.num_bins, info.max_length, info.unet_heads) == (True, 1000, 96, 8)
    vae = [key for key in plain if key.startswith("first_stage_model.")]
    assert all(torch.equal(tensors[key], plain[key].half()) for key in vae)
    trained = [key for key in plain if "diffusion_model" in key]
    assert not all(torch.equal(tensors[key], plain[key].half()) for key in trained)
