"""Sizes of diffusers' and transformers' modules, read off a single file's weights.

Modules made under `torch.device("meta")` have names and shapes but take no memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from reco_core.autoencoder import DOWNSAMPLING, describe_autoencoder, has_tiny_autoencoder
from reco_core.checkpoint_info import CheckpointInfo
from reco_core.keys import UNET_PREFIX
from reco_core.position_tokens import BOS_ID, CLIP_VOCABULARY_SIZE, EOS_ID
from train.model.autoencoder import build_autoencoder


def unet_config(state: Mapping[str, Tensor], info: CheckpointInfo) -> dict[str, Any]:
    """Arguments of UNet2DConditionModel; heads are those of metadata or family.

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
        "sample_size": info.start_size()[0] // DOWNSAMPLING,
        "in_channels": shape[stem[0]][1],
        "out_channels": shape[stem[1]][0],
        "block_out_channels": [shape[key][0] for key in outs],
        "layers_per_block": per_level - 1,
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attended],
        "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in attended[::-1]],
        "use_linear_projection": any(len(sides) == 2 for sides in projections),
        "cross_attention_dim": info.context_width,
        "attention_head_dim": unet_heads(info, [shape[key][0] for key in outs]),
    }


def unet_heads(info: CheckpointInfo, channels: Sequence[int]) -> int | list[int]:
    """What diffusers' configurations of UNets call attention_head_dim, and is the number of heads:
    one, or one for each level's channels."""
    return info.unet_heads or [info.heads_at(width) for width in channels]


def text_config(info: CheckpointInfo) -> CLIPTextConfig:
    """CLIP's text encoder, of which there must be one, with the checkpoint's tables."""
    (encoder,), (size,) = info.family.encoders, info.encoders
    return CLIPTextConfig(
        architectures=["CLIPTextModel"],
        dtype="float32",  # as diffusers loads the UNet unless told: halves do not mix with it
        vocab_size=CLIP_VOCABULARY_SIZE + info.num_bins,
        hidden_size=size.width,
        intermediate_size=size.intermediate,
        projection_dim=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=info.max_length,
        hidden_act=encoder.activation,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        pad_token_id=encoder.padding,
    )


def kl_config(state: Mapping[str, Tensor], side: int) -> dict[str, Any]:
    """Arguments of AutoencoderKL; side: of its pictures, in pixels.

    Raises:
        ValueError: the checkpoint has no such autoencoder.
    """
    size = describe_autoencoder(state)
    if size is None or not size.channels:
        raise ValueError("there is no autoencoder (AutoencoderKL or TAESD) in this checkpoint")
    levels = len(size.channels)
    return {
        "block_out_channels": list(size.channels),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": size.blocks,
        "latent_channels": size.latent_channels,
        "sample_size": side,
    }


def empty_unet(state: Mapping[str, Tensor], info: CheckpointInfo) -> UNet2DConditionModel:
    """The checkpoint's UNet without memory."""
    with torch.device("meta"):
        return UNet2DConditionModel(**unet_config(state, info))


def empty_vae(state: Mapping[str, Tensor], info: CheckpointInfo) -> AutoencoderKL | AutoencoderTiny:
    """The checkpoint's autoencoder without memory."""
    with torch.device("meta"):
        if has_tiny_autoencoder(state):
            return build_autoencoder()
        return AutoencoderKL(**kl_config(state, info.start_size()[0]))


def empty_text_encoder(info: CheckpointInfo) -> CLIPTextModel:
    """The checkpoint's text encoder without memory."""
    with torch.device("meta"):
        return CLIPTextModel(text_config(info))
