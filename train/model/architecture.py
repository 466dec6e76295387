"""Sizes of diffusers' and transformers' modules, read off a single file's weights.

Modules made under `torch.device("meta")` have names and shapes but take no memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from reco_core.checkpoint_info import CheckpointInfo
from reco_core.keys import UNET_PREFIX, VAE_PREFIX
from reco_core.position_tokens import BOS_ID, CLIP_VOCABULARY_SIZE, EOS_ID
from train.model.autoencoder import DOWNSAMPLING, build_autoencoder
from train.model.keys import TAESD_ENCODER

SD1_SIDE = 512


def unet_config(state: Mapping[str, Tensor], info: CheckpointInfo) -> dict[str, Any]:
    """Arguments of UNet2DConditionModel; the number of heads comes from the metadata.

    Raises:
        ValueError: the checkpoint has no UNet of Stable Diffusion 1's layout.
    """
    shape = {key.removeprefix(UNET_PREFIX): value.shape for key, value in state.items()}
    downsamplers = [i for i in range(64) if f"input_blocks.{i}.0.op.weight" in shape]
    # The first level ends before the first block that has no layers: a downsampler, or no block.
    per_level = next(
        i for i in range(1, 65) if f"input_blocks.{i}.0.in_layers.0.weight" not in shape
    )
    firsts = [1, *(i + 1 for i in downsamplers)]
    stem = ["input_blocks.0.0.weight", "out.2.weight"]
    outs = [f"input_blocks.{i}.0.out_layers.3.weight" for i in firsts]
    missing = [key for key in (*stem, *outs) if key not in shape]
    if missing:
        raise ValueError(
            f"the UNet lacks {missing[0]!r}: it is incomplete, or no Stable Diffusion 1.x"
        )
    attended = [f"input_blocks.{i}.1.norm.weight" in shape for i in firsts]
    projections = [shape[key] for key in shape if key.endswith(".proj_in.weight")]
    return {
        "sample_size": _side(info) // DOWNSAMPLING,
        "in_channels": shape[stem[0]][1],
        "out_channels": shape[stem[1]][0],
        "block_out_channels": [shape[key][0] for key in outs],
        "layers_per_block": per_level - 1,
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attended],
        "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in attended[::-1]],
        "use_linear_projection": any(len(sides) == 2 for sides in projections),
        "cross_attention_dim": info.text_width,
        "attention_head_dim": info.unet_heads,  # SD 1.x configurations name the heads so
    }


def text_config(info: CheckpointInfo) -> CLIPTextConfig:
    """CLIP's text encoder with the checkpoint's vocabulary and length."""
    return CLIPTextConfig(
        architectures=["CLIPTextModel"],
        dtype="float32",  # as diffusers loads the UNet unless told: halves do not mix with it
        vocab_size=CLIP_VOCABULARY_SIZE + info.num_bins,
        hidden_size=info.text_width,
        intermediate_size=info.text_intermediate,
        projection_dim=info.text_width,
        num_hidden_layers=info.text_layers,
        num_attention_heads=info.text_heads,
        max_position_embeddings=info.max_length,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        pad_token_id=EOS_ID,
    )


def kl_config(state: Mapping[str, Tensor], side: int = SD1_SIDE) -> dict[str, Any]:
    """Arguments of AutoencoderKL; side: of its pictures, in pixels."""
    channels: list[int] = []
    while (key := f"{VAE_PREFIX}encoder.down.{len(channels)}.block.0.conv1.weight") in state:
        channels.append(state[key].shape[0])
    if not channels:
        raise ValueError("there is no autoencoder (AutoencoderKL or TAESD) in this checkpoint")
    return {
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "layers_per_block": 2,
        "latent_channels": 4,
        "sample_size": side,
    }


def empty_unet(state: Mapping[str, Tensor], info: CheckpointInfo) -> UNet2DConditionModel:
    """The checkpoint's UNet without memory."""
    with torch.device("meta"):
        return UNet2DConditionModel(**unet_config(state, info))


def empty_vae(state: Mapping[str, Tensor], info: CheckpointInfo) -> AutoencoderKL | AutoencoderTiny:
    """The checkpoint's autoencoder without memory."""
    with torch.device("meta"):
        if any(key.startswith(TAESD_ENCODER) for key in state):
            return build_autoencoder()
        return AutoencoderKL(**kl_config(state, _side(info)))


def empty_text_encoder(info: CheckpointInfo) -> CLIPTextModel:
    """The checkpoint's text encoder without memory."""
    with torch.device("meta"):
        return CLIPTextModel(text_config(info))


def _side(info: CheckpointInfo) -> int:
    side = info.metadata.get("image_size", "")
    return int(side) if side.isdecimal() and int(side) >= DOWNSAMPLING else SD1_SIDE
