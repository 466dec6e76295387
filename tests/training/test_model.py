"""Modules and the single file: nothing changes on the way there and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel

from reco_core.checkpoint import describe_checkpoint, extend_checkpoint
from reco_core.diffusers_keys import unet_keys
from reco_core.family import SD1
from train.model.autoencoder import (
    build_autoencoder,
    grow_autoencoder,
    narrow_autoencoder,
    widen_autoencoder,
)
from train.model.latents import TinyCodec
from train.model.options import AutoencoderConfig, ModelConfig
from train.model.text_to_image import Conditioning, load_model, new_model, single_file

SMALL = ModelConfig(
    unet_channels=(32, 64), text_width=64, text_layers=2, text_heads=2, max_length=40, num_bins=50
)
METADATA = {"unet_heads": "2", "text_heads": "2"}


@pytest.fixture(scope="module")
def model():
    return new_model(
        SMALL, TinyCodec(build_autoencoder(8, (0, 0, 1, 1), (1, 1, 0, 0)), SD1), seed=0
    )


@torch.no_grad()
def random_weights(model):
    """The model, with no weight left at zero."""
    for parameter in model.parameters():
        parameter.normal_(0, 0.1)
    return model


def test_every_key_of_a_full_size_unet_has_one_name_in_the_single_file():
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    keys = unet_keys(unet.state_dict())
    assert len(keys) == len(set(keys.values())) == 686
    assert keys["up_blocks.0.upsamplers.0.conv.weight"].endswith("output_blocks.2.1.conv.weight")
    assert keys["up_blocks.1.upsamplers.0.conv.weight"].endswith("output_blocks.5.2.conv.weight")
    assert keys["down_blocks.3.resnets.1.norm2.bias"].endswith(
        "input_blocks.11.0.out_layers.0.bias"
    )


def test_a_model_comes_back_from_its_single_file_unchanged(model):
    again = load_model(single_file(model), METADATA, ModelConfig())
    latents, ids = torch.randn(2, 4, 8, 8), torch.randint(0, 49_458, (2, 40))
    with torch.no_grad():
        states = model.text_states(ids)
        assert torch.equal(states, again.text_states(ids))
        t = torch.tensor(500)
        assert torch.equal(
            model.unet(latents, t, states).sample, again.unet(latents, t, states).sample
        )
        ours, theirs = model.codec.decode(latents), again.codec.decode(latents)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_the_file_says_its_sizes_itself(model):
    info = describe_checkpoint(single_file(model), METADATA)
    assert (info.is_reco, info.num_bins, info.max_length) == (True, 50, 40)
    assert (info.encoders[0].width, info.encoders[0].layers, info.unet_heads) == (64, 2, 2)


def test_a_plain_checkpoint_is_extended_before_training(model):
    plain = single_file(new_model(SMALL, model.codec, seed=1))
    for key in [k for k in plain if k.endswith("token_embedding.weight")]:
        plain[key] = plain[key][:49_408]
    for key in [k for k in plain if k.endswith("position_embedding.weight")]:
        plain[key] = torch.randn(77, 64)
    extended = load_model(plain, METADATA, ModelConfig(num_bins=64, max_length=120))
    assert (extended.num_bins, extended.max_length) == (64, 120)
    by_hand = extend_checkpoint(plain, 64, 120)
    again = load_model(by_hand, METADATA, ModelConfig())
    ids = torch.randint(0, 49_472, (1, 120))
    assert torch.equal(extended.text_states(ids), again.text_states(ids))


@pytest.mark.parametrize("width", [8, AutoencoderConfig.width])
def test_widening_an_autoencoder_changes_no_picture(width):
    config = AutoencoderConfig()
    slim = random_weights(build_autoencoder(width, config.encoder_blocks, config.decoder_blocks))
    with torch.no_grad():
        stock = widen_autoencoder(slim)
        images = torch.rand(2, 3, 32, 32) * 2 - 1
        latents = slim.encoder(images)
        assert latents.std() > 0
        torch.testing.assert_close(stock.encoder(images), latents, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            stock.decoder(latents), slim.decoder(latents), rtol=1e-5, atol=1e-5
        )


def test_a_widened_autoencoder_is_narrowed_to_what_it_was():
    config = AutoencoderConfig()
    slim = build_autoencoder(config.width, config.encoder_blocks, config.decoder_blocks)
    again = narrow_autoencoder(widen_autoencoder(slim))
    ours, theirs = again.state_dict(), slim.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_stock_autoencoder_is_not_narrowed():
    stock = build_autoencoder()
    ours, theirs = narrow_autoencoder(stock).state_dict(), stock.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_grown_autoencoder_begins_as_the_small_one_and_learns_with_all_of_it():
    small = random_weights(build_autoencoder(8, (0, 0, 1, 1), (1, 1, 0, 0)))
    large = grow_autoencoder(small, 16, (0, 1, 1, 2), (2, 1, 1, 0))
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        latents = small.encoder(images)
        torch.testing.assert_close(large.encoder(images), latents)
        torch.testing.assert_close(large.decoder(latents), small.decoder(latents))
    optimizer = torch.optim.SGD(large.parameters(), 1e-3)
    large.decoder(large.encoder(images)).square().mean().backward()
    optimizer.step()
    for part in (large.encoder, large.decoder):
        assert part.layers[-1].weight[:, 8:].any(), "old outputs do not learn from new channels"


def test_an_autoencoder_does_not_grow_smaller():
    small = random_weights(build_autoencoder(8, (0, 0, 1, 1), (1, 1, 0, 0)))
    for size in ((4, (0, 0, 1, 1), (1, 1, 0, 0)), (8, (0, 0, 1, 0), (3, 3, 3, 1))):
        with pytest.raises(ValueError, match=r"smaller than the base's: 8 with \[0, 0, 1, 1\]"):
            grow_autoencoder(small, *size)


def test_size_and_pooled_text_reach_a_unet_that_is_told_of_them(model):
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 32),
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=64,
        attention_head_dim=2,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 5,
    )
    told = Conditioning(torch.randn(1, 7, 64), torch.randn(1, 5), torch.full((1, 6), 512.0))
    noisy, t = torch.randn(1, 4, 8, 8), torch.tensor([500])
    sized = replace(model, unet=unet)
    with torch.no_grad():
        predicted = sized.predict(noisy, t, told)
        other = sized.predict(noisy, t, replace(told, size=told.size / 2))
        added = {"text_embeds": told.pooled, "time_ids": told.size}
        expected = unet(noisy, t, told.states, added_cond_kwargs=added).sample
    assert torch.equal(predicted, expected) and not torch.equal(predicted, other)
