"""What tests ask of nodes/stock.py, in ComfyUI; see inside_checks.py."""

from __future__ import annotations

import comfy.latent_formats
import comfy.model_sampling
import comfy.sd
import comfy.supported_models
import comfy.utils
import torch
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer
from comfy.sdxl_clip import (
    SDXLClipModel,
    SDXLRefinerClipModel,
    SDXLTokenizer,
    StableCascadeTokenizer,
)
from comfy.supported_models_base import ClipTarget
from comfy.text_encoders.sd2_clip import SD2ClipModel, SD2Tokenizer
from inside_checks import load, module
from stock_models import UNET, stock_clip, stock_model, stock_parts

stock = module("nodes.stock")

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}
NARROW = {f"clip_{key}_model_config": SMALL for key in "lgh"}
OTHER_CLIPS = {
    "SD2": (SD2Tokenizer, SD2ClipModel),
    "SDXL": (SDXLTokenizer, SDXLClipModel),
    "SDXL's refiner": (StableCascadeTokenizer, SDXLRefinerClipModel),
}


def refusal(function, *arguments) -> str:
    """The message of its ValueError; empty if there is none."""
    try:
        function(*arguments)
    except ValueError as error:
        return str(error)
    return ""


def described(path: str) -> dict:
    """What the parts of a plain file are, by stock classes, and what the file says."""
    model, clip, _ = stock_parts(path)
    unet, info = stock.loaded_unet(model), stock.loaded_info(model, clip)
    (size,) = info.encoders
    return {
        "family": info.family.name,
        "is_reco": info.is_reco,
        "unet": [unet.channels, unet.context_width, unet.heads],
        "text": [size.width, size.layers, size.intermediate, size.heads],
        "tables": [info.num_bins, info.max_length],
    }


def described_reco(path: str) -> bool:
    """Whether the parts of a ReCo file are what the file says, also with a LoRA's loader behind."""
    model, clip, _ = load(path)
    info = stock.loaded_info(model.clone(), clip.clone())
    return info.is_reco and info == clip.tokenizer.info


def odd_model(path: str, case: str):
    weights, kinds = comfy.utils.load_torch_file(path), comfy.supported_models
    if case in ("inpainting", "editing"):
        more, kind = {
            "inpainting": (5, kinds.SD15),
            "editing": (4, kinds.SD15_instructpix2pix),
        }[case]
        first = f"{UNET}input_blocks.0.0.weight"
        weights[first] = torch.nn.functional.pad(weights[first], (0, 0, 0, 0, 0, more))
        return stock_model(weights, kind)
    patcher = stock_model(weights)
    model = patcher.model
    if case == "another latent":
        model.model_config.latent_format = comfy.latent_formats.SDXL()
    elif case in ("v", "x0"):
        sampling = {"v": comfy.model_sampling.V_PREDICTION, "x0": comfy.model_sampling.X0}[case]
        kind = type("ModelSampling", (comfy.model_sampling.ModelSamplingDiscrete, sampling), {})
        patcher = patcher.clone()
        patcher.add_object_patch("model_sampling", kind(model.model_config))
    else:
        model.model_config = getattr(kinds, case)(model.model_config.unet_config)
    return patcher


def refused_model(path: str, case: str) -> str:
    model = None if case == "none" else odd_model(path, case)
    return refusal(stock.loaded_unet, model, "base_model")


def odd_clip(case: str):
    if case in OTHER_CLIPS:
        return comfy.sd.CLIP(ClipTarget(*OTHER_CLIPS[case]), model_options=NARROW)
    options = {"clip_l_model_config": {**SMALL, "max_position_embeddings": 248}}
    if case == "a long CLIP":
        return comfy.sd.CLIP(ClipTarget(SD1Tokenizer, SD1ClipModel), model_options=options)
    kind = type("SomeTEModel", (SD1ClipModel,), {})
    return comfy.sd.CLIP(ClipTarget(SD1Tokenizer, kind), model_options=NARROW)


def refused_clip(case: str) -> str:
    return refusal(stock.loaded_text, None if case == "none" else odd_clip(case), "clip")


def refused_pair(path: str, other: str) -> str:
    model, _, _ = stock_parts(path)
    return refusal(stock.loaded_info, model, stock_clip(comfy.utils.load_torch_file(other)))
