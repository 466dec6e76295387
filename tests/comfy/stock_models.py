"""MODEL, CLIP and VAE as ComfyUI's own loaders make them, of files of any width.

Those loaders know Stable Diffusion 1 by its full size alone. So the same classes are called in the
same order (comfy/sd.py, load_state_dict_guess_config), with the widths of the file at hand.
"""

from __future__ import annotations

import comfy.model_detection
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import torch

UNET = "model.diffusion_model."
TEXT = "cond_stage_model.transformer.text_model."
TEXT_HEADS = 2


def stock_parts(path: str, kind: type = comfy.supported_models.SD15) -> tuple:
    """MODEL and CLIP of a plain checkpoint's file, and the VAE. kind: of model configuration."""
    weights = comfy.utils.load_torch_file(path)
    return stock_model(weights, kind), stock_clip(weights), stock_vae(weights)


def stock_model(weights: dict, kind: type = comfy.supported_models.SD15):
    config = kind(comfy.model_detection.detect_unet_config(weights, UNET))
    config.set_inference_dtype(comfy.utils.weight_dtype(weights, UNET), None)
    model = config.get_model(weights, UNET)
    device = comfy.model_management.get_torch_device()
    patcher = comfy.model_patcher.CoreModelPatcher(model, device, torch.device("cpu"))
    model.load_model_weights(dict(weights), UNET, assign=patcher.is_dynamic())
    assert type(model.model_config) is kind
    return patcher


def stock_clip(weights: dict, config: object = None) -> comfy.sd.CLIP:
    config = config or comfy.supported_models.SD15({})
    text = config.process_clip_state_dict(dict(weights))
    inside, width = weights[f"{TEXT}encoder.layers.0.mlp.fc1.weight"].shape
    sizes = {
        "hidden_size": width,
        "intermediate_size": inside,
        "num_hidden_layers": sum(key.endswith("mlp.fc1.weight") for key in text),
        "num_attention_heads": TEXT_HEADS,
    }
    options = {"clip_l_model_config": sizes}
    return comfy.sd.CLIP(config.clip_target(), state_dict=text, model_options=options)


def stock_vae(weights: dict) -> comfy.sd.VAE:
    prefix = {"first_stage_model.": ""}
    return comfy.sd.VAE(comfy.utils.state_dict_prefix_replace(dict(weights), prefix, True))
