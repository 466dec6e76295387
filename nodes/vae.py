"""ComfyUI's VAE around the autoencoder of a checkpoint."""

from __future__ import annotations

import comfy.sd
import comfy.utils
import torch

from ..reco_core.autoencoder import LATENT_SCALE_KEY, LATENT_SHIFT_KEY, describe_autoencoder
from ..reco_core.family import SD1
from ..reco_core.keys import VAE_PREFIX
from .clip import check_complete

# ComfyUI has its own where a file has none.
TAESD_SCALES = tuple(key.removeprefix(VAE_PREFIX) for key in (LATENT_SCALE_KEY, LATENT_SHIFT_KEY))
USUAL = (SD1.vae_channels[0], SD1.vae_channels, 2)
"""Width, channels and blocks that ComfyUI detects by itself."""


def build_vae(state_dict: dict) -> comfy.sd.VAE:
    """ComfyUI's VAE around a KL autoencoder of any width, or TAESD. Takes its weights out."""
    config = kl_config(state_dict)
    weights = comfy.utils.state_dict_prefix_replace(state_dict, {VAE_PREFIX: ""}, filter_keys=True)
    shapes = {key: weight.shape for key, weight in weights.items()}
    found = dict.fromkeys(TAESD_SCALES, torch.Size()) | shapes
    try:
        vae = comfy.sd.VAE(sd=weights, config=config)
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


def kl_config(state_dict: dict) -> dict | None:
    """The configuration of a KL autoencoder that is not of the usual size; None where ComfyUI's own
    detection is right: the usual size, TAESD, no autoencoder at all."""
    size = describe_autoencoder(state_dict)
    if size is None or (size.width, size.channels, size.blocks) == USUAL:
        return None
    ddconfig = {
        "ch": size.width,
        "ch_mult": [channels // size.width for channels in size.channels],
        "num_res_blocks": size.blocks,
        "double_z": True,
        "z_channels": size.latent_channels,
        "resolution": 256,
        "in_channels": size.picture_channels,
        "out_ch": size.picture_channels,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    return {"params": {"ddconfig": ddconfig, "embed_dim": size.latent_channels}}
