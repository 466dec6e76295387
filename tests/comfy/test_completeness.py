"""Weights that are missing or of another shape are found also where ComfyUI's layers hold none
before they are loaded, as on NVIDIA: it would take zeros in their place."""

import pytest
from random_checkpoint import TEXT_PREFIX

from reco_core.keys import UNET_PREFIX, VAE_PREFIX

ATTENTION = f"{UNET_PREFIX}middle_block.1.transformer_blocks.0.attn2"
TEXT = f"{TEXT_PREFIX}encoder.layers.0"
MISSING = {
    "a linear weight of the UNet": ("UNet", f"{ATTENTION}.to_k.weight"),
    "a linear bias of the UNet": ("UNet", f"{ATTENTION}.to_out.0.bias"),
    "a square weight of the UNet": ("UNet", f"{ATTENTION}.to_q.weight"),
    "a convolution of the UNet": ("UNet", f"{UNET_PREFIX}out.2.weight"),
    "a norm of the UNet": ("UNet", f"{UNET_PREFIX}out.0.bias"),
    "a linear weight of the text encoder": ("text encoder", f"{TEXT}.mlp.fc1.weight"),
    "a square weight of the text encoder": ("text encoder", f"{TEXT}.self_attn.q_proj.weight"),
    "a linear bias of the text encoder": ("text encoder", f"{TEXT}.self_attn.v_proj.bias"),
    "a norm of the text encoder": ("text encoder", f"{TEXT_PREFIX}final_layer_norm.weight"),
    "a convolution of the autoencoder": (
        "autoencoder",
        f"{VAE_PREFIX}taesd_decoder.3.conv.0.weight",
    ),
}
OTHER_SHAPES = {
    "a transposed weight of the UNet": ("UNet", f"{UNET_PREFIX}time_embed.0.weight", [32, 128]),
    "a flat weight of the UNet": ("UNet", f"{ATTENTION}.to_k.weight", [4096]),
    "a wide weight of the text encoder": ("text encoder", f"{TEXT}.mlp.fc2.weight", [64, 512]),
    "a transposed weight of the text encoder": (
        "text encoder",
        f"{TEXT}.mlp.fc1.weight",
        [64, 256],
    ),
}
dynamically = pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])


@dynamically
def test_a_whole_checkpoint_loads(inside, tiny, dynamic):
    assert inside("loaded_without", path=str(tiny), changes={}, dynamic=dynamic) == ""


@dynamically
@pytest.mark.parametrize("case", MISSING)
def test_a_missing_weight_is_named(inside, tiny, case, dynamic):
    part, key = MISSING[case]
    refused = inside("loaded_without", path=str(tiny), changes={key: None}, dynamic=dynamic)
    assert f"incomplete: its {part} lacks 1 of its weights" in refused
    assert key.rpartition(".")[2] in refused


@dynamically
def test_an_autoencoder_that_nothing_tells_is_refused(inside, tiny, dynamic):
    changes = {f"{VAE_PREFIX}taesd_decoder.1.weight": None}
    refused = inside("loaded_without", path=str(tiny), changes=changes, dynamic=dynamic)
    assert "autoencoder is incomplete, or of a kind" in refused


@pytest.mark.parametrize("case", OTHER_SHAPES)
def test_a_weight_of_another_shape_is_named(inside, tiny, case):
    part, key, shape = OTHER_SHAPES[case]
    refused = inside("loaded_without", path=str(tiny), changes={key: shape}, dynamic=True)
    assert f"{part} has a weight '" in refused and f"of shape {tuple(shape)}" in refused
