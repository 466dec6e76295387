"""Key names of diffusers and of the single file: the pack's rules against diffusers' conversion."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from random_checkpoint import FULL_SIZE, TEXT_PREFIX, Size, checkpoint_shapes
from transformers import CLIPTextConfig, CLIPTextModel

from reco_core.architecture import check_weights
from reco_core.autoencoder import check_autoencoder
from reco_core.diffusers_keys import kl_keys, taesd_keys, text_keys, unet_keys
from reco_core.family import SD1
from reco_core.keys import UNET_PREFIX, VAE_PREFIX

CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
UNETS = {
    "full size": ((320, 640, 1280, 1280), 2, (CROSS, CROSS, CROSS, PLAIN)),
    "one layer": ((32, 64), 1, (CROSS, CROSS)),
    "one level": ((32,), 1, (CROSS,)),
    "attention first": ((32, 32, 64), 2, (CROSS, PLAIN, PLAIN)),
    "attention last": ((32, 64, 64, 96), 1, (PLAIN, PLAIN, PLAIN, CROSS)),
    "attention between": ((32, 64, 64), 3, (PLAIN, CROSS, PLAIN)),
    "attention nowhere": ((32, 64, 64, 64, 64), 2, (PLAIN,) * 5),
    "ten layers": ((32, 64), 10, (CROSS, PLAIN)),
}
VAES = {
    "full size": ((128, 256, 512, 512), 2),
    "one layer": ((32, 64), 1),
    "one level": ((32,), 2),
    "same width": ((32, 32, 32), 2),
    "deep": ((32, 64, 64, 96, 96), 3),
}


class Name(str):
    """A name in a tensor's stead: of no dimension, so that conversion does not reshape it."""

    shape = ()


def unet_of(channels, layers, kinds) -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(
            block_out_channels=channels,
            layers_per_block=layers,
            down_block_types=kinds,
            up_block_types=[kind.replace("Down", "Up") for kind in kinds[::-1]],
            cross_attention_dim=64,
        )


def vae_of(channels, layers) -> AutoencoderKL:
    with torch.device("meta"):
        return AutoencoderKL(
            block_out_channels=channels,
            layers_per_block=layers,
            down_block_types=["DownEncoderBlock2D"] * len(channels),
            up_block_types=["UpDecoderBlock2D"] * len(channels),
            latent_channels=4,
        )


@pytest.mark.parametrize("case", UNETS)
def test_diffusers_own_conversion_leads_back_to_every_key_of_a_unet(case):
    unet = unet_of(*UNETS[case])
    keys = unet_keys(unet.state_dict())
    assert keys.keys() == unet.state_dict().keys()
    converted = convert_ldm_unet_checkpoint({key: key for key in keys.values()}, unet.config)
    assert converted == keys
    # It takes the layer that enlarges at either of two places: that of the single file is one.
    state = {keys[key]: tensor for key, tensor in unet.state_dict().items()}
    shapes = checkpoint_shapes(Size())  # whose texts are as wide
    text = {key: torch.empty(shape, device="meta") for key, shape in shapes if key[0] == "c"}
    check_weights(state | text, SD1)


@pytest.mark.parametrize("case", VAES)
def test_diffusers_own_conversion_leads_back_to_every_key_of_an_autoencoder(case):
    vae = vae_of(*VAES[case])
    keys = kl_keys(vae.state_dict())
    assert keys.keys() == vae.state_dict().keys()
    converted = convert_ldm_vae_checkpoint({key: Name(key) for key in keys.values()}, vae.config)
    assert converted == keys
    shapes = {ldm: vae.state_dict()[key] for key, ldm in keys.items()}
    attention = [key for key in shapes if ".attn_1." in key and shapes[key].ndim == 2]
    check_autoencoder(shapes | {key: shapes[key][:, :, None, None] for key in attention})


def test_the_names_are_all_those_of_a_full_size_file():
    unet, vae = unet_of(*UNETS["full size"]), vae_of(*VAES["full size"])
    with torch.device("meta"):
        text = CLIPTextModel(CLIPTextConfig(num_hidden_layers=12))
    found = {
        *unet_keys(unet.state_dict()).values(),
        *kl_keys(vae.state_dict()).values(),
        *text_keys(text.state_dict(), SD1.encoders[0]).values(),
    }
    assert found == {key for key, _ in checkpoint_shapes(FULL_SIZE)}


def test_the_names_are_all_those_of_a_tiny_autoencoder():
    shapes = {key: shape for key, shape in checkpoint_shapes(Size()) if key.startswith(VAE_PREFIX)}
    with torch.device("meta"):
        stock = AutoencoderTiny().state_dict()
    keys = taesd_keys(stock)
    assert {ldm: tuple(stock[key].shape) for key, ldm in keys.items()} == shapes
    check_autoencoder({ldm: stock[key] for key, ldm in keys.items()})


def test_names_of_older_versions_lead_to_the_same_keys():
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, name in old.items():
        keys = [f"{half}.mid_block.attentions.0.{{}}.weight" for half in ("encoder", "decoder")]
        found = [kl_keys([key.format(part) for key in keys]) for part in (new, name)]
        assert list(found[0].values()) == list(found[1].values())
    for prefix in ("", "text_model."):
        key = "encoder.layers.3.mlp.fc1.bias"
        assert text_keys([prefix + key], SD1.encoders[0]) == {prefix + key: TEXT_PREFIX + key}


@pytest.mark.parametrize(
    ("keys_of", "key"),
    [
        (unet_keys, "add_embedding.linear_1.weight"),
        (unet_keys, "mid_block.attentions.1.norm.weight"),
        (unet_keys, "down_blocks.0.attentions.0.transformer_blocks.1.norm1.weight"),
        (unet_keys, "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q.weight"),
        (unet_keys, "down_blocks.0.downsamplers.1.conv.weight"),
        (unet_keys, "down_blocks.0.motion_modules.0.proj_in.weight"),
        (unet_keys, "conv_in.weight_scale"),
        (unet_keys, "up_blocks.weight"),
        (kl_keys, "encoder.down_blocks.0.attentions.0.to_q.weight"),
        (kl_keys, "decoder.down_blocks.0.upsamplers.0.conv.weight"),
        (kl_keys, "decoder.layers.1.weight"),
        (kl_keys, "latent_mean"),
        (taesd_keys, "encoder.conv_in.weight"),
        (taesd_keys, "encoder.layers.x.weight"),
        (lambda keys: text_keys(keys, SD1.encoders[0]), "text_projection.weight"),
        (lambda keys: text_keys(keys, SD1.encoders[0]), "vision_model.embeddings.class_embedding"),
    ],
)
def test_a_key_of_another_architecture_is_named(keys_of, key):
    with pytest.raises(ValueError, match=f"1 tensors that .* does not know, .*'{key}'"):
        keys_of([key])


@pytest.mark.parametrize("key", ["encoder.mid.attn_1.k.bias", "decoder.up.1.upsample.conv.weight"])
def test_an_autoencoder_that_lacks_a_weight_is_refused(key):
    whole = {
        name: torch.empty(shape, device="meta")
        for name, shape in checkpoint_shapes(Size(vae="kl"))
        if not name.startswith(UNET_PREFIX)
    }
    check_autoencoder(whole)
    del whole[VAE_PREFIX + key]
    with pytest.raises(ValueError, match=f"its autoencoder lacks 1 of its weights.*{key}"):
        check_autoencoder(whole)
