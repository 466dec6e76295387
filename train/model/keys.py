"""Key names: diffusers and transformers modules <-> the single LDM file.

diffusers converts LDM keys to its own but not back. The inverse here is its own forward conversion,
run once on the names instead of the tensors, so that there is no key table to keep in step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    DIFFUSERS_TO_LDM_MAPPING,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from torch import Tensor

from reco_core.autoencoder import TAESD_DECODER, TAESD_ENCODER
from reco_core.family import TextEncoder
from reco_core.keys import UNET_PREFIX, VAE_PREFIX

RESNET_PARTS = (
    "in_layers.0",
    "in_layers.2",
    "emb_layers.1",
    "out_layers.0",
    "out_layers.3",
    "skip_connection",
)
VAE_RESNET_PARTS = ("norm1", "conv1", "norm2", "conv2", "nin_shortcut")
VAE_ATTENTION_PARTS = ("norm", "q", "k", "v", "proj_out")
STEM_PARTS = ("time_embed.0", "time_embed.2", "input_blocks.0.0", "out.0", "out.2")


def unet_keys(unet: UNet2DConditionModel) -> dict[str, str]:
    """diffusers key -> LDM key (with prefix), for every parameter of the UNet.

    Raises:
        ValueError: the UNet is not of Stable Diffusion 1's architecture.
    """
    wanted = list(unet.state_dict())
    candidates = {key: key for key in _ldm_candidates(unet.config, wanted)}
    return _wanted(wanted, convert_ldm_unet_checkpoint(candidates, unet.config), "UNet")


def kl_keys(vae: AutoencoderKL) -> dict[str, str]:
    """AutoencoderKL key -> LDM key; attention is linear in diffusers and 1x1 convolutions in LDM.

    Raises:
        ValueError: the autoencoder is not of Stable Diffusion 1's architecture.
    """
    candidates = {key: _Name(key) for key in _ldm_vae_candidates(vae.config)}
    converted = convert_ldm_vae_checkpoint(candidates, vae.config)
    return _wanted(vae.state_dict(), converted, "autoencoder")


def taesd_keys(vae: AutoencoderTiny) -> dict[str, str]:
    """AutoencoderTiny key -> LDM key; ComfyUI's decoder counts its input clamp as a layer."""
    return {key: _taesd_key(key) for key in vae.state_dict()}


def text_keys(keys: Iterable[str], encoder: TextEncoder) -> dict[str, str]:
    """CLIPTextModel key, with or without `text_model.`, -> key in the single file."""
    return {key: encoder.weights + key.removeprefix("text_model.") for key in keys}


def pick(state: Mapping[str, Tensor], keys: Mapping[str, str]) -> dict[str, Tensor]:
    """A single file's tensors under a module's own names; ValueError if some are missing."""
    missing = [ldm for ldm in keys.values() if ldm not in state]
    if missing:
        raise ValueError(
            f"the checkpoint lacks {len(missing)} tensors of its architecture: {missing[0]!r} ...: "
            "it is incomplete, or not a Stable Diffusion 1.x layout"
        )
    return {key: state[ldm] for key, ldm in keys.items()}


class _Name(str):
    """A name in a tensor's stead: of no dimension, so the conversion does not reshape it."""

    shape = ()


def _wanted(keys: Iterable[str], converted: Mapping[str, str], part: str) -> dict[str, str]:
    keys = list(keys)
    unknown = [key for key in keys if key not in converted]
    if unknown:
        raise ValueError(
            f"the {part} has {len(unknown)} tensors that Stable Diffusion 1.x does not know, for "
            f"instance {unknown[0]!r}: use a model of Stable Diffusion 1's architecture"
        )
    return {key: str(converted[key]) for key in keys}


def _taesd_key(key: str) -> str:
    part, _, index, rest = key.split(".", 3)
    if part == "encoder":
        return f"{TAESD_ENCODER}{index}.{rest}"
    return f"{TAESD_DECODER}{int(index) + 1}.{rest}"


def _ldm_candidates(config: Mapping, diffusers_keys: list[str]) -> Iterable[str]:
    """Every LDM name that the architecture could use; the conversion keeps those it does use."""
    levels = len(config["block_out_channels"])
    per_level = config["layers_per_block"] + 1
    attention = sorted(
        {m[1] for key in diffusers_keys if (m := re.search(r"attentions\.\d+\.(.*)", key))}
    )
    names = [f"{part}.{kind}" for part in STEM_PARTS for kind in ("weight", "bias")]
    for i in range(1, levels * per_level):
        is_downsampler = i % per_level == 0
        names += (
            _module(f"input_blocks.{i}.0", ("op",))
            if is_downsampler
            else _resnet(f"input_blocks.{i}.0")
        )
        names += [] if is_downsampler else [f"input_blocks.{i}.1.{part}" for part in attention]
    names += [*_resnet("middle_block.0"), *_resnet("middle_block.2")]
    names += [f"middle_block.1.{part}" for part in attention]
    for i in range(levels * per_level):
        attended = f"up_blocks.{i // per_level}.attentions.0.norm.weight" in diffusers_keys
        names += _resnet(f"output_blocks.{i}.0")
        names += [f"output_blocks.{i}.1.{part}" for part in attention] if attended else []
        if (i + 1) % per_level == 0:
            names += _module(f"output_blocks.{i}.{2 if attended else 1}", ("conv",))
    return (UNET_PREFIX + name for name in names)


def _ldm_vae_candidates(config: Mapping) -> Iterable[str]:
    """Every LDM name that an AutoencoderKL of this size could use."""
    names = list(DIFFUSERS_TO_LDM_MAPPING["vae"].values())
    for half, side, resampler, extra in (
        ("encoder", "down", "downsample", 0),
        ("decoder", "up", "upsample", 1),
    ):
        for level in range(len(config["block_out_channels"])):
            for i in range(config["layers_per_block"] + extra):
                names += _module(f"{half}.{side}.{level}.block.{i}", VAE_RESNET_PARTS)
            names += _module(f"{half}.{side}.{level}.{resampler}", ("conv",))
        names += _module(f"{half}.mid.attn_1", VAE_ATTENTION_PARTS)
        for i in (1, 2):
            names += _module(f"{half}.mid.block_{i}", VAE_RESNET_PARTS)
    return (VAE_PREFIX + name for name in names)


def _resnet(prefix: str) -> list[str]:
    return _module(prefix, RESNET_PARTS)


def _module(prefix: str, parts: Iterable[str]) -> list[str]:
    return [f"{prefix}.{part}.{kind}" for part in parts for kind in ("weight", "bias")]
