"""ComfyUI's VAE around the autoencoder of a checkpoint."""

from __future__ import annotations

import comfy.sd
import comfy.utils
import torch

from ..reco_core.keys import VAE_PREFIX
from .clip import check_complete

TAESD_SCALES = ("vae_scale", "vae_shift")  # ComfyUI has its own where a file has none
SD1_VAE = {"ch": 128, "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2}


def build_vae(state_dict: dict) -> comfy.sd.VAE:
    """ComfyUI's VAE around a KL autoencoder of any width, or TAESD. Takes its weights out."""
    weights = comfy.utils.state_dict_prefix_replace(state_dict, {VAE_PREFIX: ""}, filter_keys=True)
    shapes = {key: weight.shape for key, weight in weights.items()}
    found = dict.fromkeys(TAESD_SCALES, torch.Size()) | shapes
    try:
        vae = comfy.sd.VAE(sd=weights, config=kl_config(weights))
    except (RuntimeError, IndexError) as error:  # of torch, for a weight of another shape
        raise ValueError(
            f"the checkpoint's autoencoder does not fit together ({error}): fetch or convert it "
            "again"
        ) from error
    if vae.first_stage_model is not None:
        check_complete("autoencoder", vae.first_stage_model, "", found)
    elif shapes:
        raise ValueError(
            "the checkpoint's autoencoder is incomplete, or of a kind that ComfyUI does not know: "
            f"it has weights like {min(shapes)!r}; fetch or convert it again"
        )
    return vae


def kl_config(weights: dict) -> dict | None:
    """The configuration of a KL autoencoder that is not of SD1's size, read off its weights.

    None when ComfyUI's own detection is right: SD1's size, TAESD, no autoencoder at all.
    """
    if "encoder.conv_in.weight" not in weights:
        return None
    channels, image_channels = weights["encoder.conv_in.weight"].shape[:2]
    first_convs = _numbered(weights, "encoder.down.{}.block.0.conv1.weight")
    size = {
        "ch": channels,
        "ch_mult": [weights[name].shape[0] // channels for name in first_convs],
        "num_res_blocks": len(_numbered(weights, "encoder.down.0.block.{}.conv1.weight")),
    }
    if size == SD1_VAE:
        return None
    latent_channels = weights["decoder.conv_in.weight"].shape[1]
    ddconfig = {
        **size,
        "double_z": True,
        "z_channels": latent_channels,
        "resolution": 256,
        "in_channels": image_channels,
        "out_ch": image_channels,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    return {"params": {"ddconfig": ddconfig, "embed_dim": latent_channels}}


def _numbered(weights: dict, name: str) -> list[str]:
    """The names, counted up from 0, that are there without a gap."""
    names: list[str] = []
    while name.format(len(names)) in weights:
        names.append(name.format(len(names)))
    return names
