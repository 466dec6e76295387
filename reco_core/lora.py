"""LoRA matrices, under the names that kohya's trainers gave them.

ComfyUI's own loader and most other programs read these: NAME.lora_down.weight (rank, in),
NAME.lora_up.weight (out, rank) and NAME.alpha (scalar). A weight becomes
W + strength * alpha / rank * up @ down. NAME is `lora_unet_` or what the family says of the text
encoder (`lora_te_text_model_`) and the module's path in diffusers or transformers, joined by `_`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checks import quote
from .diffusers_keys import BlockCount, Side
from .family import Family
from .keys import UNET_PREFIX

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

UNET_LORA = "lora_unet_"
_ADVICE = "fetch or write the adapter again"
DOWN, UP, ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"

# Paths inside an attention block are alike in both codes; only blocks are counted otherwise.
_ATTENTION = re.compile(
    r"(input|middle|output)_blocks?\.(?:(\d+)\.)?1\.((?:norm|proj_in|proj_out|transformer_blocks)\b.*)"
)


@dataclass(frozen=True)
class LoraMatrices:
    """A change of low rank. down: (rank, in, ...). up: (out, rank, ...)."""

    down: torch.Tensor
    up: torch.Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix it changes, kernels of convolutions laid flat."""
        return self.up.shape[0], self.down[0].numel()

    def delta(self) -> torch.Tensor:
        """What it adds to that matrix, in float32."""
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return product * (self.alpha / self.rank)


def lora_matrices(tensors: StateDict) -> dict[str, LoraMatrices]:
    """Those of a file, by name.

    Raises:
        ValueError: matrices do not go together.
    """
    names = [key.removesuffix(DOWN) for key in tensors if key.endswith(DOWN)]
    return {name: _matrices(tensors, name) for name in names}


def greatest_rank(tensors: StateDict, *prefixes: str) -> int:
    """Over the matrices whose names begin with one of them; 0 without any."""
    keys = (key for key in tensors if key.startswith(prefixes) and key.endswith(DOWN))
    return max((tensors[key].shape[0] for key in keys if tensors[key].ndim), default=0)


def lora_keys(keys: Iterable[str], family: Family) -> dict[str, str]:
    """LoRA name -> key in the single file, for every weight that a LoRA can change.

    Weights of the UNet have the name of their path in the single file, which ComfyUI and the web UI
    know too; those of its attention blocks also that of their path in diffusers, which all know.
    """
    weights = [key.removesuffix(".weight") for key in keys if key.endswith(".weight")]
    unet = [key.removeprefix(UNET_PREFIX) for key in weights if key.startswith(UNET_PREFIX)]
    downsamplers = [path.split(".")[1] for path in unet if path.endswith(".0.op")]
    inputs = {path.split(".")[1] for path in unet if path.startswith("input_blocks.")}
    blocks = BlockCount(min(map(int, downsamplers), default=len(inputs)))
    names = {}
    for path in unet:
        for alias in (path, _diffusers_path(path, blocks)):
            names[lora_name(UNET_LORA, alias)] = f"{UNET_PREFIX}{path}.weight"
    for encoder in family.encoders:
        for weight in (weight for weight in weights if weight.startswith(encoder.weights)):
            path = weight.removeprefix(encoder.weights)
            names[lora_name(encoder.lora, path)] = f"{weight}.weight"
    return names


def lora_name(prefix: str, path: str) -> str:
    """Name of the matrices of a module, from its path in dots."""
    return prefix + path.replace(".", "_")


def _diffusers_path(path: str, blocks: BlockCount) -> str:
    """Path in diffusers of a module in an attention block; other paths unchanged."""
    match = _ATTENTION.fullmatch(path)
    if match is None:
        return path
    part, number, inner = match.groups()
    if part == "middle":
        return f"mid_block.attentions.0.{inner}"
    side: Side = "down" if part == "input" else "up"
    level, index = blocks.place(side, int(number))
    return f"{side}_blocks.{level}.attentions.{index}.{inner}"


def _matrices(tensors: StateDict, name: str) -> LoraMatrices:
    down, up = tensors[name + DOWN], tensors.get(name + UP)
    empty = up is None or not (down.numel() and up.numel())
    if up is None or empty or down.ndim < 2 or up.ndim < 2 or up.shape[1] != down.shape[0]:
        found = "no second matrix" if up is None else f"{tuple(up.shape)} @ {tuple(down.shape)}"
        raise ValueError(f"LoRA {quote(name, 200)} is incomplete ({found}): {_ADVICE}")
    for matrix in (down, up):
        if not matrix.is_floating_point():
            raise ValueError(f"LoRA {quote(name, 200)} is of type {matrix.dtype}: {_ADVICE}")
    alpha = tensors.get(name + ALPHA)
    if alpha is not None and not _is_number(alpha):
        shown = alpha.tolist() if alpha.numel() == 1 else f"of shape {tuple(alpha.shape)}"
        raise ValueError(
            f"LoRA {quote(name, 200)}: its alpha {shown} is no finite number: {_ADVICE}"
        )
    return LoraMatrices(down, up, float(down.shape[0] if alpha is None else alpha.item()))


def _is_number(alpha: torch.Tensor) -> bool:
    return alpha.numel() == 1 and not alpha.is_complex() and math.isfinite(alpha.item())
