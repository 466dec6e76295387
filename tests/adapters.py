"""Random ReCo adapters of a checkpoint's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from random_checkpoint import Size
from safetensors.torch import save_file

from reco_core.adapter import POSITION_ROWS, TOKEN_ROWS
from reco_core.family import SD1
from reco_core.lora import ALPHA, DOWN, UP, lora_keys

BINS, LENGTH, RANK = 1000, 308, 2
DIFFUSERS_NAMES = ("lora_unet_down_", "lora_unet_mid_", "lora_unet_up_", "lora_te_")


def adapter_tensors(
    weights: dict[str, torch.Tensor],
    seed: int = 5,
    width: int = Size().text_width,
    bins: int = BINS,
    length: int = LENGTH,
    scale: float = 0.3,
) -> dict[str, torch.Tensor]:
    """Rows, and LoRA on all attention of UNet and text encoder. scale: of its matrices."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        TOKEN_ROWS: 0.02 * torch.randn(bins, width, generator=generator),
        POSITION_ROWS: 0.02 * torch.randn(length - 77, width, generator=generator),
    }
    for name, key in lora_keys(weights, SD1).items():
        if "attn" not in name or not name.startswith(DIFFUSERS_NAMES):
            continue
        out, inside = weights[key].shape
        tensors[name + DOWN] = scale * torch.randn(RANK, inside, generator=generator)
        tensors[name + UP] = scale * torch.randn(out, RANK, generator=generator)
        tensors[name + ALPHA] = torch.tensor(float(RANK))
    return tensors


def write_adapter(path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> Path:
    save_file(tensors, path, {"format": "reco-adapter", **metadata})
    return path
