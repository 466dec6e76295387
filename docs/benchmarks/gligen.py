"""A GLIGEN file with random weights for the embedded checkpoint's UNet: it costs what a trained one
costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

_QUERY = re.compile(r"model\.diffusion_model\.(.+)\.attn2\.to_q\.weight")
_WIDTH = 64  # of its inner layers
_FEATURES = 8 * 8  # of a box, by its sines


def write_gligen(unet: Mapping[str, torch.Tensor], path: Path) -> None:
    """unet: weights of a single-file checkpoint."""
    torch.manual_seed(0)
    weights = {}
    for key, query in unet.items():
        found = _QUERY.fullmatch(key)
        if found:
            channels, context = query.shape[1], unet[key.replace("to_q", "to_k")].shape[1]
            for name, shape in _fuser(channels, context).items():
                weights[f"{found[1]}.fuser.{name}"] = torch.randn(shape) / 32
    for name, shape in _position_net(context).items():
        weights[f"position_net.{name}"] = torch.randn(shape) / 32
    save_file(weights, path)


def _fuser(channels: int, context: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a gated self-attention (comfy/gligen.py, GatedSelfAttentionDense)."""
    inside = 4 * channels
    return {
        "linear.weight": (channels, context),
        "linear.bias": (channels,),
        **{f"attn.to_{part}.weight": (channels, channels) for part in "qkv"},
        "attn.to_out.0.weight": (channels, channels),
        "attn.to_out.0.bias": (channels,),
        "ff.net.0.proj.weight": (2 * inside, channels),
        "ff.net.0.proj.bias": (2 * inside,),
        "ff.net.2.weight": (channels, inside),
        "ff.net.2.bias": (channels,),
        **{f"norm{n}.{part}": (channels,) for n in (1, 2) for part in ("weight", "bias")},
        "alpha_attn": (),
        "alpha_dense": (),
    }


def _position_net(context: int) -> dict[str, tuple[int, ...]]:
    sizes = (context + _FEATURES, 512, 512, context)
    layers = {
        f"linears.{2 * layer}.{part}": shape
        for layer, (into, out) in enumerate(zip(sizes, sizes[1:], strict=False))
        for part, shape in (("weight", (out, into)), ("bias", (out,)))
    }
    nothing = {"null_positive_feature": (context,), "null_position_feature": (_FEATURES,)}
    return {**layers, **nothing}
